// Package session serves one client connection from its first byte to its last.
//
//	           request pump                      response pump
//	client ──────────────────▶ upstream   client ◀────────────────── upstream
//	  frames: header read,                  frames: head of the queue taken,
//	  queued, bytes passed on               correlation id checked, rewritten
//	             │                                        ▲
//	             └────────▶ queue of requests in flight ──┘
//
// Nothing is dialled before the client's first request header has been seen.
// Then two pumps relay frames: large ones in pieces as they come, many small
// ones in one write. A response is looked up in the queue of requests in flight,
// because a Kafka response says only its correlation id; those that carry broker
// addresses are rewritten by package kafka, all others pass untouched.
//
// A [Handler] holds what all connections of a cluster share and serves any
// number of them:
//
//	handler := &session.Handler{Mapper: topology, Hold: 9 * time.Second}
//	summary := handler.Serve(ctx, conn, dial)
//
// The package knows neither ports nor tokens: where a connection leads is the
// business of the [DialFunc] it is given.
package session

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// A DialFunc opens the upstream connection. target is what was reached, for
// messages. It returns when ctx ends; the error is or wraps a *failure.Failure.
type DialFunc func(ctx context.Context) (conn net.Conn, target string, err error)

// An Observer counts. Its methods are called from the pumps and must not block.
type Observer interface {
	// Request is called for each request that is passed on or answered.
	Request(key int16)
	// Answered is called with the time from a request to the first byte of its
	// response.
	Answered(key int16, d time.Duration)
	// Rewritten is called for each response whose addresses were replaced.
	Rewritten(key int16, r kafka.Result)
	// Bytes is called with what was written to the broker and to the client.
	Bytes(toBroker, toClient int)
	// Held is called with the time from the first request to the upstream
	// connection.
	Held(d time.Duration)
}

// A Handler serves the connections of one cluster. Fields must not be changed
// after the first Serve.
type Handler struct {
	Mapper     kafka.Mapper
	MaxRequest int64         // largest request, bytes; 0: 100 MiB
	Stall      time.Duration // how long a side may leave a frame unfinished; 0: for ever
	Hold       time.Duration // from the first request to the upstream connection; 0: 9 s
	Lost       time.Duration // how long the broker's side may acknowledge nothing; 0: 60 s
	Observer   Observer      // nil: nobody counts

	buffers buffers
	looks   func() // hears of each look of a sentry; for tests
}

// The defaults of a Handler.
const (
	defaultMaxRequest = 100 << 20
	defaultHold       = 9 * time.Second
)

// lastWords is how long responses in flight may still take after the client has
// said that it will send no more, counted from the last byte (R14).
const lastWords = 5 * time.Second

// A Summary is what is to say about a connection when it is over.
type Summary struct {
	Target             string // what was dialled, "" when nothing was
	Software           string // how the client calls itself, "" when it does not
	Result             Result
	Err                error // why it ended; nil when one side just closed it
	Requests           int64
	ToBroker, ToClient int64 // bytes
	Duration           time.Duration
}

// Result is how a connection ended.
type Result string

// The results of a connection.
const (
	ClientClosed Result = "client_closed" // the client closed it in good order
	BrokerClosed Result = "broker_closed" // the broker closed it in good order
	Silent       Result = "silent"        // the client closed it without a byte: a port probe
	Refused      Result = "refused"       // what the client sent was refused
	NotReached   Result = "not_reached"   // the broker was not reached
	Failed       Result = "failed"        // it broke
	Stopped      Result = "stopped"       // the tunnel was stopped
)

// connection is the state of one client connection.
type connection struct {
	h      *Handler
	client net.Conn
	up     net.Conn
	queue  *queue
	start  time.Time

	bare     atomic.Bool // the client's next frame may be a bare SASL token
	sentry   *sentry
	software string // how the client calls itself, "" until it does
	walker   kafka.Walker

	requests  pump // client -> broker
	responses pump // broker -> client

	summary Summary
}

