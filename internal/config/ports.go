package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A span is the local ports of one key.
type span struct {
	id          string
	host        string
	first, last uint16
}

func (s span) holds(port uint16) bool { return s.first <= port && port <= s.last }

// spans lists the fixed ports of all keys that were understood.
func (l *loader) spans() []span {
	var out []span
	add := func(id, host string, first, last uint16) {
		if first != 0 && l.understood(id) {
			out = append(out, span{id, host, first, last})
		}
	}
	for i, c := range l.config.Clusters {
		id := clusterID(i)
		add(id+".listen", c.Listen.Host, c.Listen.Port, c.Listen.Port)
		if l.understood(id + ".listen") {
			// Broker ports are opened on the host of listen.
			add(id+".broker_ports", c.Listen.Host, c.BrokerPorts.First, c.BrokerPorts.Last)
		}
	}
	for _, f := range l.config.Forwards {
		add("forwards", f.Listen.Host, f.Listen.Port, f.Listen.Port)
	}
	add("admin.listen", l.config.Admin.Listen.Host, l.config.Admin.Listen.Port, l.config.Admin.Listen.Port)
	return out
}

// checkPorts finds ports that are wanted twice, and chosen ones that belong to
// the platform.
func (l *loader) checkPorts() {
	spans := l.spans()
	for i, a := range spans {
		for _, b := range spans[:i] {
			if a.first <= b.last && b.first <= a.last && sameInterface(a.host, b.host) {
				l.overlap(b, a)
			}
		}
		if l.settings[a.id].chosen {
			l.warnReserved(a)
		}
	}
}

// overlap blames the later key, unless only the earlier one was chosen.
func (l *loader) overlap(a, b span) {
	if l.settings[a.id].chosen && !l.settings[b.id].chosen {
		a, b = b, a
	}
	s := l.settings[a.id]
	l.blame(b.id, fmt.Sprintf("overlaps with %s %s (%s)", a.id, s.text, s.source), "")
}

// warnReserved warns of ports that others in the container use.
func (l *loader) warnReserved(s span) {
	say := func(port uint16, owner string) {
		if s.holds(port) {
			l.warn("%s %s holds port %d, which on Cloud Foundry belongs to %s", s.id, l.settings[s.id].text, port, owner)
		}
	}
	own, _ := strconv.ParseUint(l.ownPort, 10, 16)
	if own != 0 {
		say(uint16(own), "the application ($PORT)")
	}
	if own != 8080 {
		say(8080, "the application")
	}
	say(8081, "the metric registrar")
	say(2222, "cf ssh")
	if s.last >= 61001 {
		say(max(s.first, 61001), "the platform's proxy (61001 and above)")
	}
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// isAny reports whether a host to listen on means all interfaces.
func isAny(host string) bool {
	if host == "" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsUnspecified()
}

// sameInterface reports whether listening on both hosts can collide. Both
// loopbacks are opened for 127.0.0.1 and for localhost; what a name stands for is
// not known here.
func sameInterface(a, b string) bool {
	if isAny(a) || isAny(b) || strings.EqualFold(a, b) {
		return true
	}
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	both := func(host string, addr netip.Addr, err error) bool {
		return strings.EqualFold(host, "localhost") || err == nil && (addr == netip.IPv6Loopback() || addr == netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	if both(a, x, errX) && both(b, y, errY) {
		return true
	}
	return errX == nil && errY == nil && x.Unmap() == y.Unmap()
}
