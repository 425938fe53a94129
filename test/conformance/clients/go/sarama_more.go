package main

import (
	"context"
	"errors"

	"github.com/IBM/sarama"
)

// more does what not every library can.
func (s samsa) more(ctx context.Context, t task, r *result) (err error) {
	switch t["do"] {
	case "acls":
		r.Count, err = s.acls(t)
		return err
	case "fetch":
		return s.read(ctx, t, r, sarama.OffsetOldest)
	case "seek":
		return s.read(ctx, t, r, t.int64("time"))
	case "fence":
		return s.fence(ctx, t)
	}
	return errUnsupported
}

func (s samsa) acls(t task) (n int, err error) {
	config, err := s.config(t)
	if err != nil {
		return 0, err
	}
	a, err := sarama.NewClusterAdmin([]string{t["bootstrap"]}, config)
	if err != nil {
		return 0, err
	}
	topic := t["topic"]
	found, err := a.ListAcls(sarama.AclFilter{
		ResourceType: sarama.AclResourceTopic, ResourceName: &topic, ResourcePatternTypeFilter: sarama.AclPatternAny,
		PermissionType: sarama.AclPermissionAny, Operation: sarama.AclOperationAny,
	})
	for _, one := range found {
		n += len(one.Acls)
	}
	return n, errors.Join(err, a.Close())
}

// read reads all partitions, one after the other, from a time on, which may be the oldest
// record's.
func (s samsa) read(ctx context.Context, t task, r *result, from int64) error {
	config, err := s.config(t)
	if err != nil {
		return err
	}
	c, err := sarama.NewClient([]string{t["bootstrap"]}, config)
	if err != nil {
		return err
	}
	defer c.Close()
	partitions, err := c.Partitions(t["topic"])
	if err != nil {
		return err
	}
	consumer, err := sarama.NewConsumerFromClient(c)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		start, err1 := c.GetOffset(t["topic"], p, from)
		end, err2 := c.GetOffset(t["topic"], p, sarama.OffsetNewest)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if start < 0 || start >= end {
			continue
		}
		if err := s.readTo(ctx, consumer, t, r, p, start, end); err != nil {
			return err
		}
	}
	return consumer.Close()
}

// readTo reads the records of one partition from start to end.
func (samsa) readTo(ctx context.Context, consumer sarama.Consumer, t task, r *result, partition int32, start, end int64) error {
	one, err := consumer.ConsumePartition(t["topic"], partition, start)
	if err != nil {
		return err
	}
	for next := start; next < end; {
		select {
		case m := <-one.Messages():
			r.add(m.Partition, m.Key, m.Value)
			next = m.Offset + 1
		case <-ctx.Done():
			return errors.Join(ctx.Err(), one.Close())
		}
	}
	return one.Close()
}

// fence lets a second producer take the transactional id of the first.
func (s samsa) fence(ctx context.Context, t task) error {
	zombie, err := s.producer(t)
	if err != nil {
		return err
	}
	late := func() error {
		_, _, err := zombie.SendMessage(&sarama.ProducerMessage{Topic: t["topic"], Key: sarama.StringEncoder("zombie"), Value: sarama.StringEncoder("zombie")})
		return err
	}
	if err := errors.Join(zombie.BeginTxn(), late()); err != nil {
		return err
	}
	second, err := s.producer(t)
	if err != nil {
		return err
	}
	if err := errors.Join(second.BeginTxn(), s.send(ctx, second, t, "key-"), second.CommitTxn(), second.Close()); err != nil {
		return err
	}
	if errors.Join(late(), zombie.CommitTxn()) == nil {
		return errNotFenced
	}
	_ = zombie.Close()
	return nil
}
