package session

import (
	"math"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// InFlight is what can be asked of an open connection at any time.
type InFlight interface {
	// InFlight returns how many requests are unanswered, and for how long the oldest
	// one has been: beyond the time that it allowed the broker itself, and beyond the
	// long poll that was ahead of it.
	InFlight() (n int, oldest time.Duration)
}

// InFlight implements [InFlight].
func (c *connection) InFlight() (n int, oldest time.Duration) {
	n, due := c.queue.due()
	if n == 0 {
		return 0, 0
	}
	due = max(due, time.Duration(c.resumed.Load()))
	return n, max(0, time.Since(c.start)-due)
}

// due returns how many requests are unanswered and since when the first of them could
// have been answered. Responses come in order: none of the others is due earlier.
func (q *queue) due() (n int, since time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		return 0, 0
	}
	head := q.at(0)
	return q.n, head.sent + head.allowed()
}

// allowed returns how long the broker may leave the request unanswered on purpose.
func (e *inFlight) allowed() time.Duration { return time.Duration(e.wait) * time.Millisecond }

// maxWait returns how long a request allows the broker to wait, in milliseconds. It
// looks only at what is buffered.
func (c *connection) maxWait(h kafka.RequestHeader, size int32) uint32 {
	b := c.requests.Buffered()
	if len(b) < headLen {
		return 0
	}
	b = b[kafka.SizeLen:min(len(b), kafka.SizeLen+int(size))]
	return uint32(min(kafka.MaxWait(h, b).Milliseconds(), math.MaxUint32))
}

// answered reports the first byte of a response.
func (c *connection) answered(e inFlight, took time.Duration) {
	if e.wait > 0 {
		c.resumed.Store(int64(e.sent + took)) // what is behind a long poll was not late before
	}
	c.owner.Answered(e.key, took, e.allowed())
}
