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
// because a Kafka response has only its correlation id; those that carry broker
// addresses are rewritten by package kafka, all others pass untouched.
//
// A [Handler] holds what all connections of a cluster share and serves any
// number of them:
//
//	handler := &session.Handler{Mapper: topology, Hold: 9 * time.Second}
//	handler.Serve(ctx, conn, owner)   // owner dials, observes, and gets the summary
//	...
//	handler.Close()                   // ends all connections
//
// What an idle connection costs is kept small. A pump that waits holds no buffer. One
// that has waited for some time is parked (Linux, package relay): its goroutine ends.
// That is why Serve may return before the connection has ended.
//
// The package knows neither ports nor tokens: the [Owner] of a connection dials.
package session

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/budget"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/set"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// An Owner is what one connection belongs to.
type Owner interface {
	// Dial opens the upstream connection. target is what was reached, for messages. It
	// returns when ctx ends; the error is or wraps a *failure.Failure.
	Dial(ctx context.Context) (conn net.Conn, target string, err error)
	// Shown returns how the connection is named to viewers of its frames; nil: they are
	// not shown.
	Shown() *tap.Connection
	Observer
	// Ended is called once, after everything else: both connections are closed.
	Ended(Summary)
}

// An Observer counts. Its methods are called from the pumps and must not block.
type Observer interface {
	// Request is called for each request that is passed on or answered.
	Request(key int16)
	// Connected is called once, when the upstream connection is open. open can be
	// asked until the connection has ended.
	Connected(open InFlight)
	// Answered is called with the time from a request to the first byte of its
	// response, and with how long the request allowed the broker to wait.
	Answered(key int16, took, wait time.Duration)
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
	MaxRequest int64          // largest request, bytes; 0: 100 MiB
	Stall      time.Duration  // how long a side may leave a frame unfinished; 0: for ever
	Hold       time.Duration  // from the first request to the upstream connection; 0: 9 s
	Lost       time.Duration  // how long the broker's side may acknowledge nothing; 0: 60 s
	Tap        *tap.Tap       // of viewers; nil: frames cannot be watched
	Budget     *budget.Budget // of the memory that is held; nil: no limit

	// Freed is called when a pump has given its stack back; nil: it is not. What the
	// runtime keeps of it can then be returned to the system.
	Freed func()

	prepare sync.Once
	group   relay.Group // of all pumps, see prepared
	open    set.Rounds[*connection]
	onCheck func()        // called at each check of a connection; for tests
	onClose func()        // called when the client's end was read; for tests
	every   time.Duration // between two checks; for tests; 0: a third of Lost
}

// The defaults of a Handler.
const (
	defaultMaxRequest = 100 << 20
	defaultHold       = 9 * time.Second
)

// drainTimeout is how long responses in flight may still take after the client has closed
// its side, counted from the last byte (R14).
const drainTimeout = 5 * time.Second

// connection is the state of one client connection.
type connection struct {
	set.Member // of Handler.open

	h       *Handler
	owner   Owner
	up      net.Conn
	queue   queue
	start   time.Time
	resumed atomic.Int64 // when a long poll was last answered, since start

	bare     atomic.Bool            // the client's next frame may be a bare SASL token
	software atomic.Pointer[string] // how the client calls itself, nil until it does
	tail     *tail                  // nil until a response needs one

	requests  relay.Pump // client -> broker
	responses relay.Pump // broker -> client

	stopped atomic.Bool
	pumps   atomic.Int32 // pumps that have not ended
	outcome outcome
	target  string // what was dialled; set before relaying
	asked   int64  // requests; owned by the request pump

	toBroker, toClient atomic.Int64 // bytes

	// Owned by the round of Handler.open.
	acks      relay.AckMonitor
	departure departure
	nextCheck int64 // Unix nanoseconds

	dialing        atomic.Pointer[dialing]  // the dial that the request pump waits for; nil: there is none
	relaying       atomic.Pointer[net.Conn] // the upstream connection; nil: not yet
	unacknowledged atomic.Bool              // a request came that has no response (acks=0)
	undelivered    atomic.Bool              // it has gone, and the broker does not take what it sent
}

// Serve relays conn until it ends and closes it; then it calls Ended of its owner, once,
// and nothing of it runs any more. It may return earlier. ctx is that of the dial; an open
// connection is ended by [Handler.Close].
func (h *Handler) Serve(ctx context.Context, conn net.Conn, owner Owner) {
	c := &connection{h: h, owner: owner, start: time.Now()}
	c.queue.init()
	group := h.prepared()
	c.requests.Init(group, c, relay.FromClient)
	c.responses.Init(group, c, relay.FromServer)
	c.requests.Attach(conn, nil)
	c.responses.Attach(nil, conn)
	if !h.open.Add(c) {
		c.stopped.Store(true)
		c.finish(Stopped, nil)
		return
	}
	if result, err := c.open(ctx); result != "" {
		if ctx.Err() != nil {
			c.stopped.Store(true)
		}
		c.finish(result, err)
		return
	}
	c.relay()
}

