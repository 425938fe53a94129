package tunnel

import (
	"context"
	"maps"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/destination"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/upstream"
)

// A route is how the brokers of a cluster are reached. It is made from the
// configuration and, if the cluster names a destination, from its properties. A route
// does not change: when the destination changes, a new route replaces it, and open
// connections stay.
type route struct {
	cfg       config.Cluster // complete
	rules     addressmap.Rules
	bootstrap []hostport.Target
	tenant    *tenant // nil: there are no tokens
	dialer    *upstream.Dialer
}

// newRoute returns the route of a complete configuration.
func (cl *cluster) newRoute(ctx context.Context, cfg config.Cluster) (*route, error) {
	rules, err := addressmap.Parse(cfg.AddressMap)
	if err != nil {
		return nil, failure.New(failure.ConfigInvalid, err)
	}
	w := &route{cfg: cfg, rules: rules, bootstrap: bootstrap(cfg, rules)}
	if w.dialer, w.tenant, err = cl.tunnel.newDialer(ctx, cfg.Name, cfg.Tenant, cl.metrics); err != nil {
		return nil, err
	}
	w.dialer.TLS, w.dialer.Explain, w.dialer.Health = secure.Config(cfg.TLS.Roots), cl.explain, cl
	return w, nil
}

// currentRoute returns the route for one connection. It waits until the destination has
// been read for the first time.
func (cl *cluster) currentRoute(ctx context.Context) (*route, error) {
	if cl.watch == nil {
		return cl.route.Load(), nil
	}
	if w := cl.route.Load(); w != nil {
		cl.watch.Used()
		return w, nil
	}
	if err := cl.watch.Wait(ctx); err != nil {
		return nil, err
	}
	return cl.route.Load(), nil
}

// watchDestination prepares to read the cluster's destination.
func (cl *cluster) watchDestination(ctx context.Context) error {
	t := cl.tunnel
	// With a subscriber's token the service looks among the subscriber's destinations
	// first, as intended: a tenant that is configured here has the destination too.
	owner, err := t.destinationTokens.tenant(ctx, cl.cfg.Tenant)
	if err != nil {
		return err
	}
	own := t.cfg.Destinations
	client := &destination.Client{
		URI: own.URI, Tokens: owner.tokens, UserAgent: t.userAgent(),
		Transport: t.destinationTokens.client(config.Token{Roots: own.Token.Roots}, "").Transport(),
	}
	var last map[string]string
	read := func(ctx context.Context) error {
		said, err := client.Find(ctx, cl.cfg.Destination)
		if err == nil && (last == nil || !maps.Equal(last, said)) {
			if err = cl.applyDestination(ctx, said); err == nil {
				last = said
			}
		}
		if f, ok := failure.As(err); ok && ctx.Err() == nil {
			t.report(ctx, f, "cluster", cl.cfg.Name)
			if cl.route.Load() == nil {
				cl.health.Blocked(f)
			}
		}
		return err
	}
	cl.watch = destination.NewWatch(read, destination.Options{First: t.first, Every: t.destinationEvery, Logger: t.logger.With("cluster", cl.cfg.Name, "destination", cl.cfg.Destination)})
	return nil
}

// applyDestination makes the cluster use the properties of the destination.
func (cl *cluster) applyDestination(ctx context.Context, said map[string]string) error {
	cfg, err := destination.Complete(cl.cfg, said, cl.tunnel.cfg.Connectivity.Auth)
	if err != nil {
		return err
	}
	w, err := cl.newRoute(ctx, cfg)
	if err != nil {
		return err
	}
	word := "the destination was read"
	if cl.route.Load() != nil {
		word = "the destination has changed; the tunnel uses the new values"
	}
	cl.topo.Follow(w.names())
	if cl.route.Swap(w) != nil {
		cl.health.Moved()
	} else {
		cl.health.Blocked(nil)
	}
	cl.observe(true)
	cl.tunnel.logger.InfoContext(ctx, word, "cluster", cfg.Name, "destination", cfg.Destination,
		"bootstrap", w.bootstrap, "location_id", cfg.LocationID, "tls", cfg.TLS.Enabled)
	return nil
}

// destinationStatus shows the destination from which the route was made; nil if it is
// configured.
func (cl *cluster) destinationStatus(now time.Time) *admin.DestinationStatus {
	if cl.watch == nil {
		return nil
	}
	st := cl.watch.Status()
	s := &admin.DestinationStatus{Name: cl.cfg.Destination}
	if !st.ReadAt.IsZero() {
		age := admin.Seconds(now.Sub(st.ReadAt))
		s.ReadAgeSeconds = &age
	}
	if st.Failure != nil {
		shown := admin.FailureOf(st.Failure, now.Sub(st.FailedAt))
		s.LastFailure = &shown
	}
	return s
}

// warnings returns the warnings of the destination, while its last good value stays in
// use.
func (cl *cluster) warnings(now time.Time) []string {
	if cl.watch == nil {
		return nil
	}
	st := cl.watch.Status()
	if st.Failure == nil || st.ReadAt.IsZero() {
		return nil
	}
	return []string{
		"cluster " + cl.cfg.Name + ": the tunnel uses the values of its destination from " + now.Sub(st.ReadAt).Round(time.Second).String() + " ago: " +
			st.Failure.Error() + " [" + string(st.Failure.Code) + "]. " + st.Failure.Advice(),
	}
}