// Serve relays conn until it ends and closes it. It ends early when ctx does.
func (h *Handler) Serve(ctx context.Context, conn net.Conn, dial DialFunc) Summary {
	c := &connection{h: h, client: conn, queue: newQueue(), start: time.Now()}
	c.requests = pump{src: conn, from: "client", to: "broker", buffers: &h.buffers, stall: h.Stall, count: c.sent}
	c.requests.reader.init(&c.requests)
	stop := context.AfterFunc(ctx, c.requests.stop)
	defer stop()

	result, err := c.serve(ctx, dial)
	if ctx.Err() != nil {
		result, err = Stopped, nil
	}
	c.close(result, err)
	c.requests.discard()
	c.responses.discard()
	c.summary.Result, c.summary.Err, c.summary.Software = result, err, c.software
	c.summary.Duration = time.Since(c.start)
	return c.summary
}

func (c *connection) serve(ctx context.Context, dial DialFunc) (Result, error) {
	if err := c.firstBytes(); err != nil {
		if errors.Is(err, io.EOF) {
			return Silent, nil
		}
		return Refused, err
	}
	up, target, err := c.reach(ctx, dial)
	c.summary.Target = target
	if err != nil {
		return NotReached, err
	}
	c.up = up
	if o := c.h.Observer; o != nil {
		o.Held(time.Since(c.start))
	}
	return c.relay(ctx)
}

// relay runs both pumps until both have ended. The first one to end decides the
// result.
func (c *connection) relay(ctx context.Context) (Result, error) {
	c.requests.attach(c.up)
	c.responses = pump{src: c.up, dst: c.client, from: "broker", to: "client", buffers: &c.h.buffers, stall: c.h.Stall, count: c.received}
	c.responses.reader.init(&c.responses)
	stop := context.AfterFunc(ctx, c.responses.stop)
	defer stop()
	c.sentry = watchOver(c.up, c.h.Lost, c.h.looks)
	defer c.sentry.stop()

	var (
		wait    sync.WaitGroup
		once    sync.Once
		result  Result
		outcome error
	)
	wait.Go(func() {
		r, err := c.pumpResponses()
		once.Do(func() { result, outcome = r, err })
		c.queue.end()
		c.requests.stop()
	})
	err := c.pumpRequests()
	switch {
	case errors.Is(err, io.EOF):
		c.lastWords()
	default:
		once.Do(func() { result, outcome = Failed, c.classify(err) })
		c.responses.stop()
	}
	wait.Wait()
	// A reset by the broker is told once: to the write or to the read, and the other
	// one then finds the end of the stream.
	if side, ok := errors.AsType[*sideError](err); ok && result == BrokerClosed && side.write && isReset(err) {
		return Failed, c.classify(err)
	}
	return result, outcome
}

// lastWords lets the response pump finish what is in flight.
func (c *connection) lastWords() {
	c.queue.close()
	if c.queue.drained() {
		c.responses.finish(0)
		return
	}
	c.responses.finish(lastWords)
}

func (c *connection) sent(n int) {
	c.summary.ToBroker += int64(n)
	if o := c.h.Observer; o != nil {
		o.Bytes(n, 0)
	}
}

func (c *connection) received(n int) {
	c.summary.ToClient += int64(n)
	if o := c.h.Observer; o != nil {
		o.Bytes(0, n)
	}
}

// classify makes a failure of what ended a pump.
func (c *connection) classify(err error) error {
	if err == nil || errors.Is(err, errStopped) {
		return nil
	}
	if _, ok := failure.As(err); ok {
		return err
	}
	if lost := c.sentry.err(); lost != nil {
		return failure.New(failure.BrokerReset, lost).For(c.summary.Target, "")
	}
	side, ok := errors.AsType[*sideError](err)
	if !ok {
		return failure.New(failure.Internal, err)
	}
	client := side.side == "client"
	code := failure.BrokerReset
	switch {
	case errors.Is(err, errStalled) && client:
		code = failure.ClientStalled
	case errors.Is(err, errStalled):
		code = failure.BrokerStalled
	case client:
		code = failure.ClientReset
	}
	f := failure.New(code, err).For(c.summary.Target, "")
	if errors.Is(err, io.ErrUnexpectedEOF) {
		f = f.With("the connection ended inside a frame")
	}
	return f
}

// isReset reports whether err is a connection reset by the peer.
func isReset(err error) bool {
	return errors.Is(err, errLost) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
