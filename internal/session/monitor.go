package session

import (
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/set"
)

// A monitor looks after the open connections of a handler, with one timer for all of
// them. It parks pumps that are idle, finds brokers that have gone
// without a word (see [relay.AckMonitor]), and clients that have gone while nothing reads
// from them (see [departure]).
//
// The timer runs while a connection is open. A round that finds none sets no other one.
type monitor struct {
	mu     sync.Mutex // guards what follows; held during a round
	open   set.Set[*connection]
	timer  *time.Timer // of the next round; set while a connection is open
	closed bool
}

// roundEvery is the time between two rounds. A client that has gone is found in the
// second round after that at the latest, within the five seconds of R13.
const roundEvery = 2 * time.Second

// add starts to look after a connection; false: none is served any more.
func (m *monitor) add(c *connection) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.open.Add(c)
	switch every := min(roundEvery, c.h.checkEvery()); {
	case m.open.Len() > 1:
	case m.timer == nil:
		m.timer = time.AfterFunc(every, func() { m.round(every) })
	default:
		m.timer.Reset(every)
	}
	return true
}

// remove ends that; a round that is under way has ended when it returns.
func (m *monitor) remove(c *connection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open.Remove(c) && m.open.Len() == 0 {
		m.timer.Stop()
	}
}

// close stops all connections, and those that come later are not served.
func (m *monitor) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for _, c := range m.open.All() {
		c.stop()
	}
}

// round inspects all connections and sets the timer for the next round.
func (m *monitor) round(every time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open.Len() == 0 {
		return
	}
	m.timer.Reset(every)
	now := time.Now()
	for _, c := range m.open.All() {
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
		if c.acks.Check(*up, c.h.lost(), now) {
			c.responses.Unpark() // the poller would not notice the end
			relay.Abort(*up)
			return
		}
		c.requests.RequestPark()
		c.responses.RequestPark()
	}
	if c.h.onCheck != nil {
		c.h.onCheck()
	}
}

func (h *Handler) lost() time.Duration {
	if h.Lost > 0 {
		return h.Lost
	}
	return relay.DefaultLost
}

// checkEvery is the time between two checks of a connection that is idle.
func (h *Handler) checkEvery() time.Duration {
	if h.every > 0 {
		return h.every
	}
	return h.lost() / 3
}
