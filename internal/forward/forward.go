// Package forward relays plain TCP between a client and the server of a forward: nothing is
// looked at and nothing is changed.
//
//	group := forward.NewGroup(memory)
//	c := group.New(client)
//	err := c.Reach(ctx, dial)
//	sent, received, err := c.Relay(ctx)
//
// Each direction ends by itself: when one side closes its end, that is passed on to the
// other, which may go on sending. A reset is passed on as a reset.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/set"
)

// ErrGone reports that the client has left before the server was reached.
var ErrGone = errors.New("the client has disconnected")

// maxEarly is how much of what the client sends meanwhile is read (R10).
const maxEarly = 16 << 10

// checkEvery is the time between two checks of both ends.
const checkEvery = 2 * time.Second

// A Group is what connections share.
type Group struct {
	pumps relay.Group
	open  set.Rounds[*Conn] // those that relay
}

// NewGroup returns a group whose pumps take what they hold from memory; nil: no limit.
func NewGroup(memory relay.Memory) *Group {
	return &Group{
		pumps: relay.Group{Memory: memory},
		open:  set.Rounds[*Conn]{Every: checkEvery, Visit: (*Conn).check},
	}
}

// A Conn is one client connection and its connection to the server.
type Conn struct {
	set.Member // of Group.open

	group              *Group
	client, server     net.Conn
	toServer, toClient relay.Pump
	sent, received     atomic.Int64

	mu  sync.Mutex
	err error // what ended it: the first error
}

// New returns a connection that is not connected to its server yet. The client's end is
// still the caller's, until Relay is called.
func (g *Group) New(client net.Conn) *Conn {
	c := &Conn{group: g, client: client}
	c.toServer.Init(&g.pumps, c, relay.FromClient)
	c.toClient.Init(&g.pumps, c, relay.FromServer)
	c.toServer.Attach(client, nil)
	c.toClient.Attach(nil, client)
	return c
}

// Reach opens the connection to the server with dial and reads the client meanwhile. When
// the client leaves, by a reset or by an end before it has sent anything, the dial is
// cancelled and the error is [ErrGone]. What it sends goes to the server first.
func (c *Conn) Reach(ctx context.Context, dial func(context.Context) (net.Conn, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var server net.Conn
	var failed error
	wait, gone := c.toServer.ReadAhead(maxEarly, func() { server, failed = dial(ctx) })
	if errors.Is(gone, io.EOF) && len(c.toServer.Buffered()) > 0 {
		gone = nil // it sends no more, and waits for the answer
	}
	if gone != nil {
		cancel()
	}
	wait()
	if gone != nil {
		failed = fmt.Errorf("%w: %w", ErrGone, gone)
		if server != nil {
			_ = server.Close()
		}
	}
	if failed != nil {
		c.toServer.Free()
		return failed
	}
	c.server = server
	c.toServer.Attach(nil, server)
	c.toClient.Attach(server, nil)
	return nil
}

// Relay relays until both directions have ended, or ctx; then both connections are closed.
// The error is what ended it, nil if both sides have closed their end; after the end of ctx
// it is ctx's cause.
func (c *Conn) Relay(ctx context.Context) (sent, received int64, err error) {
	defer c.close()
	defer context.AfterFunc(ctx, c.Abort)()
	c.group.open.Add(c)
	defer c.group.open.Remove(c)
	var both sync.WaitGroup
	both.Go(func() { c.pass(&c.toServer, c.server) })
	both.Go(func() { c.pass(&c.toClient, c.client) })
	both.Wait()
	sent, received = c.sent.Load(), c.received.Load()
	if ctx.Err() != nil {
		return sent, received, context.Cause(ctx)
	}
	return sent, received, c.err
}

// endless is more than will ever come.
const endless = 1 << 60

// pass moves what comes until it ends, and passes the end on.
func (c *Conn) pass(p *relay.Pump, to net.Conn) {
	defer p.Free()
	err := p.Pass(endless)
	if side, _ := errors.AsType[*relay.Error](err); side == nil || side.Write || !errors.Is(err, io.ErrUnexpectedEOF) {
		c.fail(err)
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		c.Abort()
	}
}

// Run implements [relay.Owner]. The pumps are never parked.
func (c *Conn) Run(relay.Direction) {}

// Stalled implements [relay.Owner]. The pumps hold no memory of their own.
func (c *Conn) Stalled() {}

// Moved implements [relay.Owner].
func (c *Conn) Moved(from relay.Direction, n int) {
	if from == relay.FromClient {
		c.sent.Add(int64(n))
	} else {
		c.received.Add(int64(n))
	}
}

// check ends the relay when one side has reset its connection while nothing reads from it,
// because the other side takes no more (R13).
func (c *Conn) check(time.Time) {
	for _, conn := range []net.Conn{c.client, c.server} {
		if relay.StateOf(conn) == relay.Reset {
			c.fail(&net.OpError{Op: "relay", Net: "tcp", Err: syscall.ECONNRESET})
			return
		}
	}
}

// fail keeps the first error and ends both directions.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	c.Abort()
}

// Abort resets both connections.
func (c *Conn) Abort() {
	relay.Abort(c.client)
	if c.server != nil {
		relay.Abort(c.server)
	}
}

func (c *Conn) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}
