package chaos

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topicTransformed = "transformed" // the output of transform
	idTransform      = "transform"   // its transactional id
)

// transform consumes a producer's topic, produces every record to the same
// partition of another one and commits both in one transaction.
type transform struct {
	base
	source *producer
}

func newTransform(r *run, label string, source *producer) *transform {
	return &transform{base: base{run: r, label: label, kind: kindTransform}, source: source}
}

// run transforms until ctx ends. A session that cannot continue is replaced.
func (t *transform) run(ctx context.Context) error {
	for ctx.Err() == nil && !t.finished() {
		// A transaction that a previous session has left open would keep the group's offsets
		// unstable until it times out, and prevent this one from reading.
		if err := t.takeOver(ctx, t.kind, idTransform); err != nil {
			return err
		}
		s, err := kgo.NewGroupTransactSession(t.clientOpts(t.kind,
			kgo.ConsumerGroup(t.label), kgo.ConsumeTopics(t.source.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(500*time.Millisecond),
			kgo.SessionTimeout(session), kgo.HeartbeatInterval(heartbeat),
			kgo.TransactionalID(idTransform), kgo.TransactionTimeout(2*time.Minute),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(topicTransformed))...)
		if err != nil {
			return err
		}
		for err == nil && ctx.Err() == nil && !t.finished() {
			err = t.batch(ctx, s)
		}
		if err != nil && ctx.Err() == nil {
			t.errs.GiveUp(t.kind, "transaction", err)
			_ = pause(ctx, directPause)
		}
		s.Close()
	}
	return nil
}

// batch runs one transaction. An error means that the session cannot continue.
func (t *transform) batch(ctx context.Context, s *kgo.GroupTransactSession) error {
	short, cancel := context.WithTimeout(ctx, time.Second)
	fetches := s.PollRecords(short, 200)
	cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	fetches.EachError(func(_ string, _ int32, err error) {
		if short.Err() == nil {
			t.errs.Add(t.kind, "fetch", err)
		}
	})
	if fetches.NumRecords() == 0 {
		t.look(ctx)
		return nil
	}
	if err := s.Begin(); err != nil {
		t.errs.Add(t.kind, "begin", err)
		return err
	}
	var results kgo.FirstErrPromise
	fetches.EachRecord(func(rec *kgo.Record) {
		s.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: rec.Partition, Value: rec.Value}, results.Promise())
	})
	err := results.Err()
	if err != nil {
		t.errs.Add(t.kind, "produce", err)
	}
	done, err := s.End(ctx, kgo.TransactionEndTry(err == nil))
	if err != nil {
		t.errs.Add(t.kind, "end", err)
		return err
	}
	if done {
		t.began.Store(true)
	}
	return nil
}

// look checks whether the producer has finished and everything is transformed. After an error
// it checks again after the next poll.
func (t *transform) look(ctx context.Context) {
	if !t.source.finished() {
		return
	}
	admin, err := t.admin()
	if err != nil {
		return
	}
	defer admin.Close()
	until, err := ends(ctx, admin, t.source.topic, false)
	if err != nil {
		return
	}
	offsets, err := admin.FetchOffsets(ctx, t.label)
	if err != nil {
		return
	}
	for p, end := range until {
		if offsets[t.source.topic][p].At != end {
			return
		}
	}
	t.ended.Store(true)
}

// check compares input and output.
func (t *transform) check(ctx context.Context) ([]string, error) {
	output, err := t.readTopic(ctx, topicTransformed, true)
	if err != nil {
		return nil, err
	}
	for _, list := range output {
		t.figures.Read += len(list)
	}
	return CheckTransformed(t.source.log, output), nil
}
