package session

import (
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
)

// roundEvery is the time between two rounds over the open connections of a handler. A client
// that has gone is found in the second round after that at the latest, within the five
// seconds of R13.
const roundEvery = 2 * time.Second

// inspect is what a round does for one connection: it parks pumps that are idle, finds a
// broker that has gone without a word (see [relay.AckMonitor]), and a client that has gone
// while nothing reads from it (see [departure]). It must not block.
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
