//go:build !notools

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

func newAPIsCommand() *cobra.Command {
	var (
		server serverFlags
		ask    bool
	)
	cmd := &cobra.Command{
		Use:   "apis [API]",
		Short: "List the APIs of Kafka's protocol, or the fields of one",
		Long: `List the APIs of Kafka's protocol with their versions, and what the tunnel does with
their responses; with --broker also the versions that a broker supports. With the name or
the key of an API, list its fields.`,
		Example:           "  kafka-tunnel apis\n  kafka-tunnel apis --broker\n  kafka-tunnel apis DescribeGroups",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeAPI,
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) > 0 {
				api, _, err := inspect.ParseAPI(args[0])
				if err != nil {
					return err
				}
				return inspect.Fields(out, api, wire.Request, wire.Response)
			}
			if !ask && server.server.Address == "" {
				return inspect.APIs(out, nil)
			}
			return server.with(cmd, func(_ context.Context, conn *wire.Conn) error { return inspect.APIs(out, conn) })
		},
	}
	server.register(cmd)
	server.registerNode(cmd)
	cmd.Flags().BoolVar(&ask, "broker", false, "also show the versions that a broker supports")
	return cmd
}

func newErrorsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "errors [CODE|NAME]",
		Short:   "List Kafka's error codes, or show one",
		Example: "  kafka-tunnel errors\n  kafka-tunnel errors 27\n  kafka-tunnel errors not_coordinator",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all := wire.Errors()
			if len(args) > 0 {
				one, err := wire.LookupError(args[0])
				if err != nil {
					return err
				}
				all = []wire.Error{one}
			}
			return inspect.Errors(cmd.OutOrStdout(), all)
		},
	}
}
