package session

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
)

// A departure is what is known of a client that may have gone while nothing reads from
// it: the request pump waits for room in the queue, for the answer to a SaslHandshake,
// for a broker that takes no more, or for the dial with its buffer full. The kernel
// still knows (R13). Its owner is the round, see [connection.inspect].
//
//	reset      the connection ends
//	end (FIN)  it ends, unless bytes move in either direction: the broker may be slow.
//	           Records without acknowledgement (acks=0) that were not read yet are the
//	           broker's all the same: with such a client the broker has frame_stall
//
// An end that waits in the client's own kernel behind bytes for which there is no room
// is not seen.
type departure struct {
	since int64 // Unix nanoseconds of the first round that saw the end; 0: none has
	moved int64 // bytes that had been moved then
}

// stillFor is how long no byte may have moved: less than the time between two rounds, so
// that the second one ends the connection.
const stillFor = roundEvery * 3 / 4

// check ends the connection of a client that has gone.
func (d *departure) check(c *connection, now time.Time) {
	if !c.requests.IsWaiting() {
		d.since = 0
		return
	}
	state := relay.StateOf(c.client())
	if state == relay.Reset {
		c.clientGone(c.requests.ReadError(syscall.ECONNRESET))
		return
	}
	moved := c.toBroker.Load() + c.toClient.Load()
	patience := stillFor
	if state == relay.Unread && c.unacknowledged.Load() {
		patience = c.h.Stall
	}
	switch {
	case state == relay.Open:
		d.since = 0
	case d.since == 0 || moved != d.moved:
		d.since, d.moved = now.UnixNano(), moved
	case patience > 0 && now.UnixNano()-d.since >= int64(patience):
		c.clientGone(nil)
	}
}

// clientGone ends a connection whose client has gone; err is nil when it has closed its
// side cleanly.
func (c *connection) clientGone(err error) {
	if d := c.dialing.Load(); d != nil {
		if err != nil || !d.records {
			d.gone.Store(true)
			d.cancel()
		}
		return
	}
	if c.relaying.Load() == nil {
		return // the dial has just ended; the next round sees more
	}
	result := ClientClosed
	if err != nil {
		result, err = Failed, c.classify(err)
	}
	c.outcome.setOnce(result, err)
	c.end()
}

// end ends both pumps at once. What the broker has not taken by then is dropped.
func (c *connection) end() {
	c.undelivered.Store(true)
	c.queue.abort()
	c.requests.Stop()
	c.responses.Stop()
}

// A dialing is a dial that the request pump waits for, with its buffer full.
type dialing struct {
	cancel  context.CancelFunc
	records bool // without acknowledgement are buffered: they are delivered although the client has left
	gone    atomic.Bool
}

// departed reports whether the dial was cancelled because the client has gone.
func (d *dialing) departed() bool { return d != nil && d.gone.Load() }
