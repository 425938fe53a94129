package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

type samsa struct{}

func (s samsa) do(ctx context.Context, t task, r *result) (err error) {
	switch t["do"] {
	case "produce":
		return s.produce(ctx, t)
	case "consume":
		return s.consume(ctx, t, r)
	case "transact":
		return s.transact(ctx, t)
	case "admin":
		r.Count, err = s.admin(ctx, t)
		return err
	}
	return s.more(ctx, t, r)
}

// config asks the broker for what it knows, as far as the library does that: it wants a
// version to be named.
func (s samsa) config(t task) (*sarama.Config, error) {
	c := sarama.NewConfig()
	if v, err := sarama.ParseKafkaVersion(t["kafka"]); err == nil {
		c.Version = v
		if !sarama.MaxVersion.IsAtLeast(v) {
			c.Version = sarama.MaxVersion
		}
	}
	if t["patient"] != "" {
		c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = 60, time.Second
	}
	if t["client"] != "" {
		c.ClientID = t["client"]
	}
	c.RackID = t["rack"]
	c.Producer.Return.Successes = true
	c.Producer.MaxMessageBytes = 2_000_000
	c.Producer.RequiredAcks = map[string]sarama.RequiredAcks{"0": sarama.NoResponse, "1": sarama.WaitForLocal, "-1": sarama.WaitForAll, "": sarama.WaitForAll}[t["acks"]]
	c.Producer.Compression = map[string]sarama.CompressionCodec{
		"gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}[t["compression"]]
	if t["idempotent"] == "true" || t["transactional"] != "" {
		c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	}
	c.Producer.Transaction.ID = t["transactional"]
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	if t["isolation"] == "read_committed" {
		c.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	return c, s.security(t, c)
}

// producer is one with the configuration that a task asks for.
func (s samsa) producer(t task) (sarama.SyncProducer, error) {
	c, err := s.config(t)
	if err != nil {
		return nil, err
	}
	return sarama.NewSyncProducer([]string{t["bootstrap"]}, c)
}

func (s samsa) produce(ctx context.Context, t task) error {
	p, err := s.producer(t)
	if err != nil {
		return err
	}
	if t["over"] != "" {
		return errors.Join(s.slowly(ctx, p, t), p.Close())
	}
	return errors.Join(s.send(ctx, p, t, "key-"), p.Close())
}

func (samsa) send(ctx context.Context, p sarama.SyncProducer, t task, prefix string) error {
	size := 50
	if t["sizes"] == "mixed" {
		size = 1 // brokers take batches of 1 MB
	}
	for i := 0; i < t.count(); {
		var batch []*sarama.ProducerMessage
		for ; i < t.count() && len(batch) < size; i++ {
			r := make1(t, i, prefix)
			m := &sarama.ProducerMessage{Topic: t["topic"], Key: sarama.ByteEncoder(r.key), Value: sarama.ByteEncoder(r.value)}
			if t["headers"] == "true" {
				m.Headers = []sarama.RecordHeader{{Key: []byte("n"), Value: []byte(r.number)}}
			}
			batch = append(batch, m)
		}
		if err := p.SendMessages(batch); err != nil {
			return err
		}
		if i >= t.count()/2 && i-len(batch) < t.count()/2 {
			t.idle(ctx)
		}
	}
	return nil
}

func (s samsa) transact(ctx context.Context, t task) error {
	p, err := s.producer(t)
	if err != nil {
		return err
	}
	return errors.Join(p.BeginTxn(), s.send(ctx, p, t, "key-"), p.CommitTxn(),
		p.BeginTxn(), s.send(ctx, p, t, "aborted-"), p.AbortTxn(), p.Close())
}

// handler takes records until there are enough.
type handler struct {
	t      task
	record func(*sarama.ConsumerMessage) (enough bool)
	stop   context.CancelFunc
}

func (handler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h handler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		enough := h.record(m)
		s.MarkMessage(m, "")
		if enough {
			s.Commit()
			h.stop()
		}
	}
	return nil
}

func (s samsa) consume(ctx context.Context, t task, r *result) error {
	if t["protocol"] == "consumer" {
		return errUnsupported
	}
	c, err := s.config(t)
	if err != nil {
		return err
	}
	g, err := sarama.NewConsumerGroup([]string{t["bootstrap"]}, t["group"], c)
	if err != nil {
		return err
	}
	own, stop := context.WithCancel(ctx)
	defer stop()
	one := make(chan struct{}, 1)
	one <- struct{}{}
	h := handler{t: t, stop: stop, record: func(m *sarama.ConsumerMessage) bool {
		<-one
		defer func() { one <- struct{}{} }()
		r.add(m.Partition, m.Key, m.Value)
		return r.Count >= t.count()
	}}
	for own.Err() == nil {
		if err := g.Consume(own, []string{t["topic"]}, h); err != nil && own.Err() == nil {
			return err
		}
	}
	return errors.Join(g.Close(), ctx.Err())
}

func (s samsa) admin(_ context.Context, t task) (int, error) {
	c, err := s.config(t)
	if err != nil {
		return 0, err
	}
	a, err := sarama.NewClusterAdmin([]string{t["bootstrap"]}, c)
	if err != nil {
		return 0, err
	}
	err1 := a.CreateTopic(t.made(), &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false)
	_, err2 := a.ListTopics()
	_, err3 := a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: t["topic"]})
	brokers, _, err4 := a.DescribeCluster()
	_, err5 := a.ListConsumerGroups()
	err6 := a.DeleteTopic(t.made())
	return len(brokers), errors.Join(err1, err2, err3, err4, err5, err6, a.Close())
}