// prepared returns what all pumps share.
func (h *Handler) prepared() *relay.Group {
	h.prepare.Do(func() {
		h.group.Memory, h.group.Stall, h.group.Server = h.Budget.Memory(), h.Stall, "broker"
		h.open.Every, h.open.Visit = min(roundEvery, h.checkEvery()), (*connection).inspect
	})
	return &h.group
}

// Close ends all connections soon, and those that come later at once. It does not wait
// for them: [Owner.Ended] is called for each.
func (h *Handler) Close() {
	h.open.Close()
	h.open.Each((*connection).stop)
}

// client returns the client's connection.
func (c *connection) client() net.Conn { return c.requests.Source() }

// stop ends the connection soon.
func (c *connection) stop() {
	c.stopped.Store(true)
	c.requests.Stop()
	c.responses.Stop()
	if d := c.dialing.Load(); d != nil {
		d.cancel()
	}
}

// open inspects the first bytes and opens the upstream connection. With a result the
// connection ends here.
func (c *connection) open(ctx context.Context) (Result, error) {
	if err := c.firstBytes(); err != nil {
		if errors.Is(err, io.EOF) {
			return Silent, nil
		}
		return Refused, err
	}
	up, target, err := c.dialUpstream(ctx)
	c.target = target
	if err != nil {
		return NotReached, err
	}
	c.up = up
	c.owner.Held(time.Since(c.start))
	c.owner.Connected(c)
	return "", nil
}

// relay runs both pumps. It returns when the request pump is parked or ends.
func (c *connection) relay() {
	c.requests.Attach(nil, c.up)
	c.responses.Attach(c.up, nil)
	c.pumps.Store(2)
	c.relaying.Store(&c.up)
	go c.runResponses()
	c.runRequests()
}

// runRequests runs the request pump until it is parked or ends.
func (c *connection) runRequests() {
	err := c.pumpRequests()
	for errors.Is(err, relay.ErrParked) {
		if c.requests.Park() {
			c.freed()
			return
		}
		err = c.pumpRequests()
	}
	if errors.Is(err, io.EOF) {
		c.drainResponses()
	} else {
		c.outcome.setOnce(Failed, c.classify(err))
		c.responses.Stop()
	}
	c.outcome.mu.Lock()
	c.outcome.requestErr = err
	c.outcome.mu.Unlock()
	c.pumpEnded()
}

// runResponses runs the response pump until it is parked or ends.
func (c *connection) runResponses() {
	result, err := c.pumpResponses()
	for errors.Is(err, relay.ErrParked) {
		if c.responses.Park() {
			c.freed()
			return
		}
		result, err = c.pumpResponses()
	}
	c.outcome.setOnce(result, err)
	c.queue.abort()
	c.requests.Stop()
	c.pumpEnded()
}

func (c *connection) freed() {
	if c.h.Freed != nil {
		c.h.Freed()
	}
}

// pumpEnded is called when a pump has ended; the second call finishes the connection.
func (c *connection) pumpEnded() {
	if c.pumps.Add(-1) > 0 {
		c.freed()
		return
	}
	o := &c.outcome
	// The kernel reports a reset by the broker once, to the write or to the read; the
	// other one then finds the end of the stream.
	if side, ok := errors.AsType[*relay.Error](o.requestErr); ok && o.result == BrokerClosed && side.Write && relay.IsReset(o.requestErr) {
		o.result, o.err = Failed, c.classify(o.requestErr)
	}
	c.finish(o.result, o.err)
	c.freed()
}

// finish closes both connections and passes the summary to the owner.
func (c *connection) finish(result Result, err error) {
	c.h.open.Remove(c)
	if c.stopped.Load() {
		result, err = Stopped, nil
	}
	c.close(result, err)
	c.shown(relay.FromClient, true)
	c.shown(relay.FromServer, true)
	c.requests.Free()
	c.responses.Free()
	c.owner.Ended(Summary{
		Target: c.target, Software: c.clientSoftware(), Result: result, Err: err, Requests: c.asked,
		ToBroker: c.toBroker.Load(), ToClient: c.toClient.Load(), Duration: time.Since(c.start),
	})
}

// drainTimeout lets the response pump finish what is in flight.
func (c *connection) drainResponses() {
	idle := c.queue.close()
	if idle {
		c.responses.Drain(0)
	} else {
		c.responses.Drain(drainTimeout)
	}
	if c.h.onClose != nil {
		c.h.onClose()
	}
}

// Run implements [relay.Owner].
func (c *connection) Run(from relay.Direction) {
	if from == relay.FromClient {
		c.runRequests()
	} else {
		c.runResponses()
	}
}

// Moved implements [relay.Owner].
func (c *connection) Moved(from relay.Direction, n int) {
	if from == relay.FromClient {
		c.toBroker.Add(int64(n))
		c.owner.Bytes(n, 0)
	} else {
		c.toClient.Add(int64(n))
		c.owner.Bytes(0, n)
	}
}

// Stalled implements [relay.Owner]: it ends the connection for the sake of those that wait
// for its memory.
func (c *connection) Stalled() {
	c.outcome.setOnce(Failed, failure.New(failure.MemoryStalled, nil).For(c.target, ""))
	c.end()
}
