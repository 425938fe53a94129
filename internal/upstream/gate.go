package upstream

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// The pauses between attempts while a gate is shut (R11): a random time between
// the floor and a ceiling that doubles from the floor, up to one limit in the
// first minute of an outage and another one later.
const (
	pauseFloor  = 250 * time.Millisecond
	pauseYoung  = 1500 * time.Millisecond
	pauseOld    = 10 * time.Second
	outageIsOld = time.Minute
)

// A gate paces the attempts that meet the same trouble. While it is open
// everybody passes. A failure shuts it: then one attempt at a time is in flight,
// after a pause, and all others wait for its outcome or for their own time to
// run out. A success opens it for everybody.
type gate struct {
	mu      sync.Mutex
	shut    bool
	since   time.Time // of the outage
	ceiling time.Duration
	next    time.Time // of the next attempt
	probing bool      // an attempt is in flight
	last    *failure.Failure
	changed chan struct{} // closed and replaced at each change
}

// enter waits until the caller may make an attempt. It must then call leave or
// abandon with the same ticket. When ctx ends first the error is the failure that
// shut the gate.
func (g *gate) enter(ctx context.Context) (ticket, error) {
	for {
		g.mu.Lock()
		if !g.shut {
			g.mu.Unlock()
			return passed, nil
		}
		wait := time.Until(g.next)
		if !g.probing && wait <= 0 {
			g.probing = true
			g.mu.Unlock()
			return probe, nil
		}
		if g.probing {
			wait = time.Hour // until the attempt in flight is over
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed, last := g.changed, g.last
		g.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return passed, last
		}
		timer.Stop()
	}
}

// A ticket says how an attempt came through the gate.
type ticket bool

const (
	passed ticket = false // the gate was open
	probe  ticket = true  // it is the one attempt while the gate is shut
)

// leave reports the outcome of an attempt: nil opens the gate, a failure shuts
// it. notBefore is the earliest time of the next attempt, zero for none.
func (g *gate) leave(t ticket, f *failure.Failure, notBefore time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t == probe {
		g.probing = false
	}
	switch {
	case f == nil:
		g.shut, g.last, g.ceiling = false, nil, 0
	case g.shut && t == passed:
		// One of many attempts that were under way when the gate shut: it tells
		// nothing new and must not make the pause longer.
		return
	default:
		g.pause(f, notBefore)
	}
	g.notify()
}

func (g *gate) pause(f *failure.Failure, notBefore time.Time) {
	now := time.Now()
	if !g.shut {
		g.shut, g.since = true, now
	}
	limit := pauseYoung
	if now.Sub(g.since) >= outageIsOld {
		limit = pauseOld
	}
	g.ceiling = min(max(2*g.ceiling, pauseFloor), limit)
	pause := pauseFloor
	if g.ceiling > pauseFloor {
		pause += rand.N(g.ceiling - pauseFloor)
	}
	g.last, g.next = f, now.Add(pause)
	if notBefore.After(g.next) {
		g.next = notBefore
	}
}

// abandon ends an attempt that has no outcome: its client left.
func (g *gate) abandon(t ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t == probe {
		g.probing = false
		g.notify()
	}
}

// failure returns what shut the gate, nil while it is open.
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
