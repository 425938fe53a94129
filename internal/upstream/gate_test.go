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

// open returns a gate that has seen a success.
func open() *gate {
	g := &gate{}
	g.leave(ticket{}, nil, time.Time{})
	return g
}

func TestAnOpenGateLetsEverybodyPass(t *testing.T) {
	g := open()
	for range 3 {
		if ticket, err := g.enter(t.Context()); ticket.ahead != 0 || err != nil {
			t.Fatalf("enter() = %v, %v", ticket, err)
		}
	}
}

func TestInDoubtOneGoesAhead(t *testing.T) {
	for name, tt := range map[string]struct {
		outcome func(*gate, ticket) // of the first attempt, nil: none yet
		passed  int                 // of ten others
		waited  time.Duration
	}{
		"granted": {func(g *gate, t ticket) { g.leave(t, nil, time.Time{}) }, 10, 100 * time.Millisecond},
		"silent":  {nil, 8, 8 * patienceInDoubt},
		"failed":  {func(g *gate, t ticket) { g.leave(t, away, time.Time{}) }, 1, 100*time.Millisecond + pauseFloor},
		"left":    {func(g *gate, t ticket) { g.abandon(t) }, 9, 100*time.Millisecond + 8*patienceInDoubt},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
				defer cancel()
				g := &gate{}
				first, err := g.enter(ctx)
				if err != nil || first.ahead == 0 {
					t.Fatalf("the first one: %v, %v", first, err)
				}
				begin := time.Now()
				var passed atomic.Int32
				var last atomic.Int64
				for range 10 {
					go func() {
						if _, err := g.enter(ctx); err == nil {
							passed.Add(1)
							last.Store(int64(time.Since(begin)))
						}
					}()
				}
				time.Sleep(100 * time.Millisecond) // synctest
				if passed.Load() != 0 {
					t.Errorf("%d did not wait for the first one", passed.Load())
				}
				if tt.outcome != nil {
					tt.outcome(g, first)
				}
				time.Sleep(8*time.Second + 100*time.Millisecond) // synctest
				if n, waited := int(passed.Load()), time.Duration(last.Load()); n != tt.passed || waited != tt.waited {
					t.Errorf("%d have passed after %v, want %d after %v", n, waited, tt.passed, tt.waited)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

func TestABrokenConnectionRaisesDoubt(t *testing.T) {
	g := open()
	g.doubt()
	if first, err := g.enter(t.Context()); err != nil || first.ahead == 0 {
		t.Errorf("enter() = %v, %v", first, err)
	}
	shut := open()
	shut.leave(ticket{at: time.Now()}, away, time.Time{})
	shut.doubt()
	if shut.failure() == nil {
		t.Error("doubt has opened a gate that was shut")
	}
}

func TestAnOldFailureDoesNotShutAnOpenGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := open()
		early, _ := g.enter(t.Context())
		time.Sleep(time.Second) // synctest
		late, _ := g.enter(t.Context())
		g.leave(late, nil, time.Time{})
		g.leave(early, away, time.Time{})
		if g.failure() != nil {
			t.Error("an attempt that began before another was granted has shut the gate")
		}
	})
}

// outage runs clients that ask for an attempt again and again, the landscape
// failing until it heals, and returns when attempts began.
func outage(t *testing.T, clients int, lasts time.Duration) (attempts []time.Duration, recovered time.Duration) {
	t.Helper()
	g := open()
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
		for _, at := range attempts[clients:] { // all came at once when the gate was still open
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
			t.Errorf("the first grant came %v after the landscape's return", recovered)
		}
	})
}

func TestTheFirstFailuresShutTheGateOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := open()
		var tickets []ticket
		for range 1000 { // that were under way together
			passed, _ := g.enter(t.Context())
			tickets = append(tickets, passed)
		}
		for _, passed := range tickets {
			g.leave(passed, away, time.Time{})
		}
		if g.backoff.ceiling != pauseFloor {
			t.Errorf("the pause grew to %v by failures of one moment", g.backoff.ceiling)
		}
	})
}

func TestWaitersLeaveWithTheFailureWhenTheirTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := open()
		g.leave(ticket{at: time.Now()}, away, time.Now().Add(time.Minute))
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

func TestAnAbandonedProbeLeavesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := open()
		g.leave(ticket{at: time.Now()}, away, time.Time{})
		time.Sleep(time.Second) // synctest
		first, err := g.enter(t.Context())
		if first.ahead == 0 || err != nil {
			t.Fatalf("enter() = %v, %v", first, err)
		}
		entered := make(chan ticket)
		go func() {
			second, _ := g.enter(t.Context())
			entered <- second
		}()
		synctest.Wait()
		g.abandon(first)
		if second := <-entered; second.ahead == 0 {
			t.Error("the next one is not the probe")
		}
	})
}

func TestAnOldOutageIsTriedLessOften(t *testing.T) {
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
