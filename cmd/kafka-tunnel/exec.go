package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/process"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tunnel"
)

func newExecCommand() *cobra.Command {
	var until string
	var longest time.Duration
	cmd := &cobra.Command{
		Use:   "exec [flags] -- CMD [ARGS]",
		Short: "Run the tunnel and a command in one process tree",
		Long: `Run the tunnel and a command in one process tree, for places without sidecars: MTA
applications, tasks, jobs. The command starts when the ports are bound, with
KAFKA_BOOTSTRAP_SERVERS set unless it is set already. Signals go to the command. The
tunnel runs until the command has ended, and exits with its exit status.
The tunnel logs to stderr.`,
		Example: "  kafka-tunnel exec -- npm start",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if until != string(admin.ForBound) && until != string(admin.ForReady) {
				return fmt.Errorf("--wait %s: use bound or ready", until)
			}
			signals, stop := catchSignals()
			defer stop()
			s, err := load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			t, err := s.start(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer t.Close()
			if until == string(admin.ForReady) {
				waitReady(cmd.Context(), t.Tunnel, longest, cmd.ErrOrStderr())
			}
			return runChild(cmd.Context(), t, args, signals)
		},
	}
	config.Flags(cmd.Flags())
	cmd.Flags().SetInterspersed(false) // what follows the command belongs to it
	cmd.Flags().StringVar(&until, "wait", string(admin.ForBound), "when to start the command: bound or ready")
	cmd.Flags().DurationVar(&longest, "max", time.Minute, "with --wait ready: start the command anyway after this time")
	return cmd
}

// catchSignals catches the signals that go to the command.
func catchSignals() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 8)
	signal.Notify(signals, process.Signals()...)
	// SIGPIPE is caught and dropped, not ignored: the command would inherit an ignored signal.
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, syscall.SIGPIPE)
	return signals, func() {
		signal.Stop(signals)
		signal.Stop(dropped)
	}
}

// waitReady waits until the tunnel is ready, and prints the reason if it is not in time. The
// command starts in both cases.
func waitReady(ctx context.Context, t *tunnel.Tunnel, longest time.Duration, log io.Writer) {
	client := admin.Client{BaseURL: t.AdminURL()}
	result, err := client.Wait(ctx, admin.WaitOptions{For: admin.ForReady, Max: longest})
	if err == nil && result.Outcome != admin.Reached {
		_, _ = fmt.Fprintln(log, result.Message())
	}
}

// runChild runs the command and returns its exit status as an error. It stops the command
// when the tunnel has failed for good.
func runChild(ctx context.Context, t *running, args []string, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		select {
		case <-t.Failed():
			cancel()
		case <-ctx.Done():
		}
	})
	env := process.WithDefault(os.Environ(), process.BootstrapServers, t.Address(""))
	// For status, wait and tap in the command, because the port may be ephemeral.
	env = process.WithDefault(env, "KAFKA_TUNNEL_ADMIN_LISTEN", t.AdminAddress())
	code, err := process.Run(ctx, process.Options{
		Args:    args,
		Env:     env,
		Signals: signals,
	})
	if t.Alive() != nil {
		return t.failed()
	}
	return exitWith(code, err)
}
