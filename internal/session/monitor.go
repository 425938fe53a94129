package session

import (
	"sync"
	"time"
)

// A monitor looks after the open connections of a handler: one goroutine and one
// timer for all of them. It parks pumps that are idle, finds brokers that have gone
// without a word (see [ackMonitor]), and clients that have gone while nothing reads
// from them (see [departure]).
//
// The goroutine runs while a connection is open; the last one that is removed ends it.
type monitor struct {
	mu   sync.Mutex // guards what follows; held during a round
	open map[*connection]struct{}
	stop chan struct{} // closed when the goroutine is to end; nil: there is none
}

// roundEvery is the time between two rounds. A client that has gone is found in the
// second round after that at the latest, within the five seconds of R13.
const roundEvery = 2 * time.Second

// add starts to look after a connection.
func (m *monitor) add(c *connection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = map[*connection]struct{}{}
	}
	m.open[c] = struct{}{}
	if m.stop == nil {
		m.stop = make(chan struct{})
		every := min(roundEvery, c.h.checkEvery())
		go m.run(every, m.stop)
	}
}

// remove ends that; a round that is under way has ended when it returns.
func (m *monitor) remove(c *connection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, c)
	if len(m.open) == 0 && m.stop != nil {
		close(m.stop)
		m.stop = nil
	}
}

// run makes rounds until stop is closed.
func (m *monitor) run(every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.round(time.Now())
		case <-stop:
			return
		}
	}
}

func (m *monitor) round(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.open {
		c.inspect(now)
	}
}

// inspect is what a round does for one connection. It must not block.
func (c *connection) inspect(now time.Time) {
	c.departure.check(c, now)
	if now.UnixNano() < c.nextCheck {
		return
	}
	c.nextCheck = now.Add(c.h.checkEvery()).UnixNano()
	if up := c.relaying.Load(); up != nil {
		if c.acks.check(*up, c.h.lost(), now) {
			c.responses.getUp() // the dormitory would not notice the end
			abort(*up)
			return
		}
		c.requests.askRest()
		c.responses.askRest()
	}
	if c.h.looks != nil {
		c.h.looks()
	}
}

func (h *Handler) lost() time.Duration {
	if h.Lost > 0 {
		return h.Lost
	}
	return defaultLost
}

// checkEvery is the time between two checks of a connection that is idle.
func (h *Handler) checkEvery() time.Duration {
	if h.every > 0 {
		return h.every
	}
	return h.lost() / 3
}
