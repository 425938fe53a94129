package lab

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// An UpstreamSpec is a real broker and the address under which the Cloud
// Connector exposes it, both "host:port".
type UpstreamSpec struct {
	Virtual string
	Real    string
}

// String returns "VIRTUAL=REAL".
func (u UpstreamSpec) String() string { return u.Virtual + "=" + u.Real }

// ParseUpstream parses "[VIRTUAL:PORT=]HOST:PORT,...". Without VIRTUAL:PORT the virtual address
// is the real one. IPv6 addresses are in brackets; a virtual address cannot be one, because the
// connectivity proxy does not support them.
func ParseUpstream(text string) ([]UpstreamSpec, error) {
	var specs []UpstreamSpec
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			return nil, fmt.Errorf("upstream %q: an address is missing; expected [VIRTUAL:PORT=]HOST:PORT, separated by commas", text)
		}
		virtual, real, mapped := strings.Cut(part, "=")
		if !mapped {
			real = virtual
		}
		for _, address := range []string{virtual, real} {
			if _, _, err := splitAddress(address); err != nil {
				return nil, fmt.Errorf("upstream %q: %w; expected [VIRTUAL:PORT=]HOST:PORT", part, err)
			}
		}
		if strings.HasPrefix(virtual, "[") {
			return nil, fmt.Errorf("upstream %q: the connectivity proxy does not support IPv6 addresses; add a virtual name, such as kafka-1.onprem.invalid:9092=%s", part, real)
		}
		for _, s := range specs {
			if sameAddress(s.Virtual, virtual) {
				return nil, fmt.Errorf("upstream %q: duplicate address %s", text, virtual)
			}
		}
		specs = append(specs, UpstreamSpec{Virtual: virtual, Real: real})
	}
	return specs, nil
}

// splitAddress splits and checks "host:port".
func splitAddress(address string) (host string, port uint16, err error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		reason := "not HOST:PORT"
		if e, ok := errors.AsType[*net.AddrError](err); ok {
			reason = e.Err
		}
		return "", 0, fmt.Errorf("%q: %s", address, reason)
	}
	if host == "" || strings.ContainsAny(host, " \t=/@") || len(host) > 255 {
		return "", 0, fmt.Errorf("%q: the host is not a host name", address)
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q: the port is not a number from 1 to 65535", address)
	}
	return host, uint16(n), nil
}
