package upstream

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// A gate paces the attempts that fail together (R11).
//
//	half-open ──success──▶ open ──a connection breaks──▶ half-open
//	    └─────failure──▶ shut ◀──failure── open
//	                      └──success──▶ open
//
// A failure shuts it: then one attempt at a time is in flight, after a pause, and
// all others wait in a queue for its outcome or for their own time to run out. A
// success opens it.
//
// While it is open, attempts are admitted as in TCP's slow start: a few at a time,
// one more with each success, so that hundreds of clients that come at once do not
// all meet an outage that has just begun, nor all load services that have
// just recovered. While it is half-open (at the start, and when an open connection
// has broken) one goes ahead. Where attempts have no outcome, because an address never answers,
// another one is admitted from time to time.
//
// The zero value is a half-open gate.
type gate struct {
	mu     sync.Mutex
	state  gateState
	epoch  uint64 // counts the changes of state
	queue  []*waiter
	timer  *time.Timer                // looks at the queue again
	pauses backoff.ExponentialBackOff // of the outage, see nextPause

	inFlight  int       // attempts of this epoch
	window    int       // how many there may be while it is open
	release   time.Time // when one more may begin although there are as many
	ended     time.Time // the last attempt
	grantedAt time.Time

	since    time.Time // of the outage
	next     time.Time // of the next attempt, while it is shut
	last     *failure.Failure
	failedAt time.Time
}

type gateState uint8

const (
	halfOpen gateState = iota
	open
	shut
)

// How attempts are admitted. An outage shows within the time of one handshake, so at
// most one window of attempts meets it. The largest admits 640 connections a second where
// a handshake takes 100 ms.
const (
	firstWindow     = 8
	largestWindow   = 64
	windowLasts     = time.Second           // without an attempt; then it is the first one again
	releaseOpen     = 50 * time.Millisecond // while attempts have no outcome
	releaseHalfOpen = time.Second
)

// A waiter is an attempt that has not been admitted.
type waiter struct {
	admitted chan struct{}
	ticket   ticket
}

// A ticket is an attempt that has been admitted.
type ticket struct {
	epoch uint64
	at    time.Time
}

// enter waits until the caller may make an attempt. It must then call leave or
// abandon with the ticket. When ctx ends first the error is the failure that shut
// the gate, or that of ctx when none did.
func (g *gate) enter(ctx context.Context) (ticket, error) {
	w := &waiter{admitted: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	g.admit()
	g.mu.Unlock()
	select {
	case <-w.admitted:
		return w.ticket, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.queue, w); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	} else {
		g.end(w.ticket) // admitted at the last moment
		g.admit()
	}
	if g.last != nil {
		return ticket{}, g.last
	}
	return ticket{}, ctx.Err()
}

// admit lets as many pass as may, in their order. The caller holds g.mu.
func (g *gate) admit() {
	now := time.Now()
	for len(g.queue) > 0 {
		if wait := g.wait(now); wait > 0 {
			g.lookAgain(wait)
			return
		}
		w := g.queue[0]
		g.queue = g.queue[1:]
		g.inFlight++
		if g.state == halfOpen {
			g.release = now.Add(releaseHalfOpen)
		} else {
			g.release = now.Add(releaseOpen)
		}
		w.ticket = ticket{g.epoch, now}
		close(w.admitted)
	}
}

// wait returns how long the first of the queue has to wait as things are.
func (g *gate) wait(now time.Time) time.Duration {
	switch g.state {
	case shut:
		if g.inFlight > 0 {
			return time.Hour // until the attempt in flight ends
		}
		return g.next.Sub(now)
	case open:
		if g.inFlight == 0 && now.Sub(g.ended) > windowLasts {
			g.window = firstWindow
		}
		if g.inFlight < g.window {
			return 0
		}
	case halfOpen:
		if g.inFlight == 0 {
			return 0
		}
	}
	return g.release.Sub(now)
}

// lookAgain looks at the queue after a time.
func (g *gate) lookAgain(after time.Duration) {
	if g.timer == nil {
		g.timer = time.AfterFunc(after, g.look)
		return
	}
	g.timer.Reset(after)
}

func (g *gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.admit()
}

// leave reports the outcome of an attempt: nil opens the gate, a failure shuts
// it. notBefore is the earliest time of the next attempt, zero for none.
func (g *gate) leave(t ticket, f *failure.Failure, notBefore time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.admit()
	now := time.Now()
	current := g.end(t)
	switch {
	case f == nil:
		g.succeeded(now)
	case g.state == shut && !current, g.state == open && t.at.Before(g.grantedAt):
		// One of many attempts that were in flight together. It is no news when another one
		// has shut the gate already, and it is older than one that was granted after it
		// had begun.
	default:
		if g.state != shut {
			g.since = now
			g.become(shut)
		}
		g.last, g.failedAt, g.next = f, now, now.Add(nextPause(&g.pauses, now.Sub(g.since)))
		if f.Code == failure.DescriptorsExhausted {
			g.next = now.Add(pauseFloor) // it ends at any moment, and an attempt costs no other service anything
		}
		if notBefore.After(g.next) {
			g.next = notBefore
		}
	}
}

func (g *gate) succeeded(now time.Time) {
	g.grantedAt = now
	if g.state != open {
		g.become(open)
		g.window, g.pauses, g.last = firstWindow, backoff.ExponentialBackOff{}, nil
	}
	g.window = min(g.window+1, largestWindow)
}

// abandon ends an attempt that has no outcome: its client left.
func (g *gate) abandon(t ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end(t)
	g.admit()
}

// end takes an attempt out of those in flight and reports whether it was one of
// this epoch.
func (g *gate) end(t ticket) (current bool) {
	if t.epoch != g.epoch {
		return false
	}
	g.inFlight--
	g.ended = time.Now()
	return true
}

// become changes the state. What is in flight does not count in the new one.
func (g *gate) become(s gateState) {
	g.state = s
	g.epoch++
	g.inFlight = 0
}

// broken reports that a connection that was granted has broken.
func (g *gate) broken() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == open {
		g.become(halfOpen)
	}
}

// isShut reports whether attempts are made one at a time because the last one failed.
func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == shut
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
