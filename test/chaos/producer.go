package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Figures of producers.
const (
	recordsPerSecond = 120
	tick             = 25 * time.Millisecond
	smallRecord      = 300      // bytes of padding, at most
	largeRecord      = 64 << 10 // one in largeOneIn
	largeOneIn       = 400
)

// A producer writes to all partitions of a topic continuously.
type producer struct {
	base
	topic  string
	rules  Rules
	id     uint32
	ledger *Ledger
	chance *rand.Rand
	log    Log // after check
}

func newProducer(r *run, label, kind, topic string, rules Rules, id uint32) *producer {
	return &producer{
		base:  base{run: r, label: label, kind: kind},
		topic: topic, rules: rules, id: id, ledger: NewLedger(),
		chance: rand.New(rand.NewPCG(r.opts.Seed, uint64(id))),
	}
}

// options returns the client options for the kind of producer.
func (p *producer) options() []kgo.Opt {
	switch p.kind {
	case kindAcks1:
		return []kgo.Opt{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()}
	case kindAcks0:
		return []kgo.Opt{kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()}
	}
	return nil // idempotent, acks=all, retries without end: the default
}

// run produces until the run's stop, and then waits for all acknowledgements.
func (p *producer) run(ctx context.Context) error {
	cl, err := p.client(p.kind, append(p.options(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(p.topic))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	each := max(1, p.pace(recordsPerSecond)*int(tick)/int(time.Second))
	for !p.stopped() {
		for range each {
			p.send(ctx, cl)
		}
		select {
		case <-ticker.C:
		case <-p.stop:
		case <-ctx.Done():
			return nil
		}
	}
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w, %d records are still buffered", err, cl.BufferedProduceRecords())
	}
	p.ended.Store(true)
	return nil
}

// send produces one record.
func (p *producer) send(ctx context.Context, cl *kgo.Client) {
	s := Stream{Producer: p.id, Partition: p.chance.Int32N(partitions)}
	mark := p.ledger.Send(s, 0)
	// Not ctx: a record must not be given up because the run ends.
	cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: s.Partition, Value: mark.Encode(padding(p.chance))}, func(_ *kgo.Record, err error) {
		p.ledger.Settle(mark, err)
		if err != nil {
			p.errs.Add(p.kind, "produce", err)
			return
		}
		p.began.Store(true)
	})
}

// padding returns bytes that fill a record: usually few, sometimes many.
func padding(chance *rand.Rand) []byte {
	size := chance.IntN(smallRecord)
	if chance.IntN(largeOneIn) == 0 {
		size = chance.IntN(largeRecord)
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return b
}

// check reads the topic.
func (p *producer) check(ctx context.Context) (problems []string, err error) {
	if p.log, err = p.readTopic(ctx, p.topic, false); err != nil {
		return nil, err
	}
	problems, p.figures = CheckLog(p.rules, p.ledger, p.log)
	if p.figures.Unsettled > 0 {
		problems = append(problems, fmt.Sprintf("%d records were neither acknowledged nor failed", p.figures.Unsettled))
	}
	return problems, nil
}
