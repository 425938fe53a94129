//go:build !notools

package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
)

func newTopicsCommand() *cobra.Command {
	return listCommand(&cobra.Command{
		Use:     "topics [TOPIC...]",
		Short:   "List all topics, or the partitions of some topics: leaders, replicas, offsets",
		Example: "  kafka-tunnel topics\n  kafka-tunnel topics orders",
	}, inspect.Server.Topics)
}

func newGroupsCommand() *cobra.Command {
	return listCommand(&cobra.Command{
		Use:     "groups [GROUP...]",
		Short:   "List all groups, or the members, offsets and lag of some groups",
		Example: "  kafka-tunnel groups\n  kafka-tunnel groups billing",
	}, inspect.Server.Groups)
}

// listCommand completes a command that lists all items, or shows those that are named.
func listCommand(cmd *cobra.Command, list func(inspect.Server, context.Context, io.Writer, ...string) error) *cobra.Command {
	var server serverFlags
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := server.context(cmd)
		defer cancel()
		return failed(list(server.server, ctx, cmd.OutOrStdout(), args...))
	}
	server.register(cmd)
	return cmd
}
