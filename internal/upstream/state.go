package upstream

import (
	"cmp"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/topology"
)

// A Gate is the state of the way through one Cloud Connector, for status.
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

// Gates returns the state of every way that was used, by Location ID.
func (d *Dialer) Gates() []Gate {
	d.ways.mu.Lock()
	defer d.ways.mu.Unlock()
	var out []Gate
	for id, g := range d.ways.m {
		out = append(out, g.status(id))
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

// A Paused is an address in trouble that is not tried before Next.
type Paused struct {
	Target  topology.Target
	Since   time.Time
	Next    time.Time
	Failure *failure.Failure
	At      time.Time // of the failure
}

// Paused returns the addresses in trouble, by name.
func (d *Dialer) Paused() []Paused {
	d.addresses.mu.Lock()
	defer d.addresses.mu.Unlock()
	var out []Paused
	for t, a := range d.addresses.m {
		out = append(out, Paused{Target: t, Since: a.since, Next: a.next, Failure: a.last, At: a.failedAt})
	}
	slices.SortFunc(out, func(a, b Paused) int { return cmp.Compare(a.Target.String(), b.Target.String()) })
	return out
}

// Broken says that an open connection to target has ended without its client's
// doing. When many do at the same time, something between here and the brokers
// has broken: the next attempt goes ahead alone.
func (d *Dialer) Broken(target topology.Target) { d.ways.get(target.LocationID).doubt() }
