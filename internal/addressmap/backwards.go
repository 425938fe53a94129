package addressmap

import "strings"

// Backwards returns the host that the broker with a virtual address of a Cloud Connector
// advertises. ok is false if the rules do not determine it: no rule has this address, the rule
// is for a node id or drops the text that matched its *, or several rules have it for different
// hosts.
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
		// An earlier rule may map this name to another address.
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
