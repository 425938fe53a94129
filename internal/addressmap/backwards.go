package addressmap

import "strings"

// Backwards returns the host that is advertised by the broker behind a virtual address
// of a Cloud Connector. ok is false when the rules do not say: no rule leads there, the
// one that does holds for a node id or drops what its * stood for, or several do for
// different hosts.
func (rules Rules) Backwards(host string, port uint16, location string) (advertised string, ok bool) {
	host = strings.ToLower(host)
	for _, r := range rules {
		if r.location != nil && *r.location != location {
			continue
		}
		stood, offset, leads := r.to.match(host, port)
		if !leads {
			continue
		}
		if r.node != nil || r.from.star && !r.to.star {
			return "", false
		}
		name := r.from.prefix
		if r.from.star {
			name += stood + r.from.suffix
		}
		from := port
		if r.from.low != 0 && r.to.low != 0 {
			from = r.from.low + offset
		}
		// An earlier rule may lead this name elsewhere.
		if to, ok := rules.Translate(-1, name, from); !ok || to.Host != host || to.Port != port {
			continue
		}
		if advertised != "" && advertised != name {
			return "", false
		}
		advertised = name
	}
	return advertised, advertised != ""
}
