package upstream

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

var away = failure.New(failure.ConnectorAway, nil)

// opened returns a gate that has seen a success.
func opened() *gate {
	g := &gate{}
	g.leave(ticket{}, nil, time.Time{})
	return g
}

// enterMany has n callers enter. It returns the number of callers admitted so far and a
// channel of their tickets.
func enterMany(ctx context.Context, g *gate, n int) (admitted *atomic.Int32, tickets chan ticket) {
	admitted, tickets = &atomic.Int32{}, make(chan ticket, n)
	for range n {
		go func() {
			if t, err := g.enter(ctx); err == nil {
				admitted.Add(1)
				tickets <- t
			}
		}()
	}
	synctest.Wait()
	return admitted, tickets
}

func TestAHalfOpenGateAdmitsOne(t *testing.T) {
	for name, tt := range map[string]struct {
		outcome func(*gate, ticket) // of the first attempt, after 100 ms; nil: none
		want    int                 // admitted then, of ten
		later   int                 // admitted 8 s later
	}{
		"granted": {func(g *gate, t ticket) { g.leave(t, nil, time.Time{}) }, 10, 10},
		"silent":  {nil, 1, 9},
		"failed":  {func(g *gate, t ticket) { g.leave(t, away, time.Time{}) }, 1, 2},
		"left":    {func(g *gate, t ticket) { g.abandon(t) }, 2, 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
				defer cancel()
				g := &gate{}
				admitted, tickets := enterMany(ctx, g, 10)
				time.Sleep(100 * time.Millisecond) // synctest
				if n := admitted.Load(); n != 1 {
					t.Errorf("%d were admitted", n)
				}
				if tt.outcome != nil {
					tt.outcome(g, <-tickets)
				}
				synctest.Wait()
				if n := int(admitted.Load()); n != min(tt.want, firstWindow+2) {
					t.Errorf("%d admitted after the first outcome, want %d", n, tt.want)
				}
				time.Sleep(8*time.Second + 10*time.Millisecond) // synctest
				if n := int(admitted.Load()); n != tt.later {
					t.Errorf("%d admitted 8 s later, want %d", n, tt.later)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

// TestAnOpenGateStartsSlowly: after an idle time a gate admits only a few callers at
// first, so that only a few attempts meet an outage that has just begun.
func TestAnOpenGateStartsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := opened()
		time.Sleep(time.Minute) // synctest
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		admitted, tickets := enterMany(ctx, g, 1000)
		if n := admitted.Load(); n != firstWindow {
			t.Fatalf("%d admitted at once, want %d", n, firstWindow)
		}
		// Each handshake takes 20 ms. Every round doubles the window.
		rounds := 0
		for ; admitted.Load() < 1000; rounds++ {
			time.Sleep(20 * time.Millisecond) // synctest
			for range len(tickets) {
				g.leave(<-tickets, nil, time.Time{})
			}
			synctest.Wait()
		}
		if want := 4 + 1000/largestWindow; rounds > want {
			t.Errorf("1000 were admitted in %d rounds, want at most %d", rounds, want)
		}

		// The outage begins after as many have just passed. The rest of their window
		// and, after a second without attempts, a first window again meet it.
		for range len(tickets) {
			g.leave(<-tickets, nil, time.Time{})
		}
		time.Sleep(windowLasts + time.Millisecond) // synctest
		admitted, tickets = enterMany(ctx, g, 500)
		for range firstWindow {
			g.leave(<-tickets, away, time.Time{})
		}
		synctest.Wait()
		if n := admitted.Load(); n != firstWindow {
			t.Errorf("%d attempts failed in the outage", n)
		}
		cancel()
		synctest.Wait()
	})
}

// TestUnansweredAttemptsDoNotBlockTheGate: attempts without an outcome fill the window,
// and others are still admitted.
func TestUnansweredAttemptsDoNotBlockTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := opened()
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		admitted, _ := enterMany(ctx, g, 100)
		before := admitted.Load()
		time.Sleep(time.Second + time.Millisecond) // synctest
		if n := int(admitted.Load() - before); n != int(time.Second/releaseOpen) {
			t.Errorf("%d were admitted within a second while the window was full", n)
		}
		cancel()
		synctest.Wait()
	})
}

func TestABrokenConnectionMakesTheGateHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := opened()
		g.broken()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if admitted, _ := enterMany(ctx, g, 10); admitted.Load() != 1 {
			t.Errorf("%d were admitted", admitted.Load())
		}
		away := failure.New(failure.ConnectorAway, nil)
		shut := opened()
		shut.leave(ticket{epoch: shut.epoch, at: time.Now()}, away, time.Time{})
		shut.broken()
		if shut.failure() == nil {
			t.Error("a broken connection has opened a gate that was shut")
		}
		cancel()
		synctest.Wait()
	})
}

