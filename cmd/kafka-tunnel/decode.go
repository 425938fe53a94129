//go:build !notools

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
)

func newDecodeCommand() *cobra.Command {
	var (
		decoder          inspect.Decoder
		encoding, format string
		requests         bool
	)
	cmd := &cobra.Command{
		Use:   "decode [FILE | -]",
		Short: "Print frames of Kafka's protocol as JSON",
		Long: `Print frames of Kafka's protocol as JSON. Of a capture of packets (pcap, pcapng) those of
all connections, the answers with the requests that they belong to. Else those of one
side of a connection: requests, or with --response the answers to one API and version,
which a response does not say itself. Then the input is hex digits or a hex dump (xxd,
hexdump -C, tcpdump -X, Wireshark), base64, or the bytes themselves; frames with their
lengths, or one frame without.`,
		Example: `  tcpdump -i lo -w - port 9092 | kafka-tunnel decode
  echo 00000015001200000000000100 0b6b61666b612d74756e6e656c | kafka-tunnel decode
  kafka-tunnel decode --response Metadata:12 answer.bin`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(inspect.Encodings(), encoding) {
				return fmt.Errorf("encoding %q is not one of %s", encoding, strings.Join(inspect.Encodings(), ", "))
			}
			in := cmd.InOrStdin()
			if len(args) > 0 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			print := func(value []byte) error { return inspect.Print(cmd.OutOrStdout(), format, value) }
			return failed(decoder.Run(in, encoding, print, func(text string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), text) }))
		},
	}
	cmd.Flags().BoolVar(&requests, "request", false, "the frames are requests; without --response they are taken for that")
	cmd.Flags().StringVar(&decoder.Response, "response", "", "the frames are responses to this API:VERSION")
	cmd.Flags().BoolVar(&decoder.Records, "records", false, "print records as batches, and not as base64")
	cmd.Flags().StringVar(&encoding, "encoding", "auto", strings.Join(inspect.Encodings(), ", "))
	cmd.Flags().StringVarP(&format, "output", "o", "json", strings.Join(inspect.Formats(), " or "))
	cmd.MarkFlagsMutuallyExclusive("request", "response")
	return cmd
}
