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
	case "seek":
		return s.seek(t, r)
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

func (s samsa) seek(t task, r *result) error {
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
		from, err := c.GetOffset(t["topic"], p, t.int64("time"))
		if err != nil {
			return err
		}
		end, err := c.GetOffset(t["topic"], p, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		if from < 0 || from >= end {
			continue
		}
		one, err := consumer.ConsumePartition(t["topic"], p, from)
		if err != nil {
			return err
		}
		for m := range one.Messages() {
			if r.add(m.Partition, m.Key, m.Value); m.Offset+1 >= end {
				break
			}
		}
		if err := one.Close(); err != nil {
			return err
		}
	}
	return consumer.Close()
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
