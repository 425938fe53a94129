package destination

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// service is what is read.
type service struct {
	mu  sync.Mutex
	err error
	at  []time.Time
}

func (s *service) read(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
	return s.err
}

// fails answers with err from now on, and forgets what was read.
func (s *service) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.at = err, nil
}

func (s *service) reads() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at)
}

// start runs a Watch in the bubble; it ends with the test.
func start(t *testing.T, s *service, o Options) *Watch {
	if o.Rand == nil {
		o.Rand = func() float64 { return 0.5 }
	}
	w := NewWatch(s.read, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// gaps are the times between reads.
func (s *service) gaps() (all []time.Duration) {
	at := s.reads()
	for i := 1; i < len(at); i++ {
		all = append(all, at[i].Sub(at[i-1]))
	}
	return all
}

func TestItIsReadEveryFiveMinutes(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 4 * time.Minute, 0.5: 5 * time.Minute, 1: 6 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{}
			start(t, s, Options{Rand: func() float64 { return random }})
			time.Sleep(50 * time.Minute) // synctest
			synctest.Wait()
			if n := len(s.reads()); n != 1+int(50*time.Minute/want) {
				t.Errorf("%d reads", n)
			}
			for _, gap := range s.gaps() {
				if gap != want {
					t.Errorf("a gap of %v, want %v", gap, want)
				}
			}
		})
	}
}

// TestNobodyUsesIt: after an hour without use it is not read until the next use.
func TestNobodyUsesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		w := start(t, s, Options{})
		time.Sleep(24 * time.Hour) // synctest
		synctest.Wait()
		n := len(s.reads())
		if n > 14 {
			t.Errorf("%d reads in a day without use", n)
		}
		w.Used()
		synctest.Wait()
		if len(s.reads()) != n+1 {
			t.Errorf("%d reads, and %d after use", n, len(s.reads()))
		}
	})
}

// TestPauses: quick while clients wait for the first value, slow while one serves.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{err: failure.New(failure.DestinationStatus, nil)}
		w := start(t, s, Options{})
		time.Sleep(5 * time.Minute) // synctest
		synctest.Wait()
		for i, gap := range s.gaps() {
			if nominal := min(time.Second<<i, 30*time.Second); gap < nominal*8/10 || gap > nominal*12/10 {
				t.Errorf("pause %d without a value: %v", i, gap)
			}
		}
		if st := w.Status(); st.Failure == nil || st.Failure.Code != failure.DestinationStatus || !st.ReadAt.IsZero() {
			t.Errorf("%+v", st)
		}
		s.fails(nil)
		time.Sleep(time.Minute) // synctest
		synctest.Wait()
		if st := w.Status(); st.Failure != nil || st.ReadAt.IsZero() {
			t.Errorf("%+v", st)
		}
		s.fails(errors.New("any"))
		time.Sleep(6 * time.Minute) // synctest
		synctest.Wait()
		s.fails(errors.New("any"))
		time.Sleep(20 * time.Minute) // synctest
		synctest.Wait()
		for _, gap := range s.gaps() {
			if gap < 24*time.Second || gap > 6*time.Minute {
				t.Errorf("a pause with a value: %v", gap)
			}
		}
		if n := len(s.reads()); n < 3 || n > 9 {
			t.Errorf("%d reads in 20 minutes", n)
		}
	})
}

func TestRetryAfterIsNotUndercut(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 40 * time.Second, 1: 48 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{err: failure.New(failure.DestinationStatus, &token.RetryAfterError{Wait: 40 * time.Second})}
			start(t, s, Options{Rand: func() float64 { return random }})
			time.Sleep(50 * time.Second) // synctest
			synctest.Wait()
			if len(s.reads()) != 2 || s.gaps()[0] != want {
				t.Errorf("%v, want %v", s.gaps(), want)
			}
		})
	}
}

// TestWhoNeedsItDoesNotWaitForTheFirstMoment: the first read is spread only for those
// whom nobody asks.
func TestWhoNeedsItDoesNotWaitForTheFirstMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		w := start(t, s, Options{First: 10 * time.Second})
		time.Sleep(time.Second) // synctest
		if len(s.reads()) > 0 {
			t.Error("read at once")
		}
		if err := w.Wait(t.Context()); err != nil || len(s.reads()) != 1 {
			t.Errorf("%v, %d reads", err, len(s.reads()))
		}
		if err := w.Wait(t.Context()); err != nil || len(s.reads()) != 1 {
			t.Errorf("again: %v, %d reads", err, len(s.reads()))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		begin := time.Now()
		start(t, s, Options{First: 10 * time.Second})
		time.Sleep(6 * time.Second) // synctest
		synctest.Wait()
		if len(s.reads()) != 1 || s.reads()[0].Sub(begin) != 5*time.Second {
			t.Errorf("%v", s.reads())
		}
	})
}

// TestWaitEnds with the failure that prevents the read.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{err: failure.New(failure.DestinationNotFound, nil)}
		w := start(t, s, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := w.Wait(ctx); !failure.Is(err, failure.DestinationNotFound) {
			t.Error(err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if err := w.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := NewWatch(func(context.Context) error { return nil }, Options{}) // does not run
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := w.Wait(ctx); !failure.Is(err, failure.DestinationUnreachable) {
			t.Error(err)
		}
	})
}
