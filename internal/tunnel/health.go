package tunnel

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/health"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/logging"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/session"
	"github.com/kafka-tunnel/kafka-tunnel/internal/traffic"
)

const (
	// lookEvery is how often open connections are checked.
	lookEvery = time.Second
	// knowEvery is the number of checks after which the known nodes are read again.
	knowEvery = 10
	// absence is how long a node may be missing from responses that list others before
	// its failures do not count.
	absence = 10 * time.Minute
)

// stir triggers a check of the clusters by the monitor.
func (t *Tunnel) stir() {
	select {
	case t.stirred <- struct{}{}:
	default:
	}
}

// monitor is the loop that checks all clusters while connections are open or something
// is failing. An idle tunnel has no timer.
func (t *Tunnel) monitor(ctx context.Context) {
	for {
		select {
		case <-t.stirred:
		case <-ctx.Done():
			return
		}
		ticker := time.NewTicker(lookEvery)
		for i := 0; t.unsettled(); i++ {
			for _, cl := range t.allClusters() {
				cl.look(ctx, i%knowEvery == 0)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				ticker.Stop()
				return
			}
		}
		ticker.Stop()
	}
}

func (t *Tunnel) unsettled() bool {
	return slices.ContainsFunc(t.allClusters(), func(cl *cluster) bool { return cl.health.Unsettled() })
}

// allClusters returns the clusters once all ports are bound, and none before that.
func (t *Tunnel) allClusters() []*cluster {
	if !t.bound.Load() {
		return nil
	}
	return t.clusters
}

// look checks the open connections, and logs the nodes that are newly unresponsive.
func (cl *cluster) look(ctx context.Context, know bool) {
	events := cl.traffic.Look()
	for _, s := range events.Stalled {
		f := stallFailure(s)
		cl.tunnel.metrics.Failure(f.Code)
		cl.tunnel.logger.WarnContext(ctx, f.Summary(), logging.Attributes(f, "cluster", cl.cfg.Name, "node", s.Node, "clients", s.Clients, "oldest", s.Oldest.Round(time.Second))...)
	}
	for _, s := range events.Recovered {
		cl.tunnel.logger.InfoContext(ctx, "a broker answers in time again", "cluster", cl.cfg.Name, "node", s.Node, "target", s.Target.String(),
			"after", time.Since(s.Since).Round(time.Second))
	}
	cl.observe(know)
}

// observe passes to the state what other sources than attempts report.
func (cl *cluster) observe(know bool) {
	var known []hostport.Target
	if know {
		known = cl.known()
	}
	var stalls []health.Reason
	for _, s := range cl.traffic.Stalls() {
		stalls = append(stalls, health.Reason{Failure: stallFailure(s), Target: s.Target, Node: s.Node, Since: s.Since, At: s.At})
	}
	cl.health.Observe(known, stalls)
}

func stallFailure(s traffic.Stall) *failure.Failure {
	clients := strconv.Itoa(s.Clients) + " client"
	if s.Clients != 1 {
		clients += "s"
	}
	return failure.New(failure.BrokerUnresponsive, nil).For(s.Target.String(), s.Target.LocationID).With("node " + s.Node + ", " + clients + " affected")
}

// known returns the addresses of the cluster. A broker that left it does not count.
func (cl *cluster) known() []hostport.Target {
	w := cl.route.Load()
	if w == nil {
		return nil
	}
	list := slices.Clone(w.bootstrap)
	nodes := cl.topo.Nodes()
	var newest time.Time
	for _, n := range nodes {
		if n.LastSeen.After(newest) {
			newest = n.LastSeen
		}
	}
	for _, n := range nodes {
		if newest.Sub(n.LastSeen) < absence {
			list = append(list, n.Virtual)
		}
	}
	return list
}

// Attempt implements [upstream.Health].
func (cl *cluster) Attempt(target hostport.Target, began time.Time, f *failure.Failure) {
	cl.health.Attempt(target, began, f)
	cl.tunnel.stir()
}

// refused records that the broker refuses every connection.
func (cl *cluster) refused(target hostport.Target, f *failure.Failure) {
	cl.health.Refused(target, f)
	cl.tunnel.stir()
}

// refusesAll reports whether a failure before the first answer means that the broker
// would refuse every connection of this tunnel: the connection was granted and cannot
// be used.
func refusesAll(summary session.Summary) (*failure.Failure, bool) {
	f, ok := failure.As(summary.Err)
	if !ok || summary.ToClient > 0 {
		return nil, false
	}
	switch f.Code {
	case failure.TLSRefused, failure.BrokerExpectsTLS, failure.UnexpectedResponse, failure.ResponseMalformed:
		return f, true
	}
	return nil, false
}

// stateChanged logs a change of the state. The state calls it with its lock held.
func (cl *cluster) stateChanged(ctx context.Context, c health.Change) {
	level := map[health.State]slog.Level{health.Ready: slog.LevelInfo, health.Degraded: slog.LevelWarn, health.Down: slog.LevelError}[c.To]
	text := map[health.State]string{
		health.Ready:    "the brokers can be reached",
		health.Degraded: "only some of the brokers can be reached",
		health.Down:     "the brokers cannot be reached",
	}[c.To]
	args := []any{"cluster", cl.cfg.Name, "state", c.To.String(), "was", c.From.String(), "for", c.Lasted.Round(100 * time.Millisecond)}
	if c.To != health.Ready && len(c.Reasons) > 0 {
		r := c.Reasons[0]
		args = append(args, "cause", string(r.Failure.Code), "failing_at", string(r.Failure.Entry().Hop), "target", r.Target.String())
	}
	cl.tunnel.logger.Log(ctx, level, text, args...)
}

// live returns the state of the cluster for the metrics.
func (cl *cluster) live() metrics.Live {
	l := metrics.Live{State: cl.health.State().String()}
	cl.traffic.Flight(func(node string, requests int, oldest time.Duration) {
		l.Nodes = append(l.Nodes, metrics.LiveNode{Node: node, InFlight: requests, Oldest: oldest})
	})
	return l
}

// heldClients returns how many gates are shut and how many clients wait for a broker
// connection.
func (t *Tunnel) heldClients() (shut, clients int) {
	return t.pacer.Shut(), int(t.held.Load())
}
