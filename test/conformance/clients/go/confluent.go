//go:build confluent

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

func init() { more["confluent-kafka-go"] = confluent{} }

// confluent is librdkafka, linked statically.
type confluent struct{}

func (c confluent) do(ctx context.Context, t task, r *result) (err error) {
	if t["handshake"] != "" {
		return errUnsupported // it uses the newest version
	}
	switch t["do"] {
	case "produce":
		return c.produce(ctx, t)
	case "consume":
		return c.consume(ctx, t, r)
	case "fetch":
		return c.fetch(ctx, t, r)
	case "transact":
		return c.transact(ctx, t)
	case "admin":
		r.Count, err = c.admin(ctx, t)
		return err
	}
	return c.more(ctx, t, r)
}

func (x confluent) config(t task) kafka.ConfigMap {
	c := kafka.ConfigMap{"bootstrap.servers": t["bootstrap"]}
	for _, word := range [][2]string{{"acks", "acks"}, {"compression", "compression.type"}, {"transactional", "transactional.id"}, {"client", "client.id"}, {"rack", "client.rack"}} {
		if value, ok := t[word[0]]; ok {
			c[word[1]] = value
		}
	}
	x.security(t, c)
	if t["do"] == "produce" {
		c["enable.idempotence"] = t["idempotent"] == "true"
	}
	return c
}

func (c confluent) produce(ctx context.Context, t task) error {
	m := c.config(t)
	p, err := kafka.NewProducer(&m)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := c.authorize(t, p); err != nil {
		return err
	}
	if t["over"] != "" {
		return c.slowly(ctx, p, t)
	}
	return c.send(ctx, p, t, "key-")
}

func (c confluent) send(ctx context.Context, p *kafka.Producer, t task, prefix string) error {
	topic := t["topic"]
	came := make(chan kafka.Event, t.count())
	for i := range t.count() {
		if i == t.count()/2 && t["idle"] != "" {
			p.Flush(10_000)
			t.idle(ctx)
		}
		r := make1(t, i, prefix)
		m := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}, Key: r.key, Value: r.value}
		if t["headers"] == "true" {
			m.Headers = []kafka.Header{{Key: "n", Value: []byte(r.number)}}
		}
		if err := p.Produce(m, came); err != nil {
			return err
		}
	}
	for range t.count() {
		if err := c.delivered(p, came); err != nil {
			return err
		}
	}
	return nil
}

func (c confluent) transact(ctx context.Context, t task) error {
	m := c.config(t)
	p, err := kafka.NewProducer(&m)
	if err != nil {
		return err
	}
	defer p.Close()
	return errors.Join(p.InitTransactions(ctx), p.BeginTransaction(), c.send(ctx, p, t, "key-"), p.CommitTransaction(ctx),
		p.BeginTransaction(), c.send(ctx, p, t, "aborted-"), p.AbortTransaction(ctx))
}

func (c confluent) consume(ctx context.Context, t task, r *result) error {
	m := c.config(t)
	m["group.id"], m["auto.offset.reset"], m["enable.auto.commit"] = t["group"], "earliest", false
	m["isolation.level"] = "read_uncommitted"
	if t["isolation"] != "" {
		m["isolation.level"] = t["isolation"]
	}
	if t["protocol"] == "consumer" {
		m["group.protocol"] = "consumer"
	}
	consumer, err := kafka.NewConsumer(&m)
	if err != nil {
		return err
	}
	defer consumer.Close()
	if err := c.authorize(t, consumer); err != nil {
		return err
	}
	if err := consumer.Subscribe(t["topic"], nil); err != nil {
		return err
	}
	if err := c.read(ctx, consumer, t, r); err != nil {
		return err
	}
	_, err = consumer.Commit()
	return err
}

// fetch reads all partitions from their beginnings, without a group.
func (c confluent) fetch(ctx context.Context, t task, r *result) error {
	m := c.config(t)
	m["group.id"], m["enable.auto.commit"] = t["group"], false // it wants a name, and joins nothing
	consumer, err := kafka.NewConsumer(&m)
	if err != nil {
		return err
	}
	defer consumer.Close()
	topic := t["topic"]
	meta, err := consumer.GetMetadata(&topic, false, int((30 * time.Second).Milliseconds()))
	if err != nil {
		return err
	}
	var all []kafka.TopicPartition
	for _, p := range meta.Topics[topic].Partitions {
		all = append(all, kafka.TopicPartition{Topic: &topic, Partition: p.ID, Offset: kafka.OffsetBeginning})
	}
	if err := consumer.Assign(all); err != nil {
		return err
	}
	return c.read(ctx, consumer, t, r)
}

func (confluent) read(ctx context.Context, consumer *kafka.Consumer, t task, r *result) error {
	for r.Count < t.count() {
		if ctx.Err() != nil {
			return fmt.Errorf("only %d records: %w", r.Count, ctx.Err())
		}
		switch e := consumer.Poll(200).(type) {
		case *kafka.Message:
			r.add(e.TopicPartition.Partition, e.Key, e.Value)
		case kafka.Error:
			if e.IsFatal() {
				return e
			}
		}
	}
	return nil
}

func (c confluent) admin(ctx context.Context, t task) (int, error) {
	m := c.config(t)
	a, err := kafka.NewAdminClient(&m)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	topic := t["topic"]
	_, err1 := a.CreateTopics(ctx, []kafka.TopicSpecification{{Topic: t.made(), NumPartitions: 3, ReplicationFactor: 1}})
	meta, err2 := a.GetMetadata(nil, true, int((30 * time.Second).Milliseconds()))
	_, err3 := a.DescribeConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: topic}})
	_, err4 := a.ListConsumerGroups(ctx)
	_, err5 := a.DeleteTopics(ctx, []string{t.made()})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return 0, err
	}
	return len(meta.Brokers), nil
}
