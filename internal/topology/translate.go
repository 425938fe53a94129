package topology

import (
	"net"
	"strconv"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// singleBroker reports whether all that is known, with this response, is one
// node.
func (t *Topology) singleBroker(endpoints []kafka.Endpoint) bool {
	if len(endpoints) == 0 || len(t.nodes) > 1 {
		return false
	}
	id := endpoints[0].NodeID
	for _, e := range endpoints {
		if e.NodeID != id {
			return false
		}
	}
	_, known := t.nodes[id]
	return known || len(t.nodes) == 0
}

// target translates an advertised address (R7). The caller holds mu.
func (t *Topology) target(e *kafka.Endpoint, single bool, r *report) (hostport.Target, *failure.Failure) {
	if e.NodeID < 0 || e.Port < 1 || e.Port > 65535 {
		return hostport.Target{}, failure.New(failure.UnmappedAddress, nil).For(advertised(e), "").With("node " + strconv.Itoa(int(e.NodeID)))
	}
	if to, ok := t.opts.Rules.Translate(e.NodeID, e.Host, uint16(e.Port)); ok {
		target := hostport.Target{Host: to.Host, Port: to.Port, LocationID: t.opts.LocationID, ServerName: t.serverName(e.Host)}
		if to.LocationID != nil {
			target.LocationID = *to.LocationID
		}
		return target, nil
	}
	target := hostport.Target{Host: e.Host, Port: uint16(e.Port), LocationID: t.opts.LocationID, ServerName: t.serverName(e.Host)}
	if !localOnly(e.Host) {
		return target, nil
	}
	if t.opts.Direct && !t.opts.Binder.Owns(target.Port) {
		return target, nil
	}
	// One broker behind one virtual address: there is only one place that the
	// broker can be, so the rule that a user would have to write is implied.
	if single && len(t.opts.Bootstrap) == 1 && !t.opts.Direct {
		if !t.implied {
			t.implied = true
			advertised, to := advertised(e), t.opts.Bootstrap[0].String()
			r.lines = append(r.lines, func() {
				t.opts.Logger.Info("the broker advertises a loopback address; the tunnel uses the bootstrap address instead",
					"advertised", advertised, "implied_rule", `{from: "`+advertised+`", to: "`+to+`"}`)
			})
		}
		return t.opts.Bootstrap[0], nil
	}
	return hostport.Target{}, failure.New(failure.AdvertisedLoopback, nil).For(advertised(e), t.opts.LocationID)
}

// advertised returns the address of a broker as a response names it.
func advertised(e *kafka.Endpoint) string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

func (t *Topology) serverName(advertised string) string {
	if t.opts.ServerName == nil {
		return ""
	}
	return t.opts.ServerName(advertised)
}

// localOnly reports whether a host means the machine on which it is used.
func localOnly(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast())
}
