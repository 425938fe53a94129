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
		Long: `Print frames of Kafka's protocol as JSON.

The input is a packet capture (pcap, pcapng): the command prints the frames of all
connections, each response with its request.

Or it is one direction of a connection: requests, or with --response the responses to one
API and version (a response does not contain them). Then the input is hex digits or a hex
dump (xxd, hexdump -C, tcpdump -X, Wireshark), base64, or raw bytes: frames with their
lengths, or one frame without its length.`,
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
	cmd.Flags().BoolVar(&requests, "request", false, "the frames are requests (default, unless --response is set)")
	cmd.Flags().StringVar(&decoder.Response, "response", "", "the frames are responses to this API:VERSION")
	cmd.Flags().BoolVar(&decoder.Records, "records", false, "print records as batches instead of base64")
	cmd.Flags().StringVar(&encoding, "encoding", "auto", strings.Join(inspect.Encodings(), ", "))
	cmd.Flags().StringVarP(&format, "output", "o", "json", strings.Join(inspect.Formats(), " or "))
	cmd.MarkFlagsMutuallyExclusive("request", "response")
	return cmd
}
