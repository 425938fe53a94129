package tunnel

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/forward"
	"github.com/kafka-tunnel/kafka-tunnel/internal/health"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/listener"
	"github.com/kafka-tunnel/kafka-tunnel/internal/logging"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/upstream"
)

// forwardNode takes the place of a node id in metrics and in lists of connections.
const forwardNode = "forward"

// A forwardPort is one configured forward while the tunnel runs.
type forwardPort struct {
	tunnel  *Tunnel
	cfg     config.Forward
	target  hostport.Target
	port    uint16
	dialer  *upstream.Dialer
	metrics *metrics.Cluster
	health  *health.Health
}

// startForward binds the port of a forward.
func (t *Tunnel) startForward(ctx context.Context, cfg config.Forward) (*forwardPort, error) {
	f := &forwardPort{
		tunnel: t, cfg: cfg, metrics: t.metrics.Cluster(cfg.Name), health: health.New(nil),
		target: hostport.Target{Host: cfg.To.Host, Port: cfg.To.Port, LocationID: cfg.LocationID},
	}
	dialer, _, err := t.newDialer(ctx, cfg.Name, cfg.Tenant, f.metrics)
	if err != nil {
		return nil, err
	}
	f.dialer = dialer
	f.dialer.Health = f.health
	port, err := t.server.Listen(ctx, cfg.Listen.Host, cfg.Listen.Port, f.serve)
	if err != nil {
		return nil, listener.WithOwner(ctx, cfg.Listen.Port, err)
	}
	f.port = port.Number()
	return f, nil
}

// serve serves one connection. It dials the other end at once, because the server may
// be the side that sends first.
func (f *forwardPort) serve(ctx context.Context, conn *listener.Conn) {
	defer conn.Release()
	open := &f.tunnel.connections
	one := &entry{Connection: tap.Connection{Cluster: f.cfg.Name, Node: forwardNode, Client: conn.RemoteAddr().String()}}
	open.add(one)
	defer open.remove(one)
	ctx = logging.WithConnection(ctx, one.Number)
	n := f.metrics.Node(forwardNode)
	n.Opened()
	begin := time.Now()
	f.tunnel.held.Add(1)
	c := f.tunnel.forwarding.New(conn.Conn)
	err := f.reach(ctx, c)
	f.tunnel.held.Add(-1)
	if err != nil {
		if errors.Is(err, forward.ErrGone) {
			f.tunnel.report(ctx, failure.New(failure.ClientGone, err).For(f.target.String(), f.target.LocationID), "cluster", f.cfg.Name)
		}
		delayRefusal(ctx, err)
		c.Abort() // as for a refused connection, see session
		n.Closed(metrics.ResultNoUpstream)
		return
	}
	open.reached(one, f.target.String())
	sent, received, err := c.Relay(ctx)
	f.metrics.Bytes(metrics.ToBroker, sent)
	f.metrics.Bytes(metrics.ToClient, received)
	result := metrics.ResultOK
	if err != nil && ctx.Err() == nil {
		result = metrics.ResultBroken
	}
	n.Closed(result)
	f.tunnel.logger.DebugContext(ctx, "connection closed", "forward", f.cfg.Name, "target", f.target.String(),
		"sent", sent, "received", received, "duration", time.Since(begin).Round(time.Millisecond), "error", err)
}

// reach opens the connection to the other end, within the time of one attempt and only
// while the client is connected (R10).
func (f *forwardPort) reach(ctx context.Context, c *forward.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, f.tunnel.cfg.Connectivity.HandshakeTimeout)
	defer cancel()
	return c.Reach(ctx, func(ctx context.Context) (net.Conn, error) { return f.dialer.Dial(ctx, f.target) })
}

// address is where clients on this machine connect.
func (f *forwardPort) address() string {
	return net.JoinHostPort("localhost", strconv.Itoa(int(f.port)))
}

func (f *forwardPort) status(now time.Time) admin.ForwardStatus {
	s := admin.ForwardStatus{
		Name: f.cfg.Name, Listen: f.address(), To: f.target.String(), LocationID: f.cfg.LocationID,
		Connections: f.tunnel.server.Connections(f.port),
	}
	state := f.health.Snapshot()
	var reasons []admin.Reason
	for _, r := range state.Reasons {
		reasons = append(reasons, reason(r, now))
	}
	s.LastFailure = lastFailure(reasons, state.Healed, now)
	return s
}
