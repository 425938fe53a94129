package tunnel

import (
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/upstream"
)

// Bound implements [admin.Source].
func (t *Tunnel) Bound() bool { return t.bound.Load() }

// Alive implements [admin.Source].
func (t *Tunnel) Alive() error { return t.server.Alive() }

// transientWarnings returns the warnings that the current state causes.
func (t *Tunnel) transientWarnings(now time.Time) []string {
	list := append(t.proxyTokens.warnings(now), t.destinationTokens.warnings(now)...)
	for _, cl := range t.clusters {
		list = append(list, cl.warnings(now)...)
	}
	return append(list, t.fullWarning(now)...)
}

// Status implements [admin.Source].
func (t *Tunnel) Status() admin.Status {
	now := time.Now()
	activity := t.server.Activity()
	s := admin.Status{
		Version: t.version, PID: os.Getpid(), StartedAt: t.started, UptimeSeconds: admin.Seconds(now.Sub(t.started)),
		Bound: t.bound.Load(), Draining: t.draining.Load(),
		Connections: activity.Open, MaxConnections: t.server.Limit, Tap: t.tap.State(), Warnings: t.warnings,
	}
	s.Warnings = append(slices.Clone(s.Warnings), t.transientWarnings(now)...)
	if !s.Bound {
		s.State = admin.StateDown
		return s
	}
	s.Ready = !s.Draining
	for _, cl := range t.clusters {
		one := cl.status(now)
		s.Ready, s.State = s.Ready && one.Ready, s.State.Worse(one.State)
		s.Clusters = append(s.Clusters, one)
	}
	for _, f := range t.forwards {
		s.Forwards = append(s.Forwards, f.status(now))
	}
	s.OpenConnections = t.connections.status(now)
	if t.dropped != nil {
		s.LogLinesDropped = t.dropped()
	}
	s.Tokens = append(t.proxyTokens.status(now), t.destinationTokens.status(now)...)
	return s
}

func (cl *cluster) status(now time.Time) admin.ClusterStatus {
	r := cl.readiness(now)
	cl.ask()
	snapshot := cl.health.Snapshot()
	all, figures := cl.traffic.Figures()
	c := admin.ClusterStatus{
		Name: cl.cfg.Name, Listen: []string{net.JoinHostPort(cl.cfg.Listen.Host, strconv.Itoa(int(cl.port)))},
		Advertise: cl.cfg.Advertise, Via: cl.tunnel.cfg.Connectivity.Via, Proxy: cl.tunnel.cfg.Connectivity.Proxy,
		Destination: cl.destinationStatus(now), Ready: r.Ready, EvidenceAgeSeconds: r.EvidenceAgeSeconds,
		State: r.State, StateSeconds: r.StateSeconds, Reasons: r.Reasons, LastFailure: lastFailure(r.Reasons, snapshot.Healed, now),
		BootstrapConnections: cl.tunnel.server.Connections(cl.port),
	}
	c.Connections = c.BootstrapConnections
	together, atBootstrap := trafficOf(all), trafficOf(figures[bootstrapNode])
	c.Traffic, c.BootstrapTraffic = &together, &atBootstrap
	w := cl.route.Load()
	if w == nil {
		return c
	}
	c.LocationID, c.TLS = w.cfg.LocationID, w.cfg.TLS.Enabled
	for _, target := range w.dialer.Order(w.bootstrap) {
		c.Bootstrap = append(c.Bootstrap, target.String())
	}
	used := slices.Clone(w.bootstrap)
	for _, n := range cl.topo.Nodes() {
		used = append(used, n.Virtual)
		node := admin.NodeStatus{
			ID: n.ID, Advertised: n.Advertised, Virtual: n.Virtual.String(), ServerName: n.Virtual.ServerName, Connections: n.Connections,
			Local: net.JoinHostPort(cl.cfg.Advertise, strconv.Itoa(int(n.Local))),
		}
		name := strconv.Itoa(int(n.ID))
		node.TrafficStatus, node.LastFailure = trafficOf(figures[name]), nodeFailure(snapshot.Reasons, name, n.Virtual, now)
		if n.Virtual.LocationID != w.cfg.LocationID {
			node.LocationID = n.Virtual.LocationID
		}
		c.Connections += n.Connections
		c.Nodes = append(c.Nodes, node)
	}
	c.Gates, c.Paused, c.Capped = gates(w.dialer.Gates(used), now), paused(w.dialer.Paused(used), now), cl.caps.status()
	return c
}

func gates(list []upstream.Gate, now time.Time) (out []admin.GateStatus) {
	for _, g := range list {
		one := admin.GateStatus{LocationID: g.LocationID, Shut: g.Shut, Trying: g.Trying, Waiting: g.Waiting}
		if g.Shut {
			one.ShutSeconds, one.NextAttemptSeconds = admin.Seconds(now.Sub(g.Since)), admin.Seconds(max(0, g.Next.Sub(now)))
			f := admin.FailureOf(g.Failure, now.Sub(g.At))
			one.Failure = &f
		}
		out = append(out, one)
	}
	return out
}

func paused(list []upstream.Paused, now time.Time) (out []admin.PausedStatus) {
	for _, p := range list {
		out = append(out, admin.PausedStatus{
			Target: p.Target.String(), SinceSeconds: admin.Seconds(now.Sub(p.Since)),
			NextAttemptSeconds: admin.Seconds(max(0, p.Next.Sub(now))), Failure: admin.FailureOf(p.Failure, now.Sub(p.At)),
		})
	}
	return out
}

func (one *tenant) status(now time.Time, c *certificate) admin.TokenStatus {
	st := one.tokens.Status()
	out := admin.TokenStatus{Source: one.name, Fetches: int64(st.Fetches)}
	if c != nil {
		until := c.until()
		out.CertificateUntil = &until
	}
	if !st.UsableUntil.IsZero() {
		until := st.UsableUntil
		out.UsableUntil, out.UsableSeconds = &until, admin.Seconds(until.Sub(now))
	}
	if !st.LastFetch.IsZero() {
		age := admin.Seconds(now.Sub(st.LastFetch))
		out.LastFetchAgeSeconds = &age
	}
	if st.LastFailure != nil {
		shown := admin.FailureOf(st.LastFailure, now.Sub(st.LastFetch))
		out.LastFailure = &shown
	}
	return out
}
