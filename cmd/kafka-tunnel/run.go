package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tunnel"
)

func newRunCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the tunnel (the default)",
		Args:  cobra.NoArgs,
		RunE:  runTunnel,
	}
	config.Flags(cmd.Flags())
	return cmd
}

// runTunnel serves until SIGTERM or SIGINT, then drains; a second signal ends it
// at once.
func runTunnel(cmd *cobra.Command, _ []string) error {
	// Notified before anything else, so that no signal finds the default action.
	// SIGHUP and SIGPIPE are caught and dropped: nothing that happens to a terminal
	// or to whoever reads the log may end the tunnel.
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stop)
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, syscall.SIGHUP, syscall.SIGPIPE)
	defer signal.Stop(dropped)

	s, err := load(cmd.Flags(), os.Environ())
	if err != nil {
		return err
	}
	t, err := s.start(cmd.Context(), cmd.OutOrStdout())
	if err != nil {
		return err
	}
	defer t.Close()
	select {
	case <-stop:
	case <-t.Failed():
		return t.failed()
	case <-cmd.Context().Done():
	}
	drain(cmd.Context(), t.Tunnel, stop)
	return nil
}

// drain waits for the end of the work or a second signal.
func drain(ctx context.Context, t *tunnel.Tunnel, stop <-chan os.Signal) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.Drain(ctx)
	}()
	select {
	case <-done:
	case <-stop:
		cancel()
		<-done
	}
}
