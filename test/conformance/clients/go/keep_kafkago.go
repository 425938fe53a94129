package main

import (
	"context"
	"iter"
	"time"

	"github.com/segmentio/kafka-go"
)

func (segment) keepProducing(t task, numbers iter.Seq[int]) error {
	if t["idempotent"] == "true" {
		return errUnsupported
	}
	w := &kafka.Writer{
		Addr: kafka.TCP(t.bootstraps()...), Topic: t["topic"], Balancer: &kafka.Hash{}, BatchTimeout: 5 * time.Millisecond, RequiredAcks: kafka.RequireAll,
		Transport: &kafka.Transport{DialTimeout: 15 * time.Second}, MaxAttempts: 200, WriteBackoffMax: time.Second,
	}
	for i := range numbers {
		r := make1(t, i, "key-")
		if err := segmentWrite(w, kafka.Message{Key: r.key, Value: r.value}); err != nil {
			return err
		}
	}
	return w.Close()
}

// segmentWrite tries again whatever the error is: the library asks for metadata once, and
// takes a partition that has no leader now for lost. A record may come twice then.
func segmentWrite(w *kafka.Writer, m kafka.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := w.WriteMessages(ctx, m)
		if err == nil || ctx.Err() != nil {
			return err
		}
		complain(ctx, err)
	}
}

func (segment) keepConsuming(ctx context.Context, t task, k *kept) error {
	if t["protocol"] == "consumer" || t["assignor"] != "" || t["instance"] != "" {
		return errUnsupported
	}
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: t.bootstraps(), GroupID: t["group"], Topic: t["topic"], StartOffset: kafka.FirstOffset, MaxWait: 500 * time.Millisecond, MaxBytes: 10_000_000,
		Dialer: &kafka.Dialer{Timeout: 15 * time.Second}, JoinGroupBackoff: time.Second,
	})
	for ctx.Err() == nil {
		m, err := reader.FetchMessage(ctx)
		if err != nil {
			if ctx.Err() == nil {
				complain(ctx, err)
			}
			continue
		}
		k.add(int32(m.Partition), m.Offset, m.Key, m.Value)
		if err := segmentCommit(reader, m); err != nil {
			complain(ctx, err)
		}
	}
	return reader.Close()
}

func segmentCommit(reader *kafka.Reader, m kafka.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return reader.CommitMessages(ctx, m)
}
