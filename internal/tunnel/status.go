package tunnel

import (
	"context"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/upstream"
)

// fresh is how old evidence for readiness may be (R22).
const fresh = 60 * time.Second

// Bound implements [admin.Source].
func (t *Tunnel) Bound() bool { return t.bound.Load() }

// Alive implements [admin.Source].
func (t *Tunnel) Alive() error { return t.server.Alive() }

// Ready implements [admin.Source].
func (t *Tunnel) Ready(_ context.Context, name string) admin.Readiness {
	r := admin.Readiness{Draining: t.draining.Load()}
	r.Ready = !r.Draining
	r.Warnings = t.passing(time.Now())
	if !t.bound.Load() {
		r.Ready = false
		return r
	}
	for _, cl := range t.clusters {
		if name != "" && cl.cfg.Name != name {
			continue
		}
		one := cl.readiness()
		if !one.Ready {
			cl.ask()
		}
		r.Ready = r.Ready && one.Ready
		r.Clusters = append(r.Clusters, one)
	}
	return r
}

// ready reports whether there is recent evidence that brokers can be reached: a
// granted connection or an answer, at most a minute old and younger than the last
// failure of the landscape.
func (cl *cluster) ready() bool {
	w := cl.way.Load()
	return w != nil && isReady(w.dialer.Evidence(), time.Now())
}

func isReady(e upstream.Evidence, now time.Time) bool {
	return !e.Granted.IsZero() && now.Sub(e.Granted) <= fresh && e.Granted.After(e.Failed)
}

func (cl *cluster) readiness() admin.ClusterReadiness {
	now, w := time.Now(), cl.way.Load()
	if w == nil {
		return cl.unread(now)
	}
	e := w.dialer.Evidence()
	r := admin.ClusterReadiness{Name: cl.cfg.Name, Ready: isReady(e, now)}
	if !e.Granted.IsZero() {
		age := admin.Seconds(now.Sub(e.Granted))
		r.EvidenceAgeSeconds = &age
	}
	if !r.Ready {
		// The last failure of any kind tells an operator more than none: all
		// bootstrap addresses may be refused one by one (02, 04).
		f, at := e.Failure, e.Failed
		if f == nil && e.LastAt.After(e.Granted) {
			f, at = e.Last, e.LastAt
		}
		// Whoever waits for a token learns of its failure when the wait is over; an
		// operator should not have to wait as well.
		if w.tenant != nil {
			if st := w.tenant.tokens.Status(); st.LastFailure != nil && !st.Usable(now) {
				f, at = st.LastFailure, st.LastFetch
			}
		}
		r.Failure = admin.FailureOf(f, now.Sub(at))
	}
	return r
}

// unread is the readiness of a cluster whose destination was never read.
func (cl *cluster) unread(now time.Time) admin.ClusterReadiness {
	r := admin.ClusterReadiness{Name: cl.cfg.Name}
	if st := cl.watch.Status(); st.Failure != nil {
		r.Failure = admin.FailureOf(st.Failure, now.Sub(st.FailedAt))
	}
	return r
}

// passing returns the warnings of the moment.
func (t *Tunnel) passing(now time.Time) []string {
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
	s.Warnings = append(slices.Clone(s.Warnings), t.passing(now)...)
	if !s.Bound {
		return s
	}
	s.Ready = !s.Draining
	for _, cl := range t.clusters {
		one := cl.status(now)
		s.Ready = s.Ready && one.Ready
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
	r := cl.readiness()
	if !r.Ready {
		cl.ask()
	}
	c := admin.ClusterStatus{
		Name: cl.cfg.Name, Listen: []string{net.JoinHostPort(cl.cfg.Listen.Host, strconv.Itoa(int(cl.port)))},
		Advertise: cl.cfg.Advertise, Via: cl.tunnel.cfg.Connectivity.Via, Proxy: cl.tunnel.cfg.Connectivity.Proxy,
		Destination: cl.destinationStatus(now), Ready: r.Ready, EvidenceAgeSeconds: r.EvidenceAgeSeconds,
		BootstrapConnections: cl.tunnel.server.Connections(cl.port),
	}
	c.Connections = c.BootstrapConnections
	w := cl.way.Load()
	if w == nil {
		if r.Code != "" {
			c.LastFailure = &r.Failure
		}
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
		if n.Virtual.LocationID != w.cfg.LocationID {
			node.LocationID = n.Virtual.LocationID
		}
		c.Connections += n.Connections
		c.Nodes = append(c.Nodes, node)
	}
	if e := w.dialer.Evidence(); e.Last != nil {
		f := admin.FailureOf(e.Last, now.Sub(e.LastAt))
		c.LastFailure = &f
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
