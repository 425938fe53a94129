package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// ErrStopped is the error of [Source.Token] when [Source.Run] has ended and the
// cache holds no usable token.
var ErrStopped = errors.New("the token source has been stopped")

// Options of a [Source]. The zero value is good.
type Options struct {
	// Target names the token service in failures that do not come from the
	// fetcher: its URL.
	Target string
	// Logger logs outages and their ends; nil: silent.
	Logger *slog.Logger
	// Observe is called when a fetch has ended, with its result: "ok" or the code of the
	// failure, and how long it took. It is called by Run's goroutine; while it runs
	// no fetch is made. It may call Status.
	Observe func(result string, took time.Duration)
	// First is the time within which the first token is fetched of itself, at a random
	// moment, so that instances that start together do not ask together; 0: not before
	// a caller needs it.
	First time.Duration
	// Rand returns a number from 0 to 1, for the points in time that are spread;
	// nil: math/rand/v2.
	Rand func() float64
}

// A Source keeps a token. All methods may be called at any time by anybody.
type Source struct {
	opts Options
	wake chan struct{} // holds one element: Run looks again at what is due

	mu         sync.Mutex
	fetcher    Fetcher
	generation int // counts the fetchers
	running    bool
	stopped    bool
	changed    chan struct{} // closed and replaced when a fetch has ended

	token     Token
	rejected  bool      // the proxy has refused the token: it serves only when there is no other
	refreshAt time.Time // when to look for the token's successor
	usedAt    time.Time // of the last call of Token
	firstAt   time.Time // when the first token is due of itself; zero: not
	forcedAt  time.Time // when a refused token last led to a fetch

	wanted  bool             // a caller needs a fetch now
	failure *failure.Failure // of the last fetch, nil if it gave a token
	pauseTo time.Time        // no fetch before; only while failure is not nil
	backoff backoff.ExponentialBackOff

	fetches  uint64
	failures uint64
	fetchAt  time.Time // when the last fetch ended
}

// New returns a Source that gets its tokens from fetch. It does nothing until
// [Source.Run] runs.
func New(fetch Fetcher, opts Options) *Source {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Rand == nil {
		opts.Rand = rand.Float64
	}
	return &Source{
		fetcher: fetch,
		opts:    opts,
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		backoff: newBackoff(),
	}
}

// Token returns a token for the proxy: at once from the cache while that one is
// usable, else the outcome of the next fetch.
//
// While fetches pause after a failure, and there is no usable token, it waits for
// the end of the pause; it returns the failure at once when ctx would end before,
// or when the token service has refused the credentials. ctx bounds only this
// wait, not the fetch.
//
// Errors are of type [*failure.Failure] (each caller has its own copy), except
// when ctx was cancelled (its cause) and after the end of Run ([ErrStopped]).
// While fetches pause the chain holds an error with a method RetryAt() time.Time.
//
// Without a running [Source.Run] there is no fetch and Token waits.
func (s *Source) Token(ctx context.Context) (string, error) {
	for {
		value, changed, err := s.ask(ctx)
		if changed == nil {
			return value, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", s.waitEnded(ctx)
		}
		if value, err = s.outcome(); value != "" || err != nil {
			return value, err
		}
		// The token that came has been used up before this caller had its turn, as
		// happens when the machine sleeps in between.
	}
}

// ask returns what a caller gets at once, or a channel to wait on for the outcome
// of the next fetch.
func (s *Source) ask(ctx context.Context) (string, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.usedAt = now.Round(0)
	if s.token.Usable(now) && (!s.rejected || s.failure != nil) {
		if s.refreshDue(now) {
			s.want()
		}
		return s.token.Value, nil, nil
	}
	if err := s.refuseWait(ctx, now); err != nil {
		return "", nil, err
	}
	s.want()
	return "", s.changed, nil
}

// outcome returns what the fetch that has just ended means for a caller who waited
// for it. Neither a value nor an error: ask again.
func (s *Source) outcome() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.token.Usable(time.Now()):
		return s.token.Value, nil
	case s.stopped:
		return "", ErrStopped
	case s.failure != nil:
		return "", s.lastFailure()
	}
	return "", nil
}

// Invalidate reports that the proxy has refused the token with this value. If it is
// still the one in the cache, a new one is fetched; until that has succeeded or
// failed, Token waits. The old token serves on if the fetch fails for a reason
// on the route to the token service, because then it is not certain that
// it was the token that the proxy did not like.
//
// At most once in 30 s a refusal leads to a fetch; until then the token stays as
// it is: a proxy that refuses every token must not turn into a burden for the
// token service.
func (s *Source) Invalidate(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if value == "" || value != s.token.Value || s.rejected || !s.forcedAt.IsZero() && now.Sub(s.forcedAt) < forcedEvery {
		return
	}
	if s.onDemandOnly() {
		s.token = Token{} // the token service refuses the credentials too: it is dead
		return
	}
	s.forcedAt = now
	s.rejected = true
	s.want()
}

// Replace makes the source fetch with other credentials from now on, because the old
// ones may be refused at any moment: at once, while the cached token stays in use. The
// failures of the old ones are forgotten.
func (s *Source) Replace(fetch Fetcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetcher = fetch
	s.generation++
	s.failure, s.pauseTo, s.forcedAt = nil, time.Time{}, time.Time{}
	s.refreshAt = time.Now().Round(0)
	s.backoff.Reset()
	s.want()
}

// current returns the fetcher to use now, and which one it is.
func (s *Source) current() (Fetcher, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetcher, s.generation
}

// outdated reports whether a fetcher was replaced while it was at work.
func (s *Source) outdated(generation int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation != generation
}

// Run fetches tokens until ctx ends, and then returns. All that a Source does it
// does in here: when Run has returned nothing of it is left. It must not be
// called twice at the same time.
func (s *Source) Run(ctx context.Context) {
	s.start()
	defer s.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		at, due := s.next(time.Now())
		if !due {
			timer.Stop()
		} else if wait := time.Until(at); wait > 0 {
			timer.Reset(wait)
		} else {
			s.fetch(ctx)
			continue
		}
		select {
		case <-timer.C:
		case <-s.wake:
		case <-ctx.Done():
		}
	}
}

func (s *Source) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		panic("token: Run is running already")
	}
	s.running, s.stopped = true, false
	if s.opts.First > 0 && s.usedAt.IsZero() {
		s.usedAt = time.Now().Round(0)
		s.firstAt = s.usedAt.Add(time.Duration(s.opts.Rand() * float64(s.opts.First)))
	}
}

func (s *Source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.stopped = false, true
	s.notify()
}

// want asks Run for a fetch. The caller holds s.mu.
func (s *Source) want() {
	s.wanted, s.firstAt = true, time.Time{}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// notify ends the waits of all callers. The caller holds s.mu.
func (s *Source) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// lastFailure returns a copy of the failure of the last fetch for one caller,
// who may add to it. The caller holds s.mu.
func (s *Source) lastFailure() *failure.Failure {
	f := *s.failure
	f.Err = &pausedError{until: s.pauseTo, err: f.Err}
	return &f
}

// waitEnded returns the error for a caller whose ctx has ended.
func (s *Source) waitEnded(ctx context.Context) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("waiting for a token: %w", context.Cause(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.lastFailure()
	}
	return failure.New(failure.TokenTimeout, fmt.Errorf("waiting for a token: %w", ctx.Err())).For(s.opts.Target, "")
}
