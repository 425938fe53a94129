package upstream

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// The pauses between attempts that meet trouble (R11): a random time between the
// floor and a ceiling that doubles from the floor, up to one limit in the first
// minute of an outage and another one later.
const (
	pauseFloor  = 250 * time.Millisecond
	pauseYoung  = 1500 * time.Millisecond
	pauseOld    = 10 * time.Second
	outageIsOld = time.Minute
)

// A backoff makes these pauses.
type backoff struct{ ceiling time.Duration }

// next returns the pause after one more failure of an outage of this age.
func (b *backoff) next(age time.Duration) time.Duration {
	limit := pauseYoung
	if age >= outageIsOld {
		limit = pauseOld
	}
	b.ceiling = min(max(2*b.ceiling, pauseFloor), limit)
	if b.ceiling == pauseFloor {
		return pauseFloor
	}
	return pauseFloor + rand.N(b.ceiling-pauseFloor)
}

// patienceInDoubt is how long the others wait for the one attempt that is made
// while it is not known whether the landscape works. Then another one follows it:
// the first may have met an address that swallows it.
const patienceInDoubt = time.Second

// A gate paces the attempts that meet the same trouble.
//
//	in doubt ──success──▶ open ──a connection breaks──▶ in doubt
//	    └─────failure──▶ shut ◀──failure── open
//	                      └──success──▶ open
//
// While it is open everybody passes. A failure shuts it: then one attempt at a
// time is in flight, after a pause, and all others wait for its outcome or for
// their own time to run out. A success opens it for everybody.
//
// In doubt (at the start, and when an open connection has broken) one goes ahead,
// after a moment without an outcome another one, and the others wait: hundreds of
// clients that lost their connections together would else all meet the trouble at
// once. The zero value is a gate in doubt.
type gate struct {
	mu        sync.Mutex
	open      bool      // the last outcome was a success
	shut      bool      // the last outcome was a failure
	since     time.Time // of the outage
	backoff   backoff
	next      time.Time // of the next attempt
	ahead     uint64    // the attempt in flight for which the others wait, 0: none
	aheadAt   time.Time
	attempts  uint64 // how many have gone ahead
	grantedAt time.Time
	waiting   int
	last      *failure.Failure
	failedAt  time.Time
	changed   chan struct{} // closed and replaced at each change
}

// A ticket says how an attempt came through the gate.
type ticket struct {
	ahead uint64 // not 0: the others wait, or have waited, for this attempt
	at    time.Time
}

// enter waits until the caller may make an attempt. It must then call leave or
// abandon with the ticket. When ctx ends first the error is the failure that shut
// the gate, or that of ctx when none did.
func (g *gate) enter(ctx context.Context) (ticket, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	defer func() { g.waiting-- }()
	for {
		now := time.Now()
		wait, pass, ahead := g.look(now)
		if pass {
			t := ticket{at: now}
			if ahead {
				g.attempts++
				t.ahead = g.attempts
				g.ahead, g.aheadAt = t.ahead, now
			}
			return t, nil
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		if err := g.wait(ctx, g.changed, wait); err != nil {
			if g.last != nil {
				return ticket{}, g.last
			}
			return ticket{}, err
		}
	}
}

// look says whether an attempt may be made now, and whether it is the one that
// the others wait for, or how long to wait at most before looking again.
func (g *gate) look(now time.Time) (wait time.Duration, pass, ahead bool) {
	switch {
	case g.open:
		return 0, true, false
	case g.shut && g.ahead != 0:
		return time.Hour, false, false // until the attempt in flight is over
	case g.shut:
		wait = g.next.Sub(now)
		return wait, wait <= 0, wait <= 0
	case g.ahead != 0:
		wait = g.aheadAt.Add(patienceInDoubt).Sub(now)
		return wait, wait <= 0, wait <= 0
	}
	return 0, true, true
}

// wait waits for a change of the gate, unlocked.
func (g *gate) wait(ctx context.Context, changed <-chan struct{}, longest time.Duration) error {
	g.mu.Unlock()
	defer g.mu.Lock()
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// leave reports the outcome of an attempt: nil opens the gate, a failure shuts
// it. notBefore is the earliest time of the next attempt, zero for none.
func (g *gate) leave(t ticket, f *failure.Failure, notBefore time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	awaited := g.release(t)
	switch {
	case f == nil:
		g.open, g.shut, g.last, g.backoff = true, false, nil, backoff{}
		g.grantedAt = now
	case !awaited && (g.shut || t.at.Before(g.grantedAt)):
		// One of many attempts that were under way together: it tells nothing new
		// when another one has shut the gate already, and less than the one that was
		// granted after it had begun.
		return
	default:
		if !g.shut {
			g.open, g.shut, g.since = false, true, now
			g.ahead = 0 // nobody waits for what is in flight elsewhere
		}
		g.last, g.failedAt, g.next = f, now, now.Add(g.backoff.next(now.Sub(g.since)))
		if notBefore.After(g.next) {
			g.next = notBefore
		}
	}
	g.notify()
}

// abandon ends an attempt that has no outcome: its client left.
func (g *gate) abandon(t ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.release(t) {
		g.notify()
	}
}

// release reports whether an attempt that ends is the one that the others wait
// for, and lets them go on.
func (g *gate) release(t ticket) bool {
	if t.ahead == 0 || t.ahead != g.ahead {
		return false
	}
	g.ahead = 0
	return true
}

// doubt says that a connection which was granted has broken.
func (g *gate) doubt() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = false
}

// failure returns what shut the gate, nil while it is not shut.
func (g *gate) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last == nil {
		return nil
	}
	return g.last
}

func (g *gate) notify() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// gates is a set of gates by Location ID. The zero value is empty.
type gates struct {
	mu sync.Mutex
	m  map[string]*gate
}

func (g *gates) get(locationID string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.m == nil {
		g.m = map[string]*gate{}
	}
	one := g.m[locationID]
	if one == nil {
		one = &gate{}
		g.m[locationID] = one
	}
	return one
}
