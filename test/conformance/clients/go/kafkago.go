package main

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
)

type segment struct{}

func (s segment) do(ctx context.Context, t task, r *result) (err error) {
	switch t["do"] {
	case "produce":
		return s.produce(ctx, t)
	case "consume":
		return s.consume(ctx, t, r)
	case "admin":
		r.Count, err = s.admin(ctx, t)
		return err
	}
	return s.more(ctx, t, r)
}

func (s segment) produce(ctx context.Context, t task) error {
	if t["idempotent"] == "true" {
		return errUnsupported
	}
	w := &kafka.Writer{
		Addr: kafka.TCP(t["bootstrap"]), Topic: t["topic"], Balancer: &kafka.Hash{}, BatchTimeout: 5 * time.Millisecond, BatchBytes: 1_000_000,
		RequiredAcks: map[string]kafka.RequiredAcks{"0": kafka.RequireNone, "1": kafka.RequireOne, "-1": kafka.RequireAll, "": kafka.RequireAll}[t["acks"]],
		Compression:  map[string]kafka.Compression{"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}[t["compression"]],
	}
	var err error
	if w.Transport, err = s.transport(t); err != nil {
		return err
	}
	if t["over"] != "" {
		return errors.Join(s.slowly(ctx, w, t), w.Close())
	}
	if t["patient"] != "" {
		w.Transport, w.MaxAttempts = &kafka.Transport{DialTimeout: 15 * time.Second}, 20
	}
	var all []kafka.Message
	for i := range t.count() {
		r := make1(t, i, "key-")
		m := kafka.Message{Key: r.key, Value: r.value}
		if t["headers"] == "true" {
			m.Headers = []kafka.Header{{Key: "n", Value: []byte(r.number)}}
		}
		all = append(all, m)
	}
	if t["idle"] != "" {
		half := all[:len(all)/2]
		if err := w.WriteMessages(ctx, half...); err != nil {
			return err
		}
		t.idle(ctx)
		all = all[len(half):]
	}
	err = w.WriteMessages(ctx, all...)
	// It asks for metadata once and then fails; nothing has been written then.
	for written := (kafka.WriteErrors)(nil); err != nil && t["patient"] != "" && ctx.Err() == nil && !errors.As(err, &written); {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
		err = w.WriteMessages(ctx, all...)
	}
	return errors.Join(err, w.Close())
}

func (s segment) consume(ctx context.Context, t task, r *result) error {
	if t["protocol"] == "consumer" || t["rack"] != "" {
		return errUnsupported
	}
	c := kafka.ReaderConfig{Brokers: []string{t["bootstrap"]}, GroupID: t["group"], Topic: t["topic"], StartOffset: kafka.FirstOffset, MaxWait: 500 * time.Millisecond, MaxBytes: 10_000_000}
	if t["isolation"] == "read_committed" {
		c.IsolationLevel = kafka.ReadCommitted
	}
	var err error
	if c.Dialer, err = s.dialer(t); err != nil {
		return err
	}
	reader := kafka.NewReader(c)
	last := map[int]kafka.Message{}
	for r.Count < t.count() {
		m, err := reader.FetchMessage(ctx)
		if err != nil {
			return err
		}
		r.add(int32(m.Partition), m.Key, m.Value)
		last[m.Partition] = m
		// It loses its place in the group with a connection.
		if t["over"] != "" {
			if err := reader.CommitMessages(ctx, m); err != nil {
				return err
			}
		}
	}
	for _, m := range last {
		if err := reader.CommitMessages(ctx, m); err != nil {
			return err
		}
	}
	return reader.Close()
}

func (s segment) admin(ctx context.Context, t task) (int, error) {
	transport, err := s.transport(t)
	if err != nil {
		return 0, err
	}
	c := &kafka.Client{Addr: kafka.TCP(t["bootstrap"]), Transport: transport}
	_, err1 := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: t.made(), NumPartitions: 3, ReplicationFactor: 1}}})
	m, err2 := c.Metadata(ctx, &kafka.MetadataRequest{})
	_, err3 := c.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: t["topic"]}}})
	_, err4 := c.ListGroups(ctx, &kafka.ListGroupsRequest{})
	_, err5 := c.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{t.made()}})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return 0, err
	}
	return len(m.Brokers), nil
}
