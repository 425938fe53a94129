package main

import (
	"context"
	"iter"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func (franz) keepProducing(t task, numbers iter.Seq[int]) error {
	opts := []kgo.Opt{kgo.SeedBrokers(t.bootstraps()...), kgo.DefaultProduceTopic(t["topic"]), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordDeliveryTimeout(patience)}
	if t["idempotent"] != "true" {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed firstError
	for i := range numbers {
		r := make1(t, i, "key-")
		cl.Produce(context.Background(), &kgo.Record{Key: r.key, Value: r.value}, func(_ *kgo.Record, err error) { failed.set(err) })
		if failed.get() != nil {
			break
		}
	}
	err = cl.Flush(context.Background())
	if failed.get() != nil {
		return failed.get()
	}
	return err
}

func (franz) keepConsuming(ctx context.Context, t task, k *kept) error {
	opts := []kgo.Opt{
		kgo.SeedBrokers(t.bootstraps()...), kgo.ConsumerGroup(t["group"]), kgo.ConsumeTopics(t["topic"]),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		// No partition goes to another member before what came of it is committed.
		kgo.BlockRebalanceOnPoll(),
	}
	switch {
	case t["protocol"] == "consumer":
		opts = append(opts, kgo.WithContext(context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true))) //nolint:staticcheck // the library's own word
	case t["assignor"] == "cooperative":
		opts = append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	default:
		opts = append(opts, kgo.Balancers(kgo.RangeBalancer()))
	}
	if t["instance"] != "" {
		opts = append(opts, kgo.InstanceID(t["instance"]))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		fetches.EachRecord(func(r *kgo.Record) { k.add(r.Partition, r.Offset, r.Key, r.Value) })
		if err := fetches.Err(); err != nil && ctx.Err() == nil {
			complain(ctx, err)
		}
		if err := franzCommit(cl); err != nil {
			complain(ctx, err)
		}
		cl.AllowRebalance()
	}
	return nil
}

// franzCommit commits what came. What a commit that fails leaves open is in the next one.
func franzCommit(cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return cl.CommitUncommittedOffsets(ctx)
}
