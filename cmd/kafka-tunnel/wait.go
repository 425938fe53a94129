package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
)

func newWaitCommand() *cobra.Command {
	o := admin.WaitOptions{For: admin.ForReady}
	var what string
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Block until the running tunnel is ready",
		Long: `Block until the running tunnel is ready. Exit code 0: the tunnel is ready. 1: it was not
ready in time; stderr has the failing hop and what to do. 69: no tunnel answered.
A refused connection is tried again, because the tunnel may start later.`,
		Example: "  kafka-tunnel wait --for bound --max 30s; exec node server.js",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.For = admin.For(what)
			if o.For != admin.ForReady && o.For != admin.ForBound {
				return fmt.Errorf("--for %s: use bound or ready", what)
			}
			client, err := adminClient(cmd)
			if err != nil {
				return err
			}
			result, err := client.Wait(cmd.Context(), o)
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if result.ExitCode() == exitOK {
				return nil
			}
			return exitWith(result.ExitCode(), errors.New(result.Message()))
		},
	}
	cmd.Flags().StringVar(&what, "for", string(admin.ForReady), "what to wait for: bound or ready")
	cmd.Flags().DurationVar(&o.Max, "max", time.Minute, "how long to wait")
	cmd.Flags().StringVar(&o.Cluster, "cluster", "", "wait for this cluster only")
	addFlags(cmd.Flags(), "admin-listen", "config")
	return cmd
}
