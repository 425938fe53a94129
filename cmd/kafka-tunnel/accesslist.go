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

// newAccessListCommandFor is newAccessListCommand with an environment in the form of
// [os.Environ].
func newAccessListCommandFor(environ []string) *cobra.Command {
	var running, asJSON bool
	var cluster string
	var longest time.Duration
	cmd := &cobra.Command{
		Use:   "access-list",
		Short: "Show the entries that the Cloud Connector's access control must have",
		Long: `Show the entries that the Cloud Connector's access control must have for all
brokers. Add them under Cloud To On-Premise > Access Control. With --json the output has
bodies for its REST API (POST /api/v1/configuration/subaccounts/REGION/SUBACCOUNT/systemMappings).

One bootstrap address must be exposed already; the command queries that broker for the
others. If the brokers require SASL, let a client connect through the running tunnel
and use --from-running, which shows the brokers that the tunnel knows.`,
		Example: "  kafka-tunnel access-list\n  kafka-tunnel access-list --from-running --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clusters, err := knownClusters(cmd, running, environ, longest)
			if err != nil {
				return err
			}
			if cluster != "" {
				names := clusterNames(clusters)
				clusters = slices.DeleteFunc(clusters, func(c admin.ClusterStatus) bool { return c.Name != cluster })
				if len(clusters) == 0 {
					return fmt.Errorf("--cluster %s: no such cluster; configured: %s", cluster, names)
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
	cmd.Flags().BoolVar(&running, "from-running", false, "query the running tunnel (at admin.listen) instead of the brokers")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print bodies for the Cloud Connector's REST API")
	cmd.Flags().StringVar(&cluster, "cluster", "", "show only this cluster")
	cmd.Flags().DurationVar(&longest, "max", 30*time.Second, "how long to try to reach the brokers")
	return cmd
}

// knownClusters returns the clusters with the brokers that the running tunnel knows, or one
// that is started for this query.
func knownClusters(cmd *cobra.Command, running bool, environ []string, longest time.Duration) ([]admin.ClusterStatus, error) {
	if !running {
		return queryBrokers(cmd, environ, longest)
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
			return nil, exitWith(exitFailed, fmt.Errorf("cluster %s: the tunnel does not know a broker yet; let a client connect, then run this command again", c.Name))
		}
	}
	return status.Clusters, nil
}

// queryBrokers starts a tunnel on ports of its own and queries each cluster for its brokers.
func queryBrokers(cmd *cobra.Command, environ []string, longest time.Duration) ([]admin.ClusterStatus, error) {
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
		if err := queryCluster(ctx, t.Address(c.Name)); err != nil {
			return nil, exitWith(exitFailed, queryFailed(t.Tunnel, c.Name, err))
		}
	}
	return t.Status().Clusters, nil
}

// queryCluster requests the brokers of a cluster through the tunnel, which records them.
func queryCluster(ctx context.Context, address string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ClientID("kafka-tunnel"), kgo.DisableClientMetrics(), kgo.RetryTimeout(0), kgo.RequestRetries(1<<30))
	if err != nil {
		return err
	}
	defer cl.Close()
	_, err = kadm.NewClient(cl).ListBrokers(ctx)
	return err
}

// queryFailed returns an error that names the failing hop, or reports that no hop fails.
func queryFailed(t *tunnel.Tunnel, name string, err error) error {
	for _, c := range t.Ready(context.Background(), name).Clusters {
		if c.Code != "" {
			return fmt.Errorf("cluster %s: no response from the brokers: %s (%s)\n%s", name, c.Summary, c.Code, c.Advice)
		}
	}
	return errors.Join(fmt.Errorf("cluster %s: no response from the brokers, although the path to them works. They may require SASL: let a client connect through the running tunnel and use --from-running", name), err)
}

func clusterNames(clusters []admin.ClusterStatus) string {
	var names []string
	for _, c := range clusters {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}
