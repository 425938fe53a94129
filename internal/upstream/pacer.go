package upstream

import (
	"crypto/tls"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// A Pacer paces the attempts of all dialers that share it (R11): by one gate per
// (proxy, tenant, Location ID), for failures of everything before the broker, and
// by address, for failures of one address. A process has one, so that a gate is
// shared by all clusters and forwards that use the same Cloud Connector, and a
// changed destination does not forget what is in trouble.
//
// Destinations may name ever new Location IDs. What is remembered is therefore
// bounded: what has not been used for the longest time is forgotten first.
//
// The zero value is ready for use. It must not be copied after the first use.
type Pacer struct {
	mu    sync.Mutex
	gates map[route]*routeGate // guarded by mu

	addresses addresses
}

// maxGates bounds how many gates without an attempt are remembered.
const maxGates = 256

// A route is what a gate is for. Proxy and tenant are "" where there are none.
type route struct{ proxy, tenant, locationID string }

// An endpoint is what an address is paced by. Failures of TLS concern the
// configuration of TLS as well, so that an address to which TLS is spoken is
// shared only by those that have this in common.
type endpoint struct {
	proxy, tenant string
	target        hostport.Target
	tls           *tls.Config // nil: without TLS
}

func (d *Dialer) route(locationID string) route { return route{d.Proxy, d.Tenant, locationID} }

func (d *Dialer) endpoint(target hostport.Target) endpoint {
	e := endpoint{proxy: d.Proxy, tenant: d.Tenant, target: target}
	if target.ServerName != "" {
		e.tls = d.TLS
	}
	return e
}

// A routeGate is a gate with what the Pacer needs to know about it.
type routeGate struct {
	gate
	users  int       // callers that hold it; guarded by Pacer.mu
	usedAt time.Time // guarded by Pacer.mu
}

// acquire returns the gate of a route. The caller must release it.
func (p *Pacer) acquire(r route) *routeGate {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.gates[r]
	if g == nil {
		if p.gates == nil {
			p.gates = map[route]*routeGate{}
		}
		p.forget()
		g = &routeGate{}
		p.gates[r] = g
	}
	g.users++
	g.usedAt = time.Now()
	return g
}

func (p *Pacer) release(g *routeGate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g.users--
}

// known returns the gate of a route, nil if it was not used yet. The caller must
// not wait at it.
func (p *Pacer) known(r route) *routeGate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gates[r]
}

// Shut returns how many gates are shut.
func (p *Pacer) Shut() (n int) {
	p.mu.Lock()
	gates := slices.Collect(maps.Values(p.gates))
	p.mu.Unlock()
	for _, g := range gates {
		if g.isShut() {
			n++
		}
	}
	return n
}

// forget makes room for another gate. Gates in use are never forgotten; a gate that
// was open starts again half-open. The caller holds p.mu.
func (p *Pacer) forget() {
	if len(p.gates) < maxGates {
		return
	}
	var oldest route
	var found *routeGate
	for r, g := range p.gates {
		if g.users == 0 && (found == nil || g.usedAt.Before(found.usedAt)) {
			oldest, found = r, g
		}
	}
	if found != nil {
		delete(p.gates, oldest)
	}
}
