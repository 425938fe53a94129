package session

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// patience is how many bytes of the client are read while its upstream
// connection is being opened, where the buffer has room for them.
const patience = 16 << 10

// dialUpstream opens the upstream connection within the hold time. Meanwhile it keeps
// reading the client, because that is the only way to notice that it left: then
// the dial is cancelled. One case is excepted: a client may write records without
// acknowledgement (acks=0) and leave at once; these are still delivered.
func (c *connection) dialUpstream(ctx context.Context) (net.Conn, string, error) {
	hold := c.h.Hold
	if hold <= 0 {
		hold = defaultHold
	}
	ctx, cancel := context.WithDeadline(ctx, c.start.Add(hold))
	defer cancel()
	var up net.Conn
	var target string
	var failed error
	c.requests.InFrame(false)
	wait, gone := c.requests.ReadAhead(patience, func() { up, target, failed = c.owner.Dial(ctx) })
	if gone == nil { // nothing reads now: a round notices when the client leaves
		c.dialing.Store(&dialing{cancel: cancel, records: c.unanswered()})
		c.requests.Waiting(true)
		if c.stopped.Load() {
			cancel()
		}
	}
	var left error
	switch {
	case errors.Is(gone, io.EOF) && !c.unanswered():
		left = failure.New(failure.ClientGone, nil)
		cancel()
	case gone != nil && !errors.Is(gone, io.EOF):
		left = c.classify(gone)
		cancel()
	}
	wait()
	c.requests.Waiting(false)
	departed := c.dialing.Swap(nil).departed()
	if left == nil && departed {
		left = failure.New(failure.ClientGone, nil)
	}
	if left == nil {
		return up, target, failed
	}
	if up != nil {
		_ = up.Close()
	}
	return nil, target, left
}

// unanswered reports whether a whole Produce request with acks=0 is buffered.
func (c *connection) unanswered() bool {
	for b := c.requests.Buffered(); len(b) >= headLen; {
		size := frameSize(b)
		if size < kafka.RequestHeaderLen || int64(size) > int64(len(b)-kafka.SizeLen) {
			return false
		}
		frame := b[kafka.SizeLen : kafka.SizeLen+int(size)]
		h, err := kafka.ParseRequestHeader(frame)
		if err != nil {
			return false
		}
		if h.Key == kafka.KeyProduce {
			if zero, enough, err := kafka.AcksZero(h.Version, frame); err == nil && enough && zero {
				return true
			}
		}
		b = b[kafka.SizeLen+int(size):]
	}
	return false
}
