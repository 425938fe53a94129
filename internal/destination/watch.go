package destination

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// The intervals of reads.
const (
	every         = 5 * time.Minute
	jitter        = 0.2
	idleAfter     = time.Hour // without use for that long: no reads
	maxRetryAfter = 5 * time.Minute
)

// newBackoff returns the pauses after failed reads: from 1 to 30 s while no value was ever read
// and clients wait, from 30 s to 5 min while there is an earlier value.
func newBackoff(served bool) backoff.ExponentialBackOff {
	b := backoff.ExponentialBackOff{InitialInterval: time.Second, MaxInterval: 30 * time.Second, Multiplier: 2, RandomizationFactor: jitter}
	if served {
		b.InitialInterval, b.MaxInterval = 30*time.Second, every
	}
	return b
}

// Options are the options of a [Watch]. The zero value is ready to use.
type Options struct {
	// First is the time within which the first read starts by itself, at a random moment; a
	// caller that needs the destination starts it at once.
	First time.Duration
	// Every is the time between reads, plus or minus a fifth; 0: 5 min.
	Every  time.Duration
	Logger *slog.Logger   // nil: no log
	Rand   func() float64 // from 0 to 1; nil: math/rand/v2
}

// A Watch repeats a read periodically.
type Watch struct {
	read  func(context.Context) error
	opts  Options
	wake  chan struct{} // holds one element
	first chan struct{} // closed at the first success

	mu      sync.Mutex
	readAt  time.Time // last success; zero: none
	usedAt  time.Time
	wanted  bool // a caller waits for the first success
	failure *failure.Failure
	failed  time.Time
	next    time.Time
	backoff backoff.ExponentialBackOff
}

// NewWatch returns a Watch that calls read. Only [Watch.Run] calls it.
func NewWatch(read func(context.Context) error, o Options) *Watch {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Every == 0 {
		o.Every = every
	}
	return &Watch{read: read, opts: o, wake: make(chan struct{}, 1), first: make(chan struct{}), backoff: newBackoff(false)}
}

// Status is the state of a [Watch].
type Status struct {
	ReadAt   time.Time        // of the last success; zero: there was none
	Failure  *failure.Failure // of the last read; nil: it succeeded, or there was none
	FailedAt time.Time
	Next     time.Time
}

// Status returns a snapshot.
func (w *Watch) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Status{w.readAt, w.failure, w.failed, w.next}
}

// Used marks the destination as in use. It does not block.
func (w *Watch) Used() {
	w.mu.Lock()
	w.usedAt = time.Now().Round(0)
	if w.readAt.IsZero() && w.failure == nil {
		w.wanted = true
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Wait returns when the destination has been read for the first time. If ctx ends before, it
// returns the failure of the last read, or that there was no response.
func (w *Watch) Wait(ctx context.Context) error {
	select {
	case <-w.first:
		return nil
	default:
	}
	w.Used()
	select {
	case <-w.first:
		return nil
	case <-ctx.Done():
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	if s := w.Status(); s.Failure != nil {
		return s.Failure
	}
	return failure.New(failure.DestinationUnreachable, ctx.Err())
}

// Run reads until ctx ends, and then returns.
func (w *Watch) Run(ctx context.Context) {
	w.mu.Lock()
	now := time.Now().Round(0)
	w.usedAt, w.next = now, now.Add(time.Duration(w.opts.Rand()*float64(w.opts.First)))
	w.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		switch wait, due := w.due(time.Now()); {
		case !due:
			timer.Stop()
		case wait > 0:
			timer.Reset(wait)
		default:
			w.readOnce(ctx)
			continue
		}
		select {
		case <-timer.C:
		case <-w.wake:
		case <-ctx.Done():
		}
	}
}

// due returns the time until the next read, and whether there is one.
func (w *Watch) due(now time.Time) (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Round(0).Sub(w.usedAt) > idleAfter {
		return 0, false
	}
	if w.wanted {
		return 0, true
	}
	return w.next.Sub(now.Round(0)), true
}

// readOnce reads once and records the result.
func (w *Watch) readOnce(ctx context.Context) {
	err := w.read(ctx)
	if err != nil && ctx.Err() != nil {
		return // Run ends; the service has not failed
	}
	now := time.Now().Round(0)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted = false
	before := w.failure
	if err == nil {
		if w.readAt.IsZero() {
			close(w.first)
		}
		w.readAt, w.failure, w.backoff = now, nil, newBackoff(true)
		w.next = now.Add(time.Duration(float64(w.opts.Every) * (1 - jitter + 2*jitter*w.opts.Rand())))
		if before != nil {
			w.opts.Logger.InfoContext(ctx, "the destination can be read again", "after", before.Code)
		}
		return
	}
	f, ok := failure.As(err)
	if !ok {
		f = failure.New(failure.DestinationUnreachable, err)
	}
	w.failure, w.failed = f, now
	pause := w.backoff.NextBackOff()
	if asked, ok := errors.AsType[*token.RetryAfterError](err); ok {
		wait := min(asked.Wait, maxRetryAfter)
		pause = max(pause, wait+time.Duration(jitter*w.opts.Rand()*float64(wait)))
	}
	w.next = now.Add(pause)
}
