package tunnel

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/listener"
	"github.com/kafka-tunnel/kafka-tunnel/internal/logging"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/session"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/traffic"
)

// A connection is one client connection of a cluster. It implements [session.Owner]: the
// request pump calls Request, the response pump Answered and Rewritten.
type connection struct {
	// The fields that each request uses fit into one cache line. With thousands of busy
	// connections that is a large part of a request's cost.
	cl                  *cluster
	node                *traffic.Node
	requested, answered apis
	proved              bool   // the broker has answered; owned by the response pump
	port                uint16 // of the broker; 0: the bootstrap port

	entry
	conn    *listener.Conn // released when the connection has ended
	metrics *metrics.Node
	traffic traffic.Conn
	opened  time.Time // when the broker was reached
}

// serveBootstrap serves a connection to the bootstrap port.
func (cl *cluster) serveBootstrap(ctx context.Context, conn *listener.Conn) {
	cl.serve(ctx, conn, bootstrapNode, 0)
}

// serveBroker serves a connection to a broker's port.
func (cl *cluster) serveBroker(ctx context.Context, conn *listener.Conn) {
	node := bootstrapNode // until the node behind the port is known
	if id, ok := cl.topo.Node(conn.Port()); ok {
		node = strconv.Itoa(int(id))
	}
	cl.serve(ctx, conn, node, conn.Port())
}

// serve serves one connection. It returns when the connection has ended or is parked.
func (cl *cluster) serve(ctx context.Context, conn *listener.Conn, node string, port uint16) {
	c := &connection{
		cl: cl, port: port, conn: conn, metrics: cl.metrics.Node(node), node: cl.traffic.Node(node),
		entry: entry{Connection: tap.Connection{Cluster: cl.cfg.Name, Node: node, Client: conn.RemoteAddr().String()}},
	}
	cl.tunnel.connections.add(&c.entry)
	c.metrics.Opened()
	cl.handler.Serve(logging.WithConnection(ctx, c.Number), conn.Conn, c)
}

// Dial opens the upstream connection.
func (c *connection) Dial(ctx context.Context) (net.Conn, string, error) {
	c.cl.hold(1)
	up, target, err := c.dial(ctx)
	c.cl.hold(-1)
	if err != nil {
		delayRefusal(ctx, err)
		return nil, target.String(), err
	}
	c.traffic.Target, c.opened = target, time.Now()
	name := target.String()
	c.cl.tunnel.connections.reached(&c.entry, name)
	return up, name, nil
}

func (c *connection) dial(ctx context.Context) (net.Conn, hostport.Target, error) {
	var target hostport.Target
	if c.port != 0 {
		var err error
		if target, _, err = c.cl.topo.Resolve(ctx, c.port); err != nil {
			return nil, target, err
		}
	}
	w, err := c.cl.currentRoute(ctx)
	if err != nil {
		return nil, target, err
	}
	if c.port == 0 {
		return w.dialer.DialAny(ctx, w.bootstrap)
	}
	up, err := w.dialer.Dial(ctx, target)
	return up, target, err
}

// Shown implements [session.Owner].
func (c *connection) Shown() *tap.Connection {
	if c.cl.tunnel.tap == nil {
		return nil
	}
	return &c.Connection
}

// Connected implements [session.Observer].
func (c *connection) Connected(open session.InFlight) {
	c.node.Open(&c.traffic, open)
	c.cl.health.Connected()
	c.cl.tunnel.stir()
}

// Request implements [session.Observer].
func (c *connection) Request(key int16) { c.requested.get(c.cl, key).Request() }

// Answered implements [session.Observer].
func (c *connection) Answered(key int16, took, wait time.Duration) {
	c.answered.get(c.cl, key).Response(took)
	c.node.Answered(took, wait)
	if c.proved {
		c.cl.health.Answered()
		return
	}
	c.proved = true
	c.cl.health.Proved(c.traffic.Target, c.opened)
}

// Rewritten implements [session.Observer].
func (c *connection) Rewritten(key int16, r kafka.Result) {
	api := c.answered.get(c.cl, key)
	api.Rewritten(r.Rewritten)
	api.Hidden(r.Hidden)
	c.cl.caps.note(r.Capped)
}

