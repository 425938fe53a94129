package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The task fetch: all partitions from their beginnings, without a group.

func (f franz) fetch(ctx context.Context, t task, r *result) error {
	cl, err := f.open(t, kgo.ConsumeTopics(t["topic"]), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for r.Count < t.count() {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(one *kgo.Record) { r.add(one.Partition, one.Key, one.Value) })
	}
	return nil
}

func (s samsa) fetch(ctx context.Context, t task, r *result) error {
	config, err := s.config(t)
	if err != nil {
		return err
	}
	c, err := sarama.NewConsumer([]string{t["bootstrap"]}, config)
	if err != nil {
		return err
	}
	partitions, err := c.Partitions(t["topic"])
	if err != nil {
		return err
	}
	all := make(chan *sarama.ConsumerMessage)
	for _, p := range partitions {
		own, err := c.ConsumePartition(t["topic"], p, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		defer own.AsyncClose()
		go func() {
			for m := range own.Messages() {
				select {
				case all <- m:
				case <-ctx.Done():
				}
			}
		}()
	}
	for r.Count < t.count() {
		select {
		case m := <-all:
			r.add(m.Partition, m.Key, m.Value)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (segment) fetch(ctx context.Context, t task, r *result) error {
	c := &kafka.Client{Addr: kafka.TCP(t["bootstrap"])}
	m, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{t["topic"]}})
	if err != nil {
		return err
	}
	var last []kafka.OffsetRequest
	for _, p := range m.Topics[0].Partitions {
		last = append(last, kafka.LastOffsetOf(p.ID))
	}
	ends, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{t["topic"]: last}})
	if err != nil {
		return err
	}
	for _, end := range ends.Topics[t["topic"]] {
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{t["bootstrap"]}, Topic: t["topic"], Partition: end.Partition, MaxWait: 500 * time.Millisecond, MaxBytes: 10_000_000})
		for next := int64(0); next < end.LastOffset; {
			m, err := reader.ReadMessage(ctx)
			if err != nil {
				return errors.Join(err, reader.Close())
			}
			r.add(int32(m.Partition), m.Key, m.Value)
			next = m.Offset + 1
		}
		if err := reader.Close(); err != nil {
			return err
		}
	}
	return nil
}
