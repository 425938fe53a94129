package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
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
		Long: `Watch the frames that pass through the running tunnel: requests (>) and responses (<)
as they come, before addresses are replaced, with their sizes, what the responses took
and their error codes. Bodies are not shown without --bodies; records, SASL tokens,
passwords and values of configurations not without --records.

The tunnel has to be started with admin.tap (KAFKA_TUNNEL_ADMIN_TAP=true), and shows it
on loopback only. Connections never wait for who watches: frames that are not read fast
enough are dropped, and their number is shown. Only one can watch, the one that came last.`,
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
			seen := 0
			err = client.Tap(ctx, filter, func() {
				_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "watching; Ctrl-C ends it")
				if !asJSON {
					_ = admin.TapHeading(out)
				}
			}, func(line []byte) error {
				var e tap.Event
				if err := json.Unmarshal(line, &e); err != nil {
					return fmt.Errorf("what the tunnel shows cannot be read: %w", err)
				}
				if asJSON {
					_, err = fmt.Fprintf(out, "%s\n", line)
				} else {
					err = admin.RenderFrame(out, e)
				}
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
	flags.StringSliceVar(&nodes, "node", nil, "only connections to these brokers: node ids, or bootstrap")
	flags.StringSliceVar(&conns, "conn", nil, "only these connections, by the numbers that log lines carry as conn")
	flags.BoolVar(&onlyErrors, "errors", false, "only responses with an error code")
	flags.BoolVar(&asJSON, "json", false, "print JSON, a line a frame")
	flags.BoolVar(&bodies, "bodies", false, "what the frames say, as JSON")
	flags.BoolVar(&all, "records", false, "bodies with what is hidden otherwise: records, SASL tokens, passwords")
	flags.IntVar(&count, "count", 0, "end after so many frames; 0: never")
	_ = cmd.RegisterFlagCompletionFunc("api", func(cmd *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return completeAPI(cmd, nil, word)
	})
	addFlags(flags, "admin-listen", "config")
	return cmd
}

// errEnough ends what has an end of its own.
var errEnough = errors.New("enough")
