package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
)

func newDecodeCommand() *cobra.Command {
	var (
		decoder          inspect.Decoder
		encoding, format string
	)
	cmd := &cobra.Command{
		Use:   "decode [FILE | -]",
		Short: "Print frames of Kafka's protocol as JSON",
		Long: `Print frames of Kafka's protocol as JSON, those of one side of a connection: requests,
or with --response the answers to one API and version, which a response does not say
itself. The input is hex digits or a hex dump (xxd, hexdump -C, tcpdump -X, Wireshark),
base64, or the bytes themselves; frames with their lengths, or one frame without.`,
		Example: `  echo 00000015001200000000000100 0b6b61666b612d74756e6e656c | kafka-tunnel decode
  kafka-tunnel decode --response Metadata:12 answer.bin`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from := "-"
			if len(args) > 0 && args[0] != "-" {
				from = "@" + args[0]
			}
			input, err := body(from, cmd.InOrStdin())
			if err != nil {
				return err
			}
			b, _, err := inspect.ReadBytes(input, encoding)
			if err != nil {
				return err
			}
			return failed(decoder.Decode(b, func(value []byte) error { return inspect.Print(cmd.OutOrStdout(), format, value) }))
		},
	}
	cmd.Flags().StringVar(&decoder.Response, "response", "", "the frames are responses to this API:VERSION")
	cmd.Flags().BoolVar(&decoder.Records, "records", false, "print records as batches, and not as base64")
	cmd.Flags().StringVar(&encoding, "encoding", "auto", strings.Join(inspect.Encodings(), ", "))
	cmd.Flags().StringVarP(&format, "output", "o", "json", strings.Join(inspect.Formats(), " or "))
	return cmd
}
