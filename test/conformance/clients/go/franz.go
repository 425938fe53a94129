package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type franz struct{}

func (f franz) do(ctx context.Context, t task, r *result) (err error) {
	switch t["do"] {
	case "produce":
		return f.produce(ctx, t)
	case "consume":
		return f.consume(ctx, t, r)
	case "transact":
		return f.transact(ctx, t)
	case "admin":
		r.Count, err = f.admin(ctx, t)
		return err
	}
	return f.more(ctx, t, r)
}

func codec(name string) kgo.CompressionCodec {
	switch name {
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	}
	return kgo.NoCompression()
}

func (f franz) open(t task, opts ...kgo.Opt) (*kgo.Client, error) {
	security, err := f.security(t)
	if err != nil {
		return nil, err
	}
	opts = append(opts, security...)
	if t["client"] != "" {
		opts = append(opts, kgo.ClientID(t["client"]))
	}
	if t["rack"] != "" {
		opts = append(opts, kgo.Rack(t["rack"]))
	}
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(t["bootstrap"]), kgo.ProducerBatchCompression(codec(t["compression"])), kgo.DefaultProduceTopic(t["topic"])}, opts...)...)
}

func (f franz) produce(ctx context.Context, t task) error {
	acks := map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck()}
	opts := []kgo.Opt{}
	if a, ok := acks[t["acks"]]; ok {
		opts = append(opts, kgo.RequiredAcks(a))
	}
	if t["idempotent"] != "true" {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	cl, err := f.open(t, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	// Records wait for as long as their context lives, also when the password is wrong.
	if t.wantsSASL() {
		if err := cl.Ping(ctx); err != nil {
			return err
		}
	}
	if t["over"] != "" {
		return f.slowly(ctx, cl, t)
	}
	return f.send(ctx, cl, t, "key-")
}

func (franz) send(ctx context.Context, cl *kgo.Client, t task, prefix string) error {
	var records []*kgo.Record
	for i := range t.count() {
		r := make1(t, i, prefix)
		one := &kgo.Record{Key: r.key, Value: r.value}
		if t["headers"] == "true" {
			one.Headers = []kgo.RecordHeader{{Key: "n", Value: []byte(r.number)}}
		}
		records = append(records, one)
	}
	if t["idle"] != "" {
		half := records[:len(records)/2]
		if err := cl.ProduceSync(ctx, half...).FirstErr(); err != nil {
			return err
		}
		t.idle(ctx)
		records = records[len(half):]
	}
	return cl.ProduceSync(ctx, records...).FirstErr()
}

func (f franz) transact(ctx context.Context, t task) error {
	cl, err := f.open(t, kgo.TransactionalID(t["transactional"]))
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, end := range []struct {
		prefix string
		how    kgo.TransactionEndTry
	}{{"key-", kgo.TryCommit}, {"aborted-", kgo.TryAbort}} {
		if err := cl.BeginTransaction(); err != nil {
			return err
		}
		if err := f.send(ctx, cl, t, end.prefix); err != nil {
			return err
		}
		if err := cl.EndTransaction(ctx, end.how); err != nil {
			return err
		}
	}
	return nil
}

func (f franz) consume(ctx context.Context, t task, r *result) error {
	opts := []kgo.Opt{kgo.ConsumerGroup(t["group"]), kgo.ConsumeTopics(t["topic"]), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit()}
	if t["isolation"] == "read_committed" {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if t["protocol"] == "consumer" {
		opts = append(opts, kgo.WithContext(context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true))) //nolint:staticcheck // the library's own word
	}
	cl, err := f.open(t, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := f.poll(ctx, cl, t, r); err != nil {
		return err
	}
	return cl.CommitUncommittedOffsets(ctx)
}

func (f franz) admin(ctx context.Context, t task) (int, error) {
	cl, err := f.open(t)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	a := kadm.NewClient(cl)
	_, err1 := a.CreateTopic(ctx, 3, 1, nil, t.made())
	_, err2 := a.ListTopics(ctx)
	_, err3 := a.DescribeTopicConfigs(ctx, t["topic"])
	m, err4 := a.BrokerMetadata(ctx)
	err7 := f.describe(ctx, cl, t["topic"])
	_, err5 := a.ListGroups(ctx)
	_, err6 := a.DeleteTopic(ctx, t.made())
	return len(m.Brokers), errors.Join(err1, err2, err3, err4, err5, err6, err7)
}
