package upstream

import (
	"cmp"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// A Gate is the state of the route through one Cloud Connector, for status.
type Gate struct {
	LocationID string
	Shut       bool
	Since      time.Time // of the outage, zero while it is open
	Next       time.Time // of the next attempt, zero while it is open
	Trying     bool      // an attempt is in flight for which the others wait
	Waiting    int       // attempts that wait: of clients, or of a probe for readiness
	Failure    *failure.Failure
	At         time.Time // of the failure
}

// Gates returns the gates of the targets that have been used, by this dialer or by
// another one with the same [Pacer], by Location ID.
func (d *Dialer) Gates(targets []hostport.Target) []Gate {
	var out []Gate
	seen := map[string]bool{}
	for _, t := range targets {
		if seen[t.LocationID] {
			continue
		}
		seen[t.LocationID] = true
		if g := d.pacer().known(d.route(t.LocationID)); g != nil {
			out = append(out, g.status(t.LocationID))
		}
	}
	slices.SortFunc(out, func(a, b Gate) int { return cmp.Compare(a.LocationID, b.LocationID) })
	return out
}

func (g *gate) status(id string) Gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Gate{LocationID: id, Shut: g.state == shut, Trying: g.state != open && g.inFlight > 0, Waiting: len(g.queue), Failure: g.last}
	if s.Shut {
		s.Since, s.Next, s.At = g.since, g.next, g.failedAt
	}
	return s
}

// A Paused is an address in trouble that is not tried before Next. Next may have
// passed: then the next client tries it.
type Paused struct {
	Target  hostport.Target
	Since   time.Time
	Next    time.Time
	Failure *failure.Failure
	At      time.Time // of the failure
}

// Paused returns those of the targets that are in trouble, by name.
func (d *Dialer) Paused(targets []hostport.Target) []Paused {
	a := &d.pacer().addresses
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Paused
	seen := map[hostport.Target]bool{}
	for _, t := range targets {
		one := a.m[d.endpoint(t)]
		if one == nil || one.last == nil || seen[t] {
			continue
		}
		seen[t] = true
		out = append(out, Paused{Target: t, Since: one.since, Next: one.next(time.Now()), Failure: one.last, At: one.failedAt})
	}
	slices.SortFunc(out, func(a, b Paused) int { return cmp.Compare(a.Target.String(), b.Target.String()) })
	return out
}

// Broken reports that an open connection to target has ended without its client's
// doing. When many do at the same time, something between here and the brokers, or
// the broker, has failed: the next attempt goes ahead alone.
func (d *Dialer) Broken(target hostport.Target) {
	p := d.pacer()
	if g := p.known(d.route(target.LocationID)); g != nil {
		g.broken()
	}
	p.addresses.broken(d.endpoint(target))
}
