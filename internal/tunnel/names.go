package tunnel

import (
	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/topology"
)

// serverName returns a function from the advertised host of a broker to the host name
// that its certificate must be for; nil without TLS.
func serverName(c config.TLS) func(advertised string) string {
	switch {
	case !c.Enabled:
		return nil
	case c.ServerName != "":
		return func(string) string { return c.ServerName }
	}
	return func(advertised string) string { return advertised }
}

// names returns the names and rules with which the topology translates addresses.
func (w *route) names() topology.Names {
	return topology.Names{Bootstrap: w.bootstrap, LocationID: w.cfg.LocationID, Rules: w.rules, ServerName: serverName(w.cfg.TLS)}
}

// bootstrap returns the addresses at which clients start. The advertised address of a
// broker is not known there, but its certificate is for the advertised name and not for
// the virtual host. So the address map is read backwards. Where it has no entry, the
// name is the virtual host.
func bootstrap(cfg config.Cluster, rules addressmap.Rules) []hostport.Target {
	var targets []hostport.Target
	name := serverName(cfg.TLS)
	for _, a := range cfg.Bootstrap {
		t := hostport.Target{Host: a.Host, Port: a.Port, LocationID: cfg.LocationID}
		if name != nil {
			advertised, ok := rules.Backwards(a.Host, a.Port, cfg.LocationID)
			if !ok {
				advertised = a.Host
			}
			t.ServerName = name(advertised)
		}
		targets = append(targets, t)
	}
	return targets
}
