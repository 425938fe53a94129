//go:build confluent

package main

import (
	"context"
	"errors"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// more does what not every library can.
func (c confluent) more(ctx context.Context, t task, r *result) (err error) {
	switch t["do"] {
	case "acls":
		r.Count, err = c.acls(ctx, t)
		return err
	case "seek":
		return c.seek(ctx, t, r)
	case "fence":
		return c.fence(ctx, t)
	}
	return errUnsupported
}

func (c confluent) acls(ctx context.Context, t task) (int, error) {
	m := c.config(t)
	a, err := kafka.NewAdminClient(&m)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	found, err := a.DescribeACLs(ctx, kafka.ACLBindingFilter{
		Type: kafka.ResourceTopic, Name: t["topic"], ResourcePatternType: kafka.ResourcePatternTypeLiteral,
		Operation: kafka.ACLOperationAny, PermissionType: kafka.ACLPermissionTypeAny,
	})
	if err != nil {
		return 0, err
	}
	if found.Error.Code() != kafka.ErrNoError {
		return 0, found.Error
	}
	return len(found.ACLBindings), nil
}

func (c confluent) seek(ctx context.Context, t task, r *result) error {
	m := c.config(t)
	m["group.id"], m["enable.auto.commit"] = t["group"], false
	consumer, err := kafka.NewConsumer(&m)
	if err != nil {
		return err
	}
	defer consumer.Close()
	topic := t["topic"]
	var ask []kafka.TopicPartition
	for p := range int32(3) {
		ask = append(ask, kafka.TopicPartition{Topic: &topic, Partition: p, Offset: kafka.Offset(t.int64("time"))})
	}
	from, err := consumer.OffsetsForTimes(ask, 30_000)
	if err != nil {
		return err
	}
	if err := consumer.Assign(from); err != nil {
		return err
	}
	return c.read(ctx, consumer, t, r)
}

// fence lets a second producer take the transactional id of the first.
func (c confluent) fence(ctx context.Context, t task) error {
	open := func() (*kafka.Producer, error) {
		m := c.config(t)
		p, err := kafka.NewProducer(&m)
		if err != nil {
			return nil, err
		}
		return p, errors.Join(p.InitTransactions(ctx), p.BeginTransaction())
	}
	zombie, err := open()
	if err != nil {
		return err
	}
	defer zombie.Close()
	topic := t["topic"]
	late := func() error {
		came := make(chan kafka.Event, 1)
		m := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}, Key: []byte("zombie"), Value: []byte("zombie")}
		if err := zombie.Produce(m, came); err != nil {
			return err
		}
		if m, ok := (<-came).(*kafka.Message); ok {
			return m.TopicPartition.Error
		}
		return nil
	}
	if err := late(); err != nil {
		return err
	}
	second, err := open()
	if err != nil {
		return err
	}
	defer second.Close()
	if err := errors.Join(c.send(ctx, second, t, "key-"), second.CommitTransaction(ctx)); err != nil {
		return err
	}
	if errors.Join(late(), zombie.CommitTransaction(ctx)) == nil {
		return errNotFenced
	}
	return nil
}
