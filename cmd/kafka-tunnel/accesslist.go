//go:build !notools

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/accesslist"
	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tunnel"
)

// newAccessListCommand returns `kafka-tunnel access-list`.
func newAccessListCommand() *cobra.Command { return newAccessListCommandFor(os.Environ()) }

// newAccessListCommandFor is newAccessListCommand for an environment in the form of
// [os.Environ].
func newAccessListCommandFor(environ []string) *cobra.Command {
	var running, asJSON bool
	var cluster string
	var longest time.Duration
	cmd := &cobra.Command{
		Use:   "access-list",
		Short: "Show the entries that the Cloud Connector's access control must have",
		Long: `Show the entries that the Cloud Connector's access control must have for all
brokers: to be added under Cloud To On-Premise > Access Control, or, with --json, as
bodies for its REST API (POST /api/v1/configuration/subaccounts/REGION/SUBACCOUNT/systemMappings).

One bootstrap address has to be exposed already; the brokers are asked for the
others. Where they ask for SASL, let a client connect through the running tunnel
and use --from-running, which shows what that tunnel has learnt.`,
		Example: "  kafka-tunnel access-list\n  kafka-tunnel access-list --from-running --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clusters, err := runningClusters(cmd, running, environ, longest)
			if err != nil {
				return err
			}
			if cluster != "" {
				names := clusterNames(clusters)
				clusters = slices.DeleteFunc(clusters, func(c admin.ClusterStatus) bool { return c.Name != cluster })
				if len(clusters) == 0 {
					return fmt.Errorf("--cluster %s: there is only %s", cluster, names)
				}
			}
			entries := accesslist.Of(clusters)
			if asJSON {
				return accesslist.JSON(cmd.OutOrStdout(), entries)
			}
			return accesslist.Table(cmd.OutOrStdout(), entries)
		},
	}
	config.Flags(cmd.Flags())
	cmd.Flags().BoolVar(&running, "from-running", false, "ask the running tunnel (at admin.listen) and not the brokers")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print bodies for the Cloud Connector's REST API")
	cmd.Flags().StringVar(&cluster, "cluster", "", "this cluster alone")
	cmd.Flags().DurationVar(&longest, "max", 30*time.Second, "how long to ask the brokers")
	return cmd
}

// runningClusters returns what a tunnel knows: the one that runs, or one that is started
// for this question.
func runningClusters(cmd *cobra.Command, running bool, environ []string, longest time.Duration) ([]admin.ClusterStatus, error) {
	if !running {
		return askBrokers(cmd, environ, longest)
	}
	client, err := adminClient(cmd)
	if err != nil {
		return nil, err
	}
	status, err := client.Status(cmd.Context())
	if err != nil {
		return nil, exitWith(exitUnavailable, err)
	}
	for _, c := range status.Clusters {
		if len(c.Nodes) == 0 {
			return nil, exitWith(exitFailed, fmt.Errorf("cluster %s: the tunnel has met no broker yet; let a client connect and ask again", c.Name))
		}
	}
	return status.Clusters, nil
}

// askBrokers starts a tunnel on ports of its own and asks each cluster for its brokers.
func askBrokers(cmd *cobra.Command, environ []string, longest time.Duration) ([]admin.ClusterStatus, error) {
	s, err := load(cmd.Flags(), environ)
	if err != nil {
		return nil, err
	}
	own := *s.effective
	own.Config.Clusters = slices.Clone(own.Config.Clusters)
	for i := range own.Config.Clusters {
		c := &own.Config.Clusters[i]
		c.Listen, c.Advertise, c.BrokerPorts = config.HostPort{Host: "127.0.0.1"}, "localhost", config.PortRange{}
	}
	own.Config.Admin.Listen = config.HostPort{Host: "127.0.0.1"}
	own.Config.Log.Level = "error"
	t, err := (&setup{effective: &own}).start(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	defer t.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), longest)
	defer cancel()
	for _, c := range own.Config.Clusters {
		if err := askCluster(ctx, t.Address(c.Name)); err != nil {
			return nil, exitWith(exitFailed, explained(t.Tunnel, c.Name, err))
		}
	}
	return t.Status().Clusters, nil
}

// askCluster asks for the brokers of a cluster, through the tunnel, which learns them.
func askCluster(ctx context.Context, address string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ClientID("kafka-tunnel"), kgo.DisableClientMetrics(), kgo.RetryTimeout(0), kgo.RequestRetries(1<<30))
	if err != nil {
		return err
	}
	defer cl.Close()
	_, err = kadm.NewClient(cl).ListBrokers(ctx)
	return err
}

// explained says which hop fails, or that nothing of the way does.
func explained(t *tunnel.Tunnel, name string, err error) error {
	for _, c := range t.Ready(context.Background(), name).Clusters {
		if c.Code != "" {
			return fmt.Errorf("cluster %s: the brokers could not be asked: %s (%s)\n%s", name, c.Summary, c.Code, c.Advice)
		}
	}
	return errors.Join(fmt.Errorf("cluster %s: the brokers could not be asked, although the way to them works: they may want SASL; let a client connect through the running tunnel and use --from-running", name), err)
}

func clusterNames(clusters []admin.ClusterStatus) string {
	var names []string
	for _, c := range clusters {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}
