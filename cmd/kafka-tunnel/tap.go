//go:build !notools

package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

func newTapCommand() *cobra.Command {
	var (
		query                           = url.Values{}
		apis, nodes, conns              []string
		onlyErrors, asJSON, bodies, all bool
		count                           int
	)
	cmd := &cobra.Command{
		Use:   "tap",
		Short: "Watch the frames that pass through the running tunnel",
		Long: `Watch the frames that pass through the running tunnel: requests (>) and responses (<),
before the tunnel replaces addresses, with their sizes, the latency of the responses and
their error codes. --bodies shows the bodies, --records also the records in them. The
tunnel never shows SASL tokens, credentials or configurations.

The tunnel must be started with admin.tap (KAFKA_TUNNEL_ADMIN_TAP=true), and shows frames on
loopback only. Connections never wait for a viewer: the tunnel drops frames that are not
read fast enough and reports their number. A new viewer replaces the previous one.`,
		Example: `  kafka-tunnel tap --errors
  kafka-tunnel tap --api Produce --node 2
  kafka-tunnel tap --api Metadata --bodies --json | jq .body.brokers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query["api"], query["node"], query["conn"] = apis, nodes, conns
			query.Set("errors", strconv.FormatBool(onlyErrors))
			query.Set("bodies", strconv.FormatBool(bodies))
			query.Set("records", strconv.FormatBool(all))
			filter, err := tap.ParseQuery(query)
			if err != nil {
				return err
			}
			client, err := adminClient(cmd)
			if err != nil {
				return err
			}
			ctx, stop := interruptible(cmd)
			defer stop()
			out := cmd.OutOrStdout()
			decoder := inspect.NewTapDecoder(filter)
			seen := 0
			err = client.Tap(ctx, filter, func() {
				_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "watching; press Ctrl-C to stop")
				if !asJSON {
					_ = inspect.TapHeading(out)
				}
			}, func(m tap.Message) error {
				e, shown := decoder.Message(m)
				if !shown {
					return nil
				}
				err := printEvent(out, e, asJSON)
				if e.Over != "" {
					return errors.Join(err, errors.New(e.Over))
				}
				if e.Kind != "" {
					seen++
				}
				if err == nil && count > 0 && seen >= count {
					err = errEnough
				}
				return err
			})
			if err == nil || errors.Is(err, errEnough) {
				return nil
			}
			return exitWith(exitUnavailable, err)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&apis, "api", nil, "only these APIs, by name or key")
	flags.StringSliceVar(&nodes, "node", nil, "only connections to these brokers: node ids or bootstrap")
	flags.StringSliceVar(&conns, "conn", nil, "only these connections: the numbers in log lines (conn)")
	flags.BoolVar(&onlyErrors, "errors", false, "only responses with an error code")
	flags.BoolVar(&asJSON, "json", false, "print JSON, one line for each frame")
	flags.BoolVar(&bodies, "bodies", false, "show the bodies of frames, as JSON")
	flags.BoolVar(&all, "records", false, "show bodies with their records")
	flags.IntVar(&count, "count", 0, "stop after N frames; 0: unlimited")
	_ = cmd.RegisterFlagCompletionFunc("api", func(cmd *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return completeAPI(cmd, nil, word)
	})
	addFlags(flags, "admin-listen", "config")
	return cmd
}

// printEvent writes an event as JSON or as text.
func printEvent(out io.Writer, e inspect.TapEvent, asJSON bool) error {
	if !asJSON {
		return e.Render(out)
	}
	line, err := e.AppendJSON(nil)
	if err == nil {
		_, err = out.Write(line)
	}
	return err
}

// errEnough stops the command after --count frames.
var errEnough = errors.New("enough")
