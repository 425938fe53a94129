// Package hostport has address types: HOST:PORT, port ranges, targets behind a Cloud Connector,
// and whether two listening addresses can conflict. It never resolves names.
package hostport

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// An Address is a host and a port. An empty Host means all interfaces.
type Address struct {
	Host string // without brackets
	Port uint16
}

// Parse parses HOST:PORT with an IPv6 literal in brackets. The host may be empty, the port 0.
func Parse(s string) (a Address, ok bool) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return Address{}, false
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return Address{host, uint16(port)}, err == nil && (host == "" || IsHost(host))
}

// String returns HOST:PORT, with an IPv6 literal in brackets.
func (a Address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// Dialable reports whether a server can listen at the address.
func (a Address) Dialable() bool { return a.Port != 0 && a.Host != "" }

// A Range is a range of ports with both ends. The zero value means ephemeral ports.
type Range struct{ First, Last uint16 }

// Size returns the number of ports; 0 for ephemeral ports.
func (r Range) Size() int {
	if r == (Range{}) {
		return 0
	}
	return int(r.Last) - int(r.First) + 1
}

// String returns "19100-19199", or "0" for ephemeral ports.
func (r Range) String() string {
	if r == (Range{}) {
		return "0"
	}
	return strconv.Itoa(int(r.First)) + "-" + strconv.Itoa(int(r.Last))
}

// IsHost reports whether h can be a host name or an IP address for a SOCKS5 request (RFC 1928).
func IsHost(h string) bool {
	if _, err := netip.ParseAddr(h); err == nil {
		return len(h) <= 255
	}
	return h != "" && len(h) <= 255 && !strings.ContainsFunc(h, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/:@,;?#*[]{}()<>|&!$%^="'\`+"`", r)
	})
}

// IsLoopback reports whether a host is localhost or a loopback address.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// IsAny reports whether a listening host means all interfaces.
func IsAny(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

// Collide reports whether two listeners with these hosts and the same port can conflict.
// 127.0.0.1 and localhost both open the two loopback addresses.
func Collide(a, b string) bool {
	normal := func(host string) string {
		addr, err := netip.ParseAddr(host)
		switch host = strings.ToLower(host); {
		case host == "127.0.0.1" || host == "::1":
			return "localhost"
		case err == nil:
			return addr.Unmap().String()
		}
		return host
	}
	return IsAny(a) || IsAny(b) || normal(a) == normal(b)
}