// Bytes implements [session.Observer].
func (c *connection) Bytes(toBroker, toClient int) {
	if toBroker > 0 {
		c.cl.metrics.Bytes(metrics.ToBroker, int64(toBroker))
	}
	if toClient > 0 {
		c.cl.metrics.Bytes(metrics.ToClient, int64(toClient))
	}
}

// Held implements [session.Observer].
func (c *connection) Held(d time.Duration) { c.cl.metrics.Hold(d) }

// Ended implements [session.Owner].
func (c *connection) Ended(summary session.Summary) {
	defer c.conn.Release()
	defer c.cl.tunnel.connections.remove(&c.entry)
	c.metrics.Closed(resultLabel(summary.Result))
	reset := failure.Is(summary.Err, failure.BrokerReset)
	if summary.Result == session.BrokerClosed || reset {
		c.cl.route.Load().dialer.Broken(c.traffic.Target) // it was reached by one
	}
	c.report(summary)
	if reset {
		c.node.Reset()
		c.cl.tunnel.metrics.Reset()
	}
	open := c.traffic.Close()
	if f, ok := refusesAll(summary); ok && open {
		c.cl.refused(c.traffic.Target, f)
	}
	if open {
		c.cl.health.Disconnected()
	}
}

// report counts and logs how the connection ended.
func (c *connection) report(summary session.Summary) {
	ctx := logging.WithConnection(context.Background(), c.Number)
	t := c.cl.tunnel
	if f, ok := failure.As(summary.Err); ok && summary.Result != session.NotReached {
		// The dialer has reported its own failures.
		t.report(ctx, f, "cluster", c.Cluster, "node", c.Node)
		if reason, refused := refusal(f.Code); refused {
			t.metrics.Refused(reason)
		}
	} else if ok && (f.Code == failure.NodeUnknown || f.Code == failure.ClientGone || f.Code == failure.ClientReset) {
		t.report(ctx, f, "cluster", c.Cluster, "node", c.Node)
	}
	t.logger.DebugContext(ctx, "connection closed", "cluster", c.Cluster, "node", c.Node,
		"result", string(summary.Result), "target", summary.Target, "client", summary.Software, "requests", summary.Requests,
		"to_broker", summary.ToBroker, "to_client", summary.ToClient, "duration", summary.Duration.Round(time.Millisecond))
}

// apis caches the instruments of the API that a pump has seen last.
type apis struct {
	key int16
	api *metrics.API
}

func (a *apis) get(cl *cluster, key int16) *metrics.API {
	if a.api == nil || a.key != key {
		a.key, a.api = key, cl.metrics.API(key, kafka.Name(key))
	}
	return a.api
}

// refusedPause is how long a client waits before it is refused because its address is
// not exposed.
const refusedPause = time.Second

// delayRefusal delays the refusal of a client whose address has no entry in the access
// control. The entry will not appear within a moment, and clients that are closed at
// once reconnect at once.
func delayRefusal(ctx context.Context, err error) {
	if !failure.Is(err, failure.AccessNotAllowed) {
		return
	}
	select {
	case <-time.After(refusedPause):
	case <-ctx.Done():
	}
}

// hold counts a client that begins or ends waiting for a broker connection.
func (cl *cluster) hold(n int64) {
	cl.held.Add(n)
	cl.tunnel.held.Add(n)
}

func resultLabel(r session.Result) metrics.Result {
	switch r {
	case session.ClientClosed, session.BrokerClosed, session.Silent, session.Stopped:
		return metrics.ResultOK
	case session.Refused:
		return metrics.ResultRefused
	case session.NotReached:
		return metrics.ResultNoUpstream
	default:
		return metrics.ResultBroken
	}
}

func refusal(code failure.Code) (metrics.Refusal, bool) {
	switch code {
	case failure.TLSOnPlainPort:
		return metrics.RefusedTLS, true
	case failure.HTTPOnKafkaPort:
		return metrics.RefusedHTTP, true
	case failure.NotKafka:
		return metrics.RefusedNotKafka, true
	default:
		return "", false
	}
}
