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

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/destination"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/health"
	"github.com/kafka-tunnel/kafka-tunnel/internal/listener"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/session"
	"github.com/kafka-tunnel/kafka-tunnel/internal/topology"
	"github.com/kafka-tunnel/kafka-tunnel/internal/traffic"
)

// cluster is one configured cluster while the tunnel runs.
type cluster struct {
	tunnel  *Tunnel
	cfg     config.Cluster        // as it is configured
	route   atomic.Pointer[route] // nil until the destination has been read
	watch   *destination.Watch    // nil: there is no destination
	port    uint16                // of the bootstrap listener
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
		w, err := cl.newRoute(ctx, cfg)
		if err != nil {
			return nil, err
		}
		cl.route.Store(w)
		names = w.names()
	} else if err := cl.watchDestination(ctx); err != nil {
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
		Hold: conn.Hold, Tap: t.tap, Budget: t.budget, Freed: t.trimmer.note,
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

// forget drops the measurements of a node whose port was given up.
func (cl *cluster) forget(node string) {
	cl.metrics.Forget(node)
	cl.traffic.Forget(node)
}

// bindHomes opens the ports of the first node ids, and warns about those that are
// taken. It looks up their owners, which is done only at start.
func (cl *cluster) bindHomes(ctx context.Context) {
	taken := cl.topo.BindHomes()
	ports := slices.Sorted(maps.Keys(taken))
	owners := listener.Owners(ctx, ports...)
	for _, port := range ports {
		err := taken[port]
		if owner := owners[port]; owner != "" {
			err = fmt.Errorf("%w, held by %s", err, owner)
		}
		cl.tunnel.logger.Warn("a broker port is already in use; the broker gets another port", "cluster", cl.cfg.Name, "port", port, "error", err)
	}
}

// explain returns a failure with the cluster's knowledge about it. For a refused
// address that is the address that its broker advertises, because the entry may be
// missing or have another name. For an unreachable Cloud Connector it is the
// subscriber.
func (cl *cluster) explain(f *failure.Failure) *failure.Failure {
	if w := cl.route.Load(); f.Code == failure.ConnectorAway && w != nil && w.cfg.Tenant != "" {
		return f.With(strings.TrimPrefix(f.Detail+"; subaccount: that of tenant "+w.cfg.Tenant, "; "))
	}
	if f.Code != failure.AccessNotAllowed || cl.topo == nil {
		return f
	}
	if advertised, ok := cl.topo.Advertised(f.Target, f.LocationID); ok {
		return f.With(f.Detail + `; the broker advertises ` + advertised + `; if the Cloud Connector exposes it under another name: KAFKA_TUNNEL_ADDRESS_MAP=[{from: "` + advertised + `", to: "VIRTUAL-HOST:PORT"}]`)
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

// address is where clients on this machine connect first.
func (cl *cluster) address() string {
	host := cl.cfg.Listen.Host
	if ip := net.ParseIP(host); ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(int(cl.port)))
}
