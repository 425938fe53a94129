// Package tunnel assembles one running tunnel: ports, sessions, topology, upstream
// connections, tokens, metrics and the admin endpoints.
//
//	t, err := tunnel.Start(ctx, tunnel.Options{Config: cfg, Logger: logger})
//	...                                        // it serves
//	t.Drain(ctx)                               // after SIGTERM
//	t.Close()                                  // everything has ended when it returns
//
// It is the only package that imports all the others, and leaves their work to them. A
// running tunnel ends only by Close: failures of upstream services are reported, paced
// and tried again.
package tunnel

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/budget"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/forward"
	"github.com/kafka-tunnel/kafka-tunnel/internal/listener"
	"github.com/kafka-tunnel/kafka-tunnel/internal/logging"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
	"github.com/kafka-tunnel/kafka-tunnel/internal/upstream"
)

// Options configure a tunnel.
type Options struct {
	Config config.Config
	// Source names the source of the credentials: the service instance, or
	// "configuration".
	Source   string
	Version  string
	Warnings []string     // of the configuration, for /status
	Logger   *slog.Logger // nil: silent
	// Reload reads the credentials again, if the platform may change them while the
	// tunnel runs (files on Kubernetes); nil: it does not.
	Reload func() (config.Config, error)
	// ReloadEvery is the time between two reloads; 0: 30 s.
	ReloadEvery time.Duration
	// FirstToken is the time within which the first token is fetched and the first
	// destination read without a client; 0: [token.FirstWithin], negative: only when a
	// client needs them.
	FirstToken time.Duration
	// DestinationEvery is how often destinations are read; 0: 5 min.
	DestinationEvery time.Duration
	// Dropped returns the number of lines that were dropped from the log; nil: none.
	Dropped func() uint64
	// MemoryLimit is the memory of the container in bytes; 0: unknown. It bounds the
	// default of limits.max_connections and what may be held for clients and brokers.
	MemoryLimit int64
	// Release returns free memory to the system; nil: [runtime/debug.FreeOSMemory].
	Release func()
}

// Tunnel is a running tunnel. It implements [admin.Source].
type Tunnel struct {
	cfg      config.Config
	version  string
	warnings []string
	started  time.Time

	logger   *slog.Logger
	failures *logging.Failures
	metrics  *metrics.Metrics

	server                         *listener.Server
	connections                    connections
	tap                            *tap.Tap // nil: no viewer is allowed
	trimmer                        *memoryTrimmer
	dropped                        func() uint64
	first                          time.Duration
	destinationEvery               time.Duration
	proxyTokens, destinationTokens *credentials   // nil: not needed
	pacer                          upstream.Pacer // of all clusters and forwards
	budget                         *budget.Budget // of all that is held
	clusters                       []*cluster
	forwards                       []*forwardPort
	forwarding                     *forward.Group // of all forwards
	adminPort                      uint16
	stirred                        chan struct{} // tells the monitor to check
	held                           atomic.Int64  // clients that wait for a broker connection

	cancel   context.CancelFunc
	work     sync.WaitGroup // token refresh, admin server, probes, the monitor, trimming memory
	bound    atomic.Bool
	draining atomic.Bool
}

// Start binds every port and begins to serve. If a port is taken, nothing is left
// running and the error is the failure port_taken. The tunnel keeps running after
// SIGTERM: ctx ends it as Close does, without a drain.
func Start(ctx context.Context, o Options) (*Tunnel, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &Tunnel{
		cfg: o.Config, first: max(0, cmp.Or(o.FirstToken, token.FirstWithin)), destinationEvery: o.DestinationEvery, version: o.Version, warnings: o.Warnings, started: time.Now(),
		logger: o.Logger, failures: logging.NewFailures(o.Logger), metrics: metrics.New(),
		dropped: o.Dropped, cancel: cancel, trimmer: newTrimmer(o.Release), stirred: make(chan struct{}, 1),
	}
	t.budget = budget.New(heldMemory(o.MemoryLimit, t.cfg.Limits.Memory))
	t.forwarding = forward.NewGroup(t.budget.Memory())
	t.metrics.DroppedFunc(o.Dropped)
	t.metrics.HeldFunc(t.heldClients)
	t.server = &listener.Server{
		Limit:       t.limit(o.MemoryLimit),
		Full:        func() { t.report(ctx, t.connectionsExhausted()) },
		AcceptError: func(port uint16, err error) { t.acceptFailed(ctx, port, err) },
	}
	if err := t.start(ctx, o); err != nil {
		t.Close()
		return nil, err
	}
	t.bound.Store(true)
	t.stir() // for connections accepted before
	return t, nil
}

