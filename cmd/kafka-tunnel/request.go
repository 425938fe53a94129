//go:build !notools

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

func newRequestCommand() *cobra.Command {
	var (
		server                   serverFlags
		request                  inspect.Request
		format                   string
		template, types, records bool
	)
	cmd := &cobra.Command{
		Use:   "request API[:VERSION] [JSON | @FILE | -]",
		Short: "Send a request to a broker and print the response",
		Long: `Send a request to a broker, through the running tunnel or directly, and print the
response as JSON. Fields have the names of Kafka's own schemas in camelCase; missing
fields have their default values. The default version is the newest that both sides
support. --template prints a request to fill in, --types the types of the fields.`,
		Example: `  kafka-tunnel request Metadata
  kafka-tunnel request ListOffsets:7 '{"topics": [{"name": "orders", "partitions": [{"partitionIndex": 3, "timestamp": -1}]}]}'
  kafka-tunnel request Fetch --template > fetch.json
  kafka-tunnel request Fetch @fetch.json --node 2 --records`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeAPI,
		RunE: func(cmd *cobra.Command, args []string) error {
			request.API, request.Records = args[0], records
			api, _, err := inspect.ParseAPI(request.API)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case types:
				return inspect.Fields(out, api, wire.Request)
			case template:
				text, err := inspect.Template(request.API)
				if err != nil {
					return err
				}
				return inspect.Print(out, format, text)
			}
			if len(args) > 1 {
				if request.Body, err = body(args[1], cmd.InOrStdin()); err != nil {
					return err
				}
			}
			return server.with(cmd, func(ctx context.Context, conn *wire.Conn) error {
				answer, err := request.Do(ctx, conn)
				if errors.Is(err, inspect.ErrNoAnswer) {
					_, err = fmt.Fprintln(cmd.ErrOrStderr(), err)
					return err
				}
				if err != nil {
					return failed(err)
				}
				return inspect.Print(out, format, answer)
			})
		},
	}
	server.register(cmd)
	server.registerNode(cmd)
	cmd.Flags().BoolVar(&template, "template", false, "print a request to fill in; do not send anything")
	cmd.Flags().BoolVar(&types, "types", false, "print the fields with types, versions and whether they may be null; do not send anything; may be combined with --template")
	cmd.Flags().BoolVar(&records, "records", false, "print records of the response as batches instead of base64")
	cmd.Flags().StringVarP(&format, "output", "o", "json", strings.Join(inspect.Formats(), " or "))
	return cmd
}

// maxBody limits the size of a request's JSON: a broker accepts no larger request.
const maxBody = wire.MaxFrame

// body returns the JSON of a request: the argument itself, a file or standard input.
func body(arg string, stdin io.Reader) ([]byte, error) {
	file, isFile := strings.CutPrefix(arg, "@")
	if !isFile && arg != "-" {
		return []byte(arg), nil
	}
	read := func() ([]byte, error) { return boundedfile.From(stdin, maxBody) }
	if isFile {
		read = func() ([]byte, error) { return boundedfile.Read(file, maxBody) }
	}
	text, err := read()
	if err != nil {
		err = fmt.Errorf("%s: %w", arg, err)
	}
	return text, err
}

// completeAPI completes the names of APIs.
func completeAPI(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	if len(args) == 0 {
		for _, api := range wire.APIs() {
			names = append(names, api.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
