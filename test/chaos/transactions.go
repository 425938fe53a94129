package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The topic and the transactional id of the transactional pair.
const (
	topicTransactions = "transactions"
	idTransactions    = "transactions"
)

// maxTransaction is how many records a transaction has at most.
const maxTransaction = 20

// transactions is a producer that commits and aborts at random, and a consumer that reads only
// committed records.
type transactions struct {
	base
	id     uint32
	ledger *Ledger
	chance *rand.Rand

	done  atomic.Bool // the producer has ended its last transaction
	mu    sync.Mutex
	seen  Log // records that the consumer has read
	place map[int32]int64
}

func newTransactions(r *run, label string, id uint32) *transactions {
	return &transactions{
		base: base{run: r, label: label, kind: kindTransactions}, id: id, ledger: NewLedger(),
		chance: rand.New(rand.NewPCG(r.opts.Seed, uint64(id))), seen: Log{}, place: map[int32]int64{},
	}
}

// run runs both.
func (t *transactions) run(ctx context.Context) error {
	var both sync.WaitGroup
	defer both.Wait()
	consumer, err := t.client(t.kind, kgo.ConsumeTopics(topicTransactions), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return err
	}
	both.Go(func() { t.consume(ctx, consumer) })
	if err := t.produce(ctx); err != nil {
		return err
	}
	t.done.Store(true)
	return t.watch(ctx)
}

// produce runs transactions until the run's stop. A client that cannot continue is replaced by
// another one with the same transactional id, which ends the transaction that the previous one
// has left open.
func (t *transactions) produce(ctx context.Context) error {
	var txn uint64
	for !t.stopped() && ctx.Err() == nil {
		cl, err := t.client(t.kind, kgo.TransactionalID(idTransactions), kgo.TransactionTimeout(2*time.Minute),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(topicTransactions))
		if err != nil {
			return err
		}
		for err == nil && !t.stopped() && ctx.Err() == nil {
			txn++
			err = t.transaction(ctx, cl, txn)
		}
		if err != nil && ctx.Err() == nil {
			t.errs.GiveUp(t.kind, "transaction", err)
			_ = pause(ctx, directPause)
		}
		cl.Close()
	}
	return t.takeOver(ctx, t.kind, idTransactions)
}

// takeOver ends a transaction that a previous client may have left open: a request for the
// producer id of a transactional id aborts it. A client that failed to get a producer id may
// never get one, so each attempt uses a new client.
func (r *run) takeOver(ctx context.Context, kind, id string) error {
	for ctx.Err() == nil {
		cl, err := r.client(kind, kgo.TransactionalID(id))
		if err != nil {
			return err
		}
		_, _, err = cl.ProducerID(ctx)
		cl.Close()
		if err == nil {
			return nil
		}
		_ = pause(ctx, directPause)
	}
	return nil
}

// transaction runs one transaction. An error means that the client cannot continue; the outcome
// of the transaction is then unknown.
func (t *transactions) transaction(ctx context.Context, cl *kgo.Client, txn uint64) error {
	if err := cl.BeginTransaction(); err != nil {
		t.errs.Add(t.kind, "begin", err)
		return err
	}
	t.ledger.End(txn, unknown)
	var failed atomic.Pointer[error]
	for range 1 + t.chance.IntN(maxTransaction) {
		s := Stream{Producer: t.id, Partition: t.chance.Int32N(partitions)}
		mark := t.ledger.Send(s, txn)
		cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: s.Partition, Value: mark.Encode(padding(t.chance))}, func(_ *kgo.Record, err error) {
			t.ledger.Settle(mark, err)
			if err != nil && !errors.Is(err, kgo.ErrAborting) {
				t.errs.Add(t.kind, "produce", err)
				failed.Store(&err)
			}
		})
	}
	commit := t.chance.IntN(10) < 7
	var err error
	if commit || t.chance.IntN(2) == 0 {
		err = cl.Flush(ctx)
	} else {
		err = cl.AbortBufferedRecords(ctx)
	}
	if err != nil {
		return err // ctx has ended
	}
	if commit && failed.Load() == nil {
		err := cl.EndTransaction(ctx, kgo.TryCommit)
		if err == nil {
			t.ledger.End(txn, committed)
			t.began.Store(true)
			return t.limitRate(ctx)
		}
		t.errs.Add(t.kind, "commit", err)
		if !errors.Is(err, kerr.OperationNotAttempted) {
			// It may have been committed. After an abort the client can be used again.
			return t.abort(ctx, cl)
		}
	}
	if err := t.abort(ctx, cl); err != nil {
		return err
	}
	t.ledger.End(txn, aborted)
	return t.limitRate(ctx)
}

// abort aborts a transaction; it retries after errors of [Weather].
func (t *transactions) abort(ctx context.Context, cl *kgo.Client) (err error) {
	for range 20 {
		if err = cl.EndTransaction(ctx, kgo.TryAbort); err == nil {
			return nil
		}
		t.errs.Add(t.kind, "abort", err)
		if !slices.Contains(Weather(t.kind), Classify(err)) || pause(ctx, directPause) != nil {
			break
		}
	}
	return err
}

// limitRate limits the rate of transactions.
func (t *transactions) limitRate(ctx context.Context) error {
	_ = pause(ctx, time.Second/time.Duration(t.pace(8)))
	return nil
}

// consume is the loop of the reader.
func (t *transactions) consume(ctx context.Context, cl *kgo.Client) {
	defer cl.Close()
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(_ string, _ int32, err error) { t.errs.Add(t.kind, "fetch", err) })
		t.mu.Lock()
		fetches.EachRecord(func(rec *kgo.Record) { t.seen.add(rec, t.place) })
		t.mu.Unlock()
	}
}

// watch waits until the reader has read up to the end.
func (t *transactions) watch(ctx context.Context) error {
	admin, err := t.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	for pause(ctx, 100*time.Millisecond) == nil {
		until, err := ends(ctx, admin, topicTransactions, true)
		t.mu.Lock()
		there := err == nil && reached(t.place, until)
		t.mu.Unlock()
		if there {
			t.ended.Store(true)
			return nil
		}
	}
	return nil
}

// check checks the records of the reader, and the topic itself.
func (t *transactions) check(ctx context.Context) ([]string, error) {
	log, err := t.readTopic(ctx, topicTransactions, true)
	if err != nil {
		return nil, err
	}
	problems, figures := CheckCommitted(t.ledger, log)
	t.figures = figures
	t.mu.Lock()
	defer t.mu.Unlock()
	byReader, _ := CheckCommitted(t.ledger, t.seen)
	return append(problems, prefix("its reader", byReader)...), nil
}