func (t *Tunnel) start(ctx context.Context, o Options) error {
	sockets, port, err := listener.Sockets(ctx, t.cfg.Admin.Listen.Host, t.cfg.Admin.Listen.Port)
	if err != nil {
		return listener.WithOwner(ctx, t.cfg.Admin.Listen.Port, err)
	}
	t.adminPort = port
	t.server.Claim(sockets...)
	if t.cfg.Admin.Tap {
		t.tap = &tap.Tap{Admit: t.budget.TryAcquire, Release: t.budget.Release}
	}
	endpoints := &admin.Server{Source: t, Metrics: t.metrics.Handler(), Tap: t.tap, Logger: t.logger}
	t.work.Go(func() { t.serveAdmin(ctx, endpoints, sockets) })
	t.work.Go(func() { t.trimmer.run(ctx) })
	t.work.Go(func() { t.monitor(ctx) })
	if t.cfg.Connectivity.Via != config.ViaDirect && t.cfg.Connectivity.Auth == config.AuthJWT {
		t.proxyTokens = t.newCredentials(ctx, o.Source, t.cfg.Token)
	}
	if d := t.cfg.Destinations; d.URI != "" {
		t.destinationTokens = t.newCredentials(ctx, d.Name, d.Token)
	}
	for _, cfg := range t.cfg.Clusters {
		cl, err := t.startCluster(ctx, cfg)
		if err != nil {
			return err
		}
		t.clusters = append(t.clusters, cl)
	}
	for _, cfg := range t.cfg.Forwards {
		f, err := t.startForward(ctx, cfg)
		if err != nil {
			return err
		}
		t.forwards = append(t.forwards, f)
	}
	if o.Reload != nil {
		t.work.Go(func() { t.reloadCredentials(ctx, o) })
	}
	return nil
}

func (t *Tunnel) serveAdmin(ctx context.Context, endpoints *admin.Server, sockets []net.Listener) {
	if err := endpoints.Serve(ctx, sockets...); err != nil {
		t.logger.Error("the admin server has stopped", "error", err)
	}
}

func (t *Tunnel) userAgent() string { return "kafka-tunnel/" + t.version }

// report counts and logs a failure.
func (t *Tunnel) report(ctx context.Context, f *failure.Failure, args ...any) {
	t.metrics.Failure(f.Code)
	t.failures.Log(ctx, f, args...)
}

// acceptFailed is called with an error from accept.
func (t *Tunnel) acceptFailed(ctx context.Context, port uint16, err error) {
	t.metrics.AcceptError()
	f := failure.New(failure.AcceptFailed, err).For(strconv.Itoa(int(port)), "")
	if failure.NoDescriptor(err) {
		f = failure.New(failure.DescriptorsExhausted, err) // the same at all ports
	}
	t.report(ctx, f)
}

// Failed returns a channel that is closed when the tunnel cannot recover by itself: a
// listener stopped accepting. [Tunnel.Alive] returns which one.
func (t *Tunnel) Failed() <-chan struct{} { return t.server.Failed() }

// Address returns host:port of a cluster's bootstrap port, for clients on this
// machine; the first cluster's for "".
func (t *Tunnel) Address(cluster string) string {
	for _, c := range t.clusters {
		if cluster == "" || c.cfg.Name == cluster {
			return c.address()
		}
	}
	return ""
}

// Forward returns host:port of a forward's port, for clients on this machine; "" when
// there is none of that name.
func (t *Tunnel) Forward(name string) string {
	for _, f := range t.forwards {
		if f.cfg.Name == name {
			return f.address()
		}
	}
	return ""
}

// AdminURL returns the base URL of the admin endpoints.
func (t *Tunnel) AdminURL() string { return admin.BaseURL(t.cfg.Admin.Listen.Host, t.adminPort) }

// AdminAddress returns host:port of the admin endpoints, for clients on this machine.
func (t *Tunnel) AdminAddress() string { return strings.TrimPrefix(t.AdminURL(), "http://") }

// Metrics returns the tunnel's instruments.
func (t *Tunnel) Metrics() *metrics.Metrics { return t.metrics }

// Drain waits until the application's work has ended (R23): until no connection was
// open for drain.quiet, or for a second if there never was one, but no longer than
// drain.timeout or ctx. Ports stay open and connections are still dialled, because the
// application may still be flushing.
func (t *Tunnel) Drain(ctx context.Context) {
	t.draining.Store(true)
	begin := time.Now()
	ctx, cancel := context.WithDeadline(ctx, begin.Add(t.cfg.Drain.Timeout))
	defer cancel()
	t.logger.Info("stopping; ports stay open until the connections have ended", "timeout", t.cfg.Drain.Timeout, "connections", t.server.Activity().Open)
	for {
		wait := t.quietFor(begin)
		if wait <= 0 {
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			if n := t.server.Activity().Open; n > 0 {
				t.logger.Info("closing connections that are still open", "connections", n)
			}
			return
		}
	}
}

// quietFor returns how long to wait before the drain checks again for quiet.
func (t *Tunnel) quietFor(begin time.Time) time.Duration {
	const look = 100 * time.Millisecond
	a := t.server.Activity()
	switch {
	case a.Open > 0:
		return look
	case !a.Ever:
		return time.Until(begin.Add(min(time.Second, t.cfg.Drain.Quiet)))
	case a.LastOpen.After(begin):
		return min(time.Until(a.LastOpen.Add(t.cfg.Drain.Quiet)), look)
	default:
		return min(time.Until(begin.Add(t.cfg.Drain.Quiet)), look)
	}
}

// Close ends everything at once and waits until it has ended.
func (t *Tunnel) Close() {
	t.cancel()
	for _, cl := range t.clusters {
		cl.handler.Close()
	}
	t.tap.Close()
	t.server.Close()
	t.work.Wait()
	t.failures.Close()
}
