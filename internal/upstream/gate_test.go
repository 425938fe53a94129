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

func TestAnOpenGateLetsEverybodyPass(t *testing.T) {
	var g gate
	for range 3 {
		if ticket, err := g.enter(t.Context()); ticket != passed || err != nil {
			t.Fatalf("enter() = %v, %v", ticket, err)
		}
	}
}

// outage runs clients that ask for an attempt again and again, the landscape
// failing until it heals, and returns when attempts began.
func outage(t *testing.T, clients int, lasts time.Duration) (attempts []time.Duration, recovered time.Duration) {
	t.Helper()
	var g gate
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
		var g gate
		for range 1000 { // that were under way together
			g.leave(passed, away, time.Time{})
		}
		if g.ceiling != pauseFloor {
			t.Errorf("the pause grew to %v by failures of one moment", g.ceiling)
		}
	})
}

func TestWaitersLeaveWithTheFailureWhenTheirTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.leave(passed, away, time.Now().Add(time.Minute))
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
		var g gate
		g.leave(passed, away, time.Time{})
		time.Sleep(time.Second) // synctest
		first, err := g.enter(t.Context())
		if first != probe || err != nil {
			t.Fatalf("enter() = %v, %v", first, err)
		}
		entered := make(chan ticket)
		go func() {
			second, _ := g.enter(t.Context())
			entered <- second
		}()
		synctest.Wait()
		g.abandon(first)
		if second := <-entered; second != probe {
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
