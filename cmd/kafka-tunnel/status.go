package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

func newStatusCommand() *cobra.Command {
	var asJSON, watch, connections bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the running tunnel is doing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := adminClient(cmd)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case watch:
				ctx, stop := interruptible(cmd)
				defer stop()
				// The text of the status is already escaped, and an escape sequence clears the
				// screen.
				return client.Watch(ctx, os.Stdout, admin.WatchOptions{Every: 2 * time.Second, Clear: terminal.Is(os.Stdout)})
			case asJSON:
				body, err := client.StatusJSON(cmd.Context())
				if err != nil {
					return exitWith(exitUnavailable, err)
				}
				_, err = out.Write(body)
				return err
			}
			status, err := client.Status(cmd.Context())
			if err != nil {
				return exitWith(exitUnavailable, err)
			}
			if err := admin.Render(out, status); err != nil || !connections {
				return err
			}
			_, _ = fmt.Fprintln(out)
			return admin.RenderConnections(out, status)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&watch, "watch", false, "refresh every two seconds until Ctrl-C")
	cmd.Flags().BoolVar(&connections, "connections", false, "also list the open connections, with the numbers that log lines have as conn")
	cmd.MarkFlagsMutuallyExclusive("json", "watch", "connections")
	addFlags(cmd.Flags(), "admin-listen", "config")
	return cmd
}
