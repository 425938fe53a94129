package tunnel

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/destination"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/health"
	"github.com/kafka-tunnel/kafka-tunnel/internal/listener"
	"github.com/kafka-tunnel/kafka-tunnel/internal/logging"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/session"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/topology"
	"github.com/kafka-tunnel/kafka-tunnel/internal/traffic"
)

// cluster is one configured cluster at work.
type cluster struct {
	tunnel  *Tunnel
	cfg     config.Cluster      // as it is configured
	way     atomic.Pointer[way] // nil until the destination has been read
	watch   *destination.Watch  // nil: there is no destination
	port    uint16              // of the bootstrap listener
	topo    *topology.Topology
	handler *session.Handler
	metrics *metrics.Cluster
	asked   chan struct{} // a request for readiness
	health  *health.Health
	traffic traffic.Cluster
	held    atomic.Int64 // clients that wait for a broker connection
	caps    caps
}

// startCluster binds the ports of a cluster.
func (t *Tunnel) startCluster(ctx context.Context, cfg config.Cluster) (*cluster, error) {
	cl := &cluster{tunnel: t, cfg: cfg, metrics: t.metrics.Cluster(cfg.Name), asked: make(chan struct{}, 1)}
	cl.health = health.New(func(c health.Change) { cl.stateChanged(ctx, c) })
	conn := t.cfg.Connectivity
	var names topology.Names
	if cfg.Destination == "" {
		w, err := cl.newWay(ctx, cfg)
		if err != nil {
			return nil, err
		}
		cl.way.Store(w)
		names = w.names()
	} else if err := cl.follow(ctx); err != nil {
		return nil, err
	}
	cl.topo = topology.New(topology.Options{
		Advertise: cfg.Advertise, First: cfg.BrokerPorts.First, Last: cfg.BrokerPorts.Last,
		Names: names, Direct: conn.Via == config.ViaDirect,
		Binder: &binder{server: t.server, bind: func(port uint16) (*listener.Port, error) {
			return t.server.Listen(ctx, cfg.Listen.Host, port, cl.serveBroker)
		}},
		Report: func(f *failure.Failure) { t.report(ctx, f, "cluster", cfg.Name) },
		Unmapped: func(hidden int) {
			for range hidden {
				t.metrics.Unmapped(metrics.ActionHidden)
			}
		},
		GivenUp: func(node int32) { cl.forget(strconv.Itoa(int(node))) },
		Logger:  t.logger,
	})
	cl.handler = &session.Handler{
		Mapper: cl.topo, MaxRequest: t.cfg.Limits.MaxRequestBytes, Stall: t.cfg.Limits.FrameStall,
		Hold: conn.Hold, Tap: t.tap, Budget: t.budget, Freed: t.tidy.note,
	}
	t.metrics.LiveFunc(cfg.Name, cl.live)
	port, err := t.server.Listen(ctx, cfg.Listen.Host, cfg.Listen.Port, cl.serveBootstrap)
	if err != nil {
		return nil, listener.WithOwner(ctx, cfg.Listen.Port, err)
	}
	cl.port = port.Number()
	cl.bindHomes(ctx)
	cl.observe(true)
	t.work.Go(func() { cl.probe(ctx) })
	if cl.watch != nil {
		t.work.Go(func() { cl.watch.Run(ctx) })
	}
	return cl, nil
}

// bootstrapNode is the node label of connections to the bootstrap port.
const bootstrapNode = "bootstrap"

// forget drops what was measured of a node whose port was given up.
func (cl *cluster) forget(node string) {
	cl.metrics.Forget(node)
	cl.traffic.Forget(node)
}

// bindHomes opens the ports of the first node ids, and warns about those that are taken.
// Here, at start, and not later, their owners are looked up.
func (cl *cluster) bindHomes(ctx context.Context) {
	taken := cl.topo.BindHomes()
	ports := slices.Sorted(maps.Keys(taken))
	owners := listener.Owners(ctx, ports...)
	for _, port := range ports {
		err := taken[port]
		if owner := owners[port]; owner != "" {
			err = fmt.Errorf("%w, held by %s", err, owner)
		}
		cl.tunnel.logger.Warn("a broker port is taken; its broker gets another one", "cluster", cl.cfg.Name, "port", port, "error", err)
	}
}

// explain returns a failure with what the cluster knows about it. For a refused
// address that is the address that its broker advertises: the entry may be missing, or
// have another name. For a Cloud Connector that is away it is the subscriber.
func (cl *cluster) explain(f *failure.Failure) *failure.Failure {
	if w := cl.way.Load(); f.Code == failure.ConnectorAway && w != nil && w.cfg.Tenant != "" {
		return f.With(strings.TrimPrefix(f.Detail+"; the subaccount is that of tenant "+w.cfg.Tenant, "; "))
	}
	if f.Code != failure.AccessNotAllowed || cl.topo == nil {
		return f
	}
	if advertised, ok := cl.topo.Advertised(f.Target, f.LocationID); ok {
		return f.With(f.Detail + `; the broker advertises ` + advertised + `; if it is exposed by another name: KAFKA_TUNNEL_ADDRESS_MAP=[{from: "` + advertised + `", to: "VIRTUAL-HOST:PORT"}]`)
	}
	return f
}

