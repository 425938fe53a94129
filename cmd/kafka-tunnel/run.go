package main

import (
	"context"
	"math"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
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

// runTunnel serves until SIGTERM or SIGINT, then drains; a second signal stops it
// immediately.
func runTunnel(cmd *cobra.Command, _ []string) error {
	// Signals are caught before anything else starts, so the default action never runs.
	// SIGHUP and SIGPIPE are caught and dropped: the tunnel must survive the end of its
	// terminal and of the reader of its log.
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
	longest := forever
	select {
	case s := <-stop:
		if s == os.Interrupt {
			longest = interrupted
		}
	case <-t.Failed():
		return t.failed()
	case <-cmd.Context().Done():
	}
	drain(cmd.Context(), t.Drain, longest, stop)
	return nil
}

// Limits for a drain after SIGINT and after SIGTERM: a person at a terminal waits less than
// a platform. Drain has its own limit (drain.timeout).
const (
	interrupted = 3 * time.Second
	forever     = time.Duration(math.MaxInt64)
)

// drain waits until the work has ended, the time longest has passed or another signal comes.
func drain(ctx context.Context, work func(context.Context), longest time.Duration, stop <-chan os.Signal) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	select {
	case <-done:
	case <-stop:
		cancel()
		<-done
	}
}
