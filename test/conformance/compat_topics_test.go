//go:build conformance

package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// feedCompat fills a topic without the tunnel.
func feedCompat(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableIdempotentWrite())
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for i := range s.fed() {
		key, value := compatRecord(s, i)
		records = append(records, &kgo.Record{Key: key, Value: value, Timestamp: time.UnixMilli(compatTime(i))})
	}
	if s.over > 0 {
		return feedSlowly(ctx, client, records, s.over/time.Duration(s.count))
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

// feedSlowly writes one record at each tick.
func feedSlowly(ctx context.Context, client *kgo.Client, records []*kgo.Record, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for _, r := range records {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// newTopic creates a topic without the tunnel and returns when every broker knows it: some
// clients give up if their broker does not know it yet.
func newTopic(ctx context.Context, c *realkafka.Cluster, topic string) error {
	return c.Ask(func(client *kgo.Client) error {
		if _, err := kadm.NewClient(client).CreateTopic(ctx, 3, int16(min(len(c.Brokers), 3)), nil, topic); err != nil {
			return err
		}
		for _, b := range c.Brokers {
			if err := again(ctx, func() error { return knowsTopic(ctx, client, b.ID, topic) }); err != nil {
				return fmt.Errorf("broker %d: %w", b.ID, err)
			}
		}
		return nil
	})
}

// knowsTopic checks whether one broker knows all leaders of a topic.
func knowsTopic(ctx context.Context, client *kgo.Client, broker int, topic string) error {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	answer, err := client.Broker(broker).Request(ctx, req)
	if err != nil {
		return err
	}
	topics := answer.(*kmsg.MetadataResponse).Topics
	if len(topics) != 1 || topics[0].ErrorCode != 0 || len(topics[0].Partitions) != 3 {
		return errors.New("it does not know the topic yet")
	}
	for _, p := range topics[0].Partitions {
		if p.ErrorCode != 0 || p.Leader < 0 {
			return errors.New("a partition has no leader yet")
		}
	}
	return nil
}

// readBack reads a whole topic without the tunnel: only committed records, each partition in
// order.
func readBack(ctx context.Context, c *realkafka.Cluster, topic string, each func(*kgo.Record)) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// Markers are included although they are not records: one may be the only entry at the
		// end of a partition.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ends, err := admin.ListCommittedOffsets(ctx, topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return fmt.Errorf("offsets of %s: %w", topic, err)
	}
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err = errors.Join(err, starts.Error()); err != nil {
		return fmt.Errorf("offsets of %s: %w", topic, err)
	}
	missing := map[int32]int64{} // partition to end offset
	ends.Each(func(end kadm.ListedOffset) {
		if start, _ := starts.Lookup(topic, end.Partition); end.Offset > start.Offset {
			missing[end.Partition] = end.Offset
		}
	})
	for len(missing) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s without the tunnel: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				each(r)
			}
			if r.Offset+1 >= missing[r.Partition] {
				delete(missing, r.Partition)
			}
		})
	}
	return nil
}
