package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
)

// newRootCommand returns the command line. Without a subcommand it runs the
// tunnel.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "kafka-tunnel",
		Short: "Kafka through the SAP Cloud Connector, for unmodified clients",
		Long: `kafka-tunnel connects unmodified Kafka clients to brokers in a company's own
network, through the SAP BTP connectivity proxy and the Cloud Connector. Clients
connect to localhost:9092. On Cloud Foundry one environment variable is enough:

  KAFKA_TUNNEL_BOOTSTRAP=kafka-1.corp:9092,kafka-2.corp:9092

` + "`kafka-tunnel lab`" + ` demonstrates it on this machine, with nothing else installed.`,
		Args:          cobra.NoArgs,
		RunE:          runTunnel,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	config.Flags(root.Flags())
	root.AddCommand(
		newRunCommand(),
		newExecCommand(),
		newWaitCommand(),
		newStatusCommand(),
		newConfigCommand(),
		newVersionCommand(),
	)
	root.AddCommand(toolCommands()...)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; `%s --help` lists the flags", err, cmd.CommandPath())
	})
	return root
}

// interruptible returns a context that Ctrl-C and SIGTERM cancel, for commands that run
// until they are interrupted and then succeed.
func interruptible(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
}
