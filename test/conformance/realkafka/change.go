package realkafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Stop stops a broker cleanly: it hands its partitions over first.
func (b *Broker) Stop() { b.proc.Stop(stopGrace) }

// Prepare creates a broker that joins later, with its addresses, and does not start it. It will
// not be a controller.
func (c *Cluster) Prepare(ctx context.Context, id int) (*Broker, error) {
	if c.options.Release.ZooKeeper {
		return nil, errors.New("realkafka: brokers join clusters without ZooKeeper only")
	}
	free, err := FreePorts(2)
	if err != nil {
		return nil, err
	}
	b, settings, err := prepare(c.options, ports{id: id, client: free[0], internal: free[1]}, c.voters)
	if err != nil {
		return nil, err
	}
	b.args = c.options.brokerArgs(c.archive, settings)
	return b, c.options.Jars.format(ctx, b.dir, c.id, settings)
}

// Add starts a prepared broker and returns when the whole cluster knows it.
func (c *Cluster) Add(ctx context.Context, b *Broker) error {
	if err := b.start(); err != nil {
		return err
	}
	c.Brokers = append(c.Brokers, b)
	return c.waitReady(ctx)
}

// Remove stops a broker that has no replicas any more, and removes it from the cluster.
func (c *Cluster) Remove(ctx context.Context, b *Broker) error {
	b.Stop()
	c.Brokers = slices.DeleteFunc(c.Brokers, func(other *Broker) bool { return other == b })
	err := c.Ask(func(client *kgo.Client) error {
		request := kmsg.NewPtrUnregisterBrokerRequest()
		request.BrokerID = int32(b.ID)
		response, err := request.RequestWith(ctx, client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(response.ErrorCode)
	})
	if err != nil {
		return fmt.Errorf("realkafka: unregister broker %d: %w", b.ID, err)
	}
	return c.waitReady(ctx)
}

// Await returns when every broker serves and all replicas are in sync.
func (c *Cluster) Await(ctx context.Context) error {
	if err := c.waitReady(ctx); err != nil {
		return err
	}
	return c.repeat(ctx, "replicas in sync", func(client *kgo.Client) error {
		return eachPartition(ctx, client, func(topic string, p kmsg.MetadataResponseTopicPartition) error {
			if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
				return fmt.Errorf("%s-%d: leader %d, in sync %v of %v", topic, p.Partition, p.Leader, p.ISR, p.Replicas)
			}
			return nil
		})
	})
}

// Reassign gives every partition the replicas that pick returns for it, the preferred leader
// first, and returns when they have them. Partitions for which pick returns the current
// replicas are not changed.
func (c *Cluster) Reassign(ctx context.Context, pick func(replicas []int32) []int32) error {
	err := c.Ask(func(client *kgo.Client) error {
		var wanted kadm.AlterPartitionAssignmentsReq
		if err := eachPartition(ctx, client, func(topic string, p kmsg.MetadataResponseTopicPartition) error {
			if replicas := pick(slices.Clone(p.Replicas)); !slices.Equal(replicas, p.Replicas) {
				wanted.Assign(topic, p.Partition, replicas)
			}
			return nil
		}); err != nil || len(wanted) == 0 {
			return err
		}
		answer, err := kadm.NewClient(client).AlterPartitionAssignments(ctx, wanted)
		return errors.Join(err, answer.Error())
	})
	if err != nil {
		return fmt.Errorf("realkafka: reassign: %w", err)
	}
	return c.repeat(ctx, "reassignments", func(client *kgo.Client) error {
		response, err := kmsg.NewPtrListPartitionReassignmentsRequest().RequestWith(ctx, client)
		if err == nil && len(response.Topics) > 0 {
			err = fmt.Errorf("%d topics are still moving", len(response.Topics))
		}
		return err
	})
}

// ElectPreferred makes the first replica of each partition its leader.
func (c *Cluster) ElectPreferred(ctx context.Context) error {
	return c.repeat(ctx, "preferred leaders", func(client *kgo.Client) error {
		topics, err := kadm.NewClient(client).ElectLeaders(ctx, kadm.ElectPreferredReplica, nil)
		for _, partitions := range topics {
			for _, p := range partitions {
				if p.Err != nil && !errors.Is(p.Err, kerr.ElectionNotNeeded) {
					err = errors.Join(err, fmt.Errorf("%s-%d: %w", p.Topic, p.Partition, p.Err))
				}
			}
		}
		return err
	})
}

// Ask runs a function with a client that is connected to the brokers directly.
func (c *Cluster) Ask(do func(*kgo.Client) error) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	return do(client)
}

// eachPartition visits the partitions of all topics, including Kafka's own. It sends the
// request itself because kadm may answer from memory.
func eachPartition(ctx context.Context, client *kgo.Client, see func(topic string, p kmsg.MetadataResponseTopicPartition) error) error {
	response, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if err := see(*t.Topic, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// repeat calls the function until there is no error, or ctx is done.
func (c *Cluster) repeat(ctx context.Context, what string, do func(*kgo.Client) error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	return c.Ask(func(client *kgo.Client) error {
		for {
			err := do(client)
			if err == nil {
				return nil
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("realkafka: %s: %w", what, errors.Join(err, ctx.Err()))
			}
		}
	})
}
