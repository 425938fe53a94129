package chaos

import (
	"context"
	"sync/atomic"
	"time"
)

// The kinds of workloads, by which errors are counted.
const (
	kindIdempotent   = "idempotent"
	kindAcks1        = "acks1"
	kindAcks0        = "acks0"
	kindTransactions = "transactions"
	kindTransform    = "transform"
	kindGroup        = "group"
)

// partitions is the number of partitions of every topic: several on each of the three brokers.
const partitions = 6

// A workload is one kind of clients.
type workload interface {
	name() string
	// run works until ctx ends. After the run's stop it starts nothing new.
	run(ctx context.Context) error
	started() bool  // it has made progress
	finished() bool // it has nothing left to do
	check(ctx context.Context) ([]string, error)
	counts() Counts // after check
}

// base is the common part of workloads.
type base struct {
	*run
	label   string
	kind    string
	figures Counts
	began   atomic.Bool
	ended   atomic.Bool
}

func (b *base) name() string   { return b.label }
func (b *base) started() bool  { return b.began.Load() }
func (b *base) finished() bool { return b.ended.Load() }
func (b *base) counts() Counts { return b.figures }

// stopped reports whether nothing new may be started.
func (b *base) stopped() bool {
	select {
	case <-b.stop:
		return true
	default:
		return false
	}
}

// pace returns how many records per second a producer writes: fewer in a long run, so that all
// of them fit into memory.
func (r *run) pace(perSecond int) int {
	if r.opts.Time > 5*time.Minute {
		return max(1, perSecond/4)
	}
	return perSecond
}

// workloads returns all workloads of a run, with their topics created.
func (r *run) workloads(ctx context.Context) ([]workload, error) {
	a := newProducer(r, "idempotent a", kindIdempotent, "idempotent-a", rulesIdempotent(), 1)
	b := newProducer(r, "idempotent b", kindIdempotent, "idempotent-b", rulesIdempotent(), 2)
	loads := []workload{
		a, b,
		newProducer(r, "acks=1", kindAcks1, "acks1", rulesAcks1(), 3),
		newProducer(r, "acks=0", kindAcks0, "acks0", rulesAcks0(), 4),
		newTransactions(r, "transactions", 5),
		newTransform(r, "transform", a),
		newGroup(r, "group classic", false, a),
		newGroup(r, "group next", true, b),
	}
	topics := []string{"idempotent-a", "idempotent-b", "acks1", "acks0", topicTransactions, topicTransformed}
	return loads, r.createTopics(ctx, topics...)
}
