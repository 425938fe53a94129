package main

import (
	"context"
	"iter"
	"math"
	"time"

	"github.com/IBM/sarama"
)

// keeping is the configuration of a client that outlives all brokers.
func (s samsa) keeping(t task) (*sarama.Config, error) {
	c, err := s.config(t)
	if err != nil {
		return nil, err
	}
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = 120, time.Second
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = math.MaxInt16, 250*time.Millisecond
	c.Consumer.Return.Errors = true
	c.Consumer.Group.InstanceId = t["instance"]
	if t["assignor"] == "cooperative" {
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	}
	return c, nil
}

func (s samsa) keepProducing(t task, numbers iter.Seq[int]) error {
	config, err := s.keeping(t)
	if err != nil {
		return err
	}
	p, err := sarama.NewAsyncProducer(t.bootstraps(), config)
	if err != nil {
		return err
	}
	var failed firstError
	done := make(chan struct{})
	go func() {
		defer close(done)
		for err := range p.Errors() {
			failed.set(err.Err)
		}
	}()
	go func() {
		for range p.Successes() { //nolint:revive // they have to be taken
		}
	}()
	for i := range numbers {
		r := make1(t, i, "key-")
		p.Input() <- &sarama.ProducerMessage{Topic: t["topic"], Key: sarama.ByteEncoder(r.key), Value: sarama.ByteEncoder(r.value)}
		if failed.get() != nil {
			break
		}
	}
	p.AsyncClose() // after all acknowledgements
	<-done
	return failed.get()
}

// keepHandler takes records and commits whenever none is left.
type keepHandler struct{ k *kept }

func (keepHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (keepHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h keepHandler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		h.k.add(m.Partition, m.Offset, m.Key, m.Value)
		s.MarkMessage(m, "")
		if len(c.Messages()) == 0 {
			s.Commit()
		}
	}
	return nil
}

func (s samsa) keepConsuming(ctx context.Context, t task, k *kept) error {
	if t["protocol"] == "consumer" {
		return errUnsupported
	}
	config, err := s.keeping(t)
	if err != nil {
		return err
	}
	g, err := sarama.NewConsumerGroup(t.bootstraps(), t["group"], config)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for err := range g.Errors() {
			complain(ctx, err)
		}
	}()
	for ctx.Err() == nil {
		if err := g.Consume(ctx, []string{t["topic"]}, keepHandler{k}); err != nil && ctx.Err() == nil {
			complain(ctx, err)
		}
	}
	err = g.Close()
	<-done
	return err
}