func TestAnOldFailureDoesNotShutAnOpenGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := opened()
		early, _ := g.enter(t.Context())
		time.Sleep(time.Second) // synctest
		late, _ := g.enter(t.Context())
		g.leave(late, nil, time.Time{})
		g.leave(early, away, time.Time{})
		if g.failure() != nil {
			t.Error("the failure of an attempt that began before the last success shut the gate")
		}
	})
}

// TestAWaiterAdmittedTooLateLeavesItsPlace: a waiter whose deadline passes at the
// moment at which it is admitted gives its place to others.
func TestAWaiterAdmittedTooLateLeavesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := opened()
		g.leave(ticket{epoch: g.epoch, at: time.Now()}, away, time.Now().Add(time.Second))
		for range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Until(g.next))
			if got, err := g.enter(ctx); err == nil {
				g.leave(got, away, time.Now().Add(time.Second))
			}
			cancel()
		}
		synctest.Wait()
		if g.inFlight != 0 || len(g.queue) != 0 {
			t.Errorf("%d in flight, %d in the queue", g.inFlight, len(g.queue))
		}
	})
}

// outage runs clients that request attempts again and again. All attempts fail until
// the outage ends. It returns when attempts began, and how long after the end the first
// one succeeded.
func outage(t *testing.T, clients int, lasts time.Duration) (attempts []time.Duration, recovered time.Duration) {
	t.Helper()
	g := opened()
	start := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := make(chan time.Duration, 10_000)
	var healed atomic.Int64
	for range clients {
		go func() {
			for ctx.Err() == nil {
				ticket, err := g.enter(ctx)
				if err != nil {
					return
				}
				now := time.Since(start)
				begun <- now
				time.Sleep(10 * time.Millisecond) // synctest: the attempt itself
				if now < lasts {
					g.leave(ticket, away, time.Time{})
					continue
				}
				g.leave(ticket, nil, time.Time{})
				healed.CompareAndSwap(0, int64(time.Since(start)))
				return
			}
		}()
	}
	time.Sleep(lasts + 15*time.Second) // synctest
	cancel()
	synctest.Wait()
	close(begun)
	for at := range begun {
		attempts = append(attempts, at)
	}
	return attempts, time.Duration(healed.Load()) - lasts
}

func TestAShutGatePacesAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 100
		attempts, recovered := outage(t, clients, 40*time.Second)
		paced := 0
		for _, at := range attempts[firstWindow:] { // the first ones began at once, while the gate was still open
			if at < 40*time.Second {
				paced++
			}
		}
		if limit := int(40 * time.Second / pauseFloor); paced > limit {
			t.Errorf("%d attempts in 40 s, want at most one per %v = %d", paced, pauseFloor, limit)
		}
		if paced < 20 {
			t.Errorf("only %d attempts in 40 s", paced)
		}
		if recovered > 2*time.Second {
			t.Errorf("the first success was %v after the end of the outage", recovered)
		}
	})
}

func TestTheFirstFailuresShutTheGateOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := opened()
		var tickets []ticket
		for range firstWindow { // all in flight together
			passed, _ := g.enter(t.Context())
			tickets = append(tickets, passed)
		}
		for _, passed := range tickets {
			g.leave(passed, away, time.Time{})
		}
		if ceiling := g.pauses.NextBackOff(); ceiling != 2*pauseFloor {
			t.Errorf("after failures at the same moment the next pause may take %v, want %v", ceiling, 2*pauseFloor)
		}
	})
}

func TestWaitersReturnTheFailureAtTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := opened()
		g.leave(ticket{epoch: g.epoch, at: time.Now()}, away, time.Now().Add(time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := g.enter(ctx); !errors.Is(err, away) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(start); d != 9*time.Second {
			t.Errorf("waited %v", d)
		}
	})
}

func TestAnAbandonedProbeFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := opened()
		g.leave(ticket{epoch: g.epoch, at: time.Now()}, away, time.Time{})
		time.Sleep(time.Second) // synctest
		first, err := g.enter(t.Context())
		if err != nil || g.inFlight != 1 {
			t.Fatalf("enter() = %v, %v", first, err)
		}
		entered := make(chan ticket)
		go func() {
			second, _ := g.enter(t.Context())
			entered <- second
		}()
		synctest.Wait()
		g.abandon(first)
		if second := <-entered; second.epoch != g.epoch {
			t.Error("the next caller is not the probe")
		}
	})
}

func TestALongOutageIsProbedLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts, _ := outage(t, 10, 10*time.Minute)
		late := 0
		for _, at := range attempts {
			if at > 2*time.Minute && at < 10*time.Minute {
				late++
			}
		}
		// The mean pause is a little over five seconds.
		if late > 150 || late < 60 {
			t.Errorf("%d attempts in eight minutes of an old outage", late)
		}
	})
}
