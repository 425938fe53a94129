package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// gateOf returns the gate of a dialer for no Location ID.
func gateOf(d *Dialer) *routeGate {
	g := d.pacer().acquire(d.route(""))
	d.pacer().release(g)
	return g
}

// TestDialersShareGatesAndAddresses: dialers with the same proxy, tenant and Location
// ID share what an attempt of one of them showed.
func TestDialersShareGatesAndAddresses(t *testing.T) {
	at := hostport.Target{Host: "a", Port: 9092, LocationID: "LOC1"}
	secure := at
	secure.ServerName = "a.corp"
	other := at
	other.LocationID = "LOC2"
	type settings struct {
		proxy, tenant string
		tls           *tls.Config
	}
	first := settings{proxy: "proxy:20004", tenant: "one"}
	for name, tt := range map[string]struct {
		second        settings
		from, to      hostport.Target
		gate, address bool // shared
		unshared      bool // pacers
	}{
		"the same":            {second: first, from: at, to: at, gate: true, address: true},
		"another port":        {second: first, from: at, to: hostport.Target{Host: "a", Port: 9093, LocationID: "LOC1"}, gate: true},
		"another Location ID": {second: first, from: at, to: other},
		"another proxy":       {second: settings{proxy: "other:20004", tenant: "one"}, from: at, to: at},
		"another tenant":      {second: settings{proxy: "proxy:20004", tenant: "two"}, from: at, to: at},
		"direct":              {second: settings{}, from: at, to: at},
		"TLS and not":         {second: first, from: secure, to: at, gate: true},
		"other TLS":           {second: settings{proxy: "proxy:20004", tenant: "one", tls: &tls.Config{}}, from: secure, to: secure, gate: true},
		"no common pacer":     {second: first, from: at, to: at, unshared: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for code, shared := range map[failure.Code]bool{failure.ConnectorAway: tt.gate, failure.BrokerUnreachable: tt.address} {
					var p Pacer
					dials := 0
					connect := func(context.Context, hostport.Target) (net.Conn, error) {
						dials++
						return nil, failure.New(code, nil)
					}
					dialer := func(s settings) *Dialer {
						return &Dialer{Proxy: s.proxy, Tenant: s.tenant, TLS: s.tls, Pacer: &p, connect: connect}
					}
					a, b := dialer(first), dialer(tt.second)
					if tt.unshared {
						b.Pacer = nil
					}
					for _, one := range []struct {
						d  *Dialer
						at hostport.Target
					}{{a, tt.from}, {b, tt.to}} {
						ctx, cancel := context.WithTimeout(t.Context(), pauseFloor/4)
						_, err := one.d.Dial(ctx, one.at)
						cancel()
						if !failure.Is(err, code) {
							t.Errorf("%s: error %v", code, err)
						}
					}
					if want := map[bool]int{true: 1, false: 2}[shared]; dials != want {
						t.Errorf("%s: %d attempts, want %d", code, dials, want)
					}
					targets := []hostport.Target{tt.to}
					if code == failure.BrokerUnreachable && len(b.Paused(targets)) != 1 || code == failure.ConnectorAway && !b.Gates(targets)[0].Shut {
						t.Errorf("%s: not shown: %+v, %+v", code, b.Paused(targets), b.Gates(targets))
					}
					synctest.Wait()
				}
			})
		})
	}
}

// TestStatusShowsOnlyTheGivenTargets: dialers that share a pacer each show only their own
// targets.
func TestStatusShowsOnlyTheGivenTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pacer
		d := &Dialer{Pacer: &p, connect: func(context.Context, hostport.Target) (net.Conn, error) {
			return nil, failure.New(failure.BrokerUnreachable, nil)
		}}
		for i := range 4 {
			_, _ = d.Dial(t.Context(), hostport.Target{Host: fmt.Sprint("h", i), LocationID: fmt.Sprint("LOC", i/2)})
		}
		targets := []hostport.Target{{Host: "h1", LocationID: "LOC0"}, {Host: "h0", LocationID: "LOC0"}, {Host: "h1", LocationID: "LOC0"}, {Host: "new", LocationID: "LOC9"}}
		if got := d.Gates(targets); len(got) != 1 || got[0].LocationID != "LOC0" {
			t.Errorf("gates %+v", got)
		}
		if got := d.Paused(targets); len(got) != 2 || got[0].Target.Host != "h0" || got[1].Target.Host != "h1" {
			t.Errorf("paused %+v", got)
		}
	})
}

func TestMemoryOfGatesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pacer
		busy := p.acquire(route{locationID: "busy"})
		for i := range 3 * maxGates {
			p.release(p.acquire(route{locationID: fmt.Sprint(i)}))
			time.Sleep(time.Millisecond) // synctest
		}
		if len(p.gates) != maxGates {
			t.Errorf("%d gates are kept", len(p.gates))
		}
		if p.known(route{locationID: "busy"}) != busy || p.known(route{locationID: fmt.Sprint(2*maxGates + 1)}) == nil {
			t.Error("a gate in use or one of the newest was dropped")
		}
	})
}
