//go:build confluent

package main

import (
	"context"
	"errors"
	"iter"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

func (confluent) keepProducing(t task, numbers iter.Seq[int]) error {
	p, err := kafka.NewProducer(&kafka.ConfigMap{
		"bootstrap.servers": t["bootstrap"], "acks": "-1", "enable.idempotence": t["idempotent"] == "true", "message.timeout.ms": int(patience.Milliseconds()),
	})
	if err != nil {
		return err
	}
	var failed firstError
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range p.Events() {
			switch e := e.(type) {
			case *kafka.Message:
				failed.set(e.TopicPartition.Error)
			case kafka.Error:
				if e.IsFatal() {
					failed.set(e)
				}
			}
		}
	}()
	topic := t["topic"]
	for i := range numbers {
		r := make1(t, i, "key-")
		failed.set(p.Produce(&kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}, Key: r.key, Value: r.value}, nil))
		if failed.get() != nil {
			break
		}
	}
	if p.Flush(int(patience.Milliseconds())) > 0 {
		failed.set(errors.New("not all records were acknowledged"))
	}
	p.Close()
	<-done
	return failed.get()
}

func (confluent) keepConsuming(ctx context.Context, t task, k *kept) error {
	m := kafka.ConfigMap{"bootstrap.servers": t["bootstrap"], "group.id": t["group"], "auto.offset.reset": "earliest", "enable.auto.commit": false}
	if t["protocol"] == "consumer" {
		m["group.protocol"] = "consumer"
	}
	if t["assignor"] == "cooperative" {
		m["partition.assignment.strategy"] = "cooperative-sticky"
	}
	if t["instance"] != "" {
		m["group.instance.id"] = t["instance"]
	}
	c, err := kafka.NewConsumer(&m)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Subscribe(t["topic"], nil); err != nil {
		return err
	}
	wait, open := 200, false // milliseconds; something is not committed yet
	for ctx.Err() == nil {
		switch e := c.Poll(wait).(type) {
		case *kafka.Message:
			k.add(e.TopicPartition.Partition, int64(e.TopicPartition.Offset), e.Key, e.Value)
			wait, open = 0, true
		case kafka.Error:
			if e.IsFatal() {
				return e
			}
			complain(ctx, e)
		case nil:
			if open {
				if _, err := c.Commit(); err != nil { // what it leaves open is in the next one
					complain(ctx, err)
				}
			}
			wait, open = 200, false
		}
	}
	return nil
}