// binder opens broker ports for the topology.
type binder struct {
	server *listener.Server
	bind   func(port uint16) (*listener.Port, error)
}

func (b *binder) Bind(port uint16) (uint16, error) {
	p, err := b.bind(port)
	if err != nil {
		return 0, err
	}
	return p.Number(), nil
}

func (b *binder) Connections(port uint16) int { return b.server.Connections(port) }
func (b *binder) Owns(port uint16) bool       { return b.server.Owns(port) }

// address is where clients on this machine start.
func (cl *cluster) address() string {
	host := cl.cfg.Listen.Host
	if ip := net.ParseIP(host); ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(int(cl.port)))
}

// serveBootstrap serves a connection to the bootstrap port.
func (cl *cluster) serveBootstrap(ctx context.Context, conn net.Conn, _ uint16, over func()) {
	cl.serve(ctx, conn, bootstrapNode, over, func(ctx context.Context) (net.Conn, topology.Target, error) {
		w, err := cl.lead(ctx)
		if err != nil {
			return nil, topology.Target{}, err
		}
		return w.dialer.DialAny(ctx, w.bootstrap)
	})
}

// serveBroker serves a connection to a broker's port.
func (cl *cluster) serveBroker(ctx context.Context, conn net.Conn, port uint16, over func()) {
	node := bootstrapNode // until the node behind the port is known
	if id, ok := cl.topo.Node(port); ok {
		node = strconv.Itoa(int(id))
	}
	cl.serve(ctx, conn, node, over, func(ctx context.Context) (net.Conn, topology.Target, error) {
		target, _, err := cl.topo.Resolve(ctx, port)
		if err != nil {
			return nil, target, err
		}
		w, err := cl.lead(ctx)
		if err != nil {
			return nil, target, err
		}
		up, err := w.dialer.Dial(ctx, target)
		return up, target, err
	})
}

// refusedPause is how long a client waits for the news that its address is not
// exposed.
const refusedPause = time.Second

// slowly keeps a client waiting that asked for an address without an entry in the
// access control: nothing will change in a moment, and clients that are closed at
// once come back at once.
func slowly(ctx context.Context, err error) {
	if !failure.Is(err, failure.AccessNotAllowed) {
		return
	}
	select {
	case <-time.After(refusedPause):
	case <-ctx.Done():
	}
}

// serve serves one connection, which dial leads to its broker, and calls over when
// it has ended.
func (cl *cluster) serve(ctx context.Context, conn net.Conn, node string, over func(), dial func(context.Context) (net.Conn, topology.Target, error)) {
	open := &cl.tunnel.connections
	one := open.add(cl.cfg.Name, node, conn.RemoteAddr().String())
	ctx = logging.WithConnection(ctx, one.number)
	if cl.tunnel.tap != nil {
		ctx = tap.WithConnection(ctx, &tap.Connection{Number: one.number, Cluster: one.cluster, Node: node, Client: one.client})
	}
	n := cl.metrics.Node(node)
	n.Opened()
	o := &observer{cl: cl, node: cl.traffic.Node(node)}
	cl.handler.ServeObserved(ctx, conn, o, func(ctx context.Context) (net.Conn, string, error) {
		cl.hold(1)
		up, target, err := dial(ctx)
		cl.hold(-1)
		if err != nil {
			slowly(ctx, err)
			return nil, target.String(), err
		}
		o.reached(target)
		open.reached(one, target.String())
		return up, target.String(), nil
	}, func(summary session.Summary) {
		defer over()
		defer open.remove(one)
		n.Closed(resultLabel(summary.Result))
		if summary.Result == session.BrokerClosed || failure.Is(summary.Err, failure.BrokerReset) {
			cl.way.Load().dialer.Broken(o.target) // it was reached by one
		}
		cl.conclude(ctx, node, summary)
		if failure.Is(summary.Err, failure.BrokerReset) {
			o.node.Reset()
			cl.tunnel.metrics.Reset()
		}
		if f, ok := refusesAll(summary); ok && o.open != nil {
			cl.refused(o.target, f)
		}
		o.close()
	})
}

// hold counts a client that waits for a broker connection, or does not any more.
func (cl *cluster) hold(n int64) {
	cl.held.Add(n)
	cl.tunnel.held.Add(n)
}

// conclude reports how a connection ended.
func (cl *cluster) conclude(ctx context.Context, node string, summary session.Summary) {
	if f, ok := failure.As(summary.Err); ok && summary.Result != session.NotReached {
		// What the dialer met it has reported itself.
		cl.tunnel.report(ctx, f, "cluster", cl.cfg.Name, "node", node)
		if reason, refused := refusal(f.Code); refused {
			cl.tunnel.metrics.Refused(reason)
		}
	} else if ok && (f.Code == failure.NodeUnknown || f.Code == failure.ClientGone || f.Code == failure.ClientReset) {
		cl.tunnel.report(ctx, f, "cluster", cl.cfg.Name, "node", node)
	}
	cl.tunnel.logger.DebugContext(ctx, "a connection is over", "cluster", cl.cfg.Name, "node", node,
		"result", string(summary.Result), "target", summary.Target, "client", summary.Software, "requests", summary.Requests,
		"to_broker", summary.ToBroker, "to_client", summary.ToClient, "duration", summary.Duration.Round(time.Millisecond))
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
