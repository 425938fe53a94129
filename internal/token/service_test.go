package token

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testURL = "https://uaa.example/oauth/token"

// A service is a token service in memory: tokens are named token-1, token-2, ...
// by the number of the fetch.
type service struct {
	life  time.Duration // of the tokens
	takes time.Duration // to answer

	mu     sync.Mutex
	down   error // the answer to all fetches, nil: a token
	starts []time.Time
	busy   int
	most   int // fetches at the same time
}

func (s *service) fetch(ctx context.Context) (Token, error) {
	s.mu.Lock()
	s.starts = append(s.starts, time.Now())
	n := len(s.starts)
	s.busy++
	s.most = max(s.most, s.busy)
	s.mu.Unlock()
	timer := time.NewTimer(s.takes)
	defer timer.Stop()
	var err error
	select {
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	if err == nil {
		err = s.down
	}
	if err != nil {
		return Token{}, err
	}
	return Make(fmt.Sprintf("token-%d", n), time.Now(), s.life)
}

// fails makes the service answer with a failure from now on; with "" it works again.
func (s *service) fails(code failure.Code, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = nil
	if code != "" {
		s.down = failure.New(code, cause).For(testURL, "")
	}
}

func (s *service) fetches() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.starts...)
}

// wantFetches checks the number of fetches.
func (s *service) wantFetches(t *testing.T, n int) {
	t.Helper()
	if got := len(s.fetches()); got != n {
		t.Errorf("%d fetches, want %d", got, n)
	}
}

// start returns a running source for the service. It stops when the test ends.
func start(t *testing.T, s *service, opts Options) *Source {
	t.Helper()
	if opts.Target == "" {
		opts.Target = testURL
	}
	source := New(s.fetch, opts)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { source.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return source
}

// wantToken checks what a caller with a deadline of one second gets.
func wantToken(t *testing.T, s *Source, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if got, err := s.Token(ctx); err != nil || got != want {
		t.Errorf("token %q, %v, want %q", got, err, want)
	}
}

// wantFailure checks that a caller with this deadline gets the failure, after the time
// took.
func wantFailure(t *testing.T, s *Source, patience, took time.Duration, code failure.Code) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := time.Now()
	value, err := s.Token(ctx)
	if f, ok := failure.As(err); value != "" || !ok || f.Code != code || f.Target != testURL {
		t.Errorf("token %q, %v, want failure %s of %s", value, err, code, testURL)
	}
	if got := time.Since(start); got != took {
		t.Errorf("answered after %s, want %s", got, took)
	}
	return err
}

// pass lets virtual time pass, and waits for the work that is due by then.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // inside a synctest bubble, where time is virtual
	synctest.Wait()
}

// always returns a source of randomness with a constant value.
func always(f float64) func() float64 { return func() float64 { return f } }
