package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Forward is a plain TCP port that leads to one address of the company's network by
// the same way as the brokers: a Schema Registry, Kafka Connect. Nothing is rewritten.
type Forward struct {
	Name       string   // in metrics and status
	Listen     HostPort // on loopback; port 0: any
	To         HostPort // virtual address
	LocationID string   // of the Cloud Connector; "": the default one
	Tenant     string   // subscriber; "": the subaccount of the binding
}

// forwardExample is shown where a list is not understood.
const forwardExample = `[{name: registry, listen: "127.0.0.1:18081", to: "registry.corp:8081"}]`

// forwards reads a list of forwards.
func (r *reader) forwards(n *yaml.Node, id string) (all []Forward, ok bool) {
	list := objectList{
		what: "forwards", example: forwardExample, one: "a forward such as {name: NAME, listen: HOST:PORT, to: HOST:PORT}",
		fields: []string{"name", "listen", "to", "location_id", "tenant"}, needed: 3,
	}
	ok = r.objects(n, id, list, func() { all = append(all, Forward{}) }, func(name, text string) *fault {
		return all[len(all)-1].set(name, text)
	})
	return all, ok
}

// set understands one field.
func (f *Forward) set(name, text string) (wrong *fault) {
	switch name {
	case "name":
		f.Name, wrong = clusterName(text)
	case "listen":
		if f.Listen, wrong = listenAddress(text); wrong == nil && !isLoopback(f.Listen.Host) {
			wrong = wants("wants an address on loopback: whoever reaches it reaches the other end").near("127.0.0.1:" + showInt(int(f.Listen.Port)))
		}
	case "to":
		f.To, wrong = brokerAddress(text)
	case "location_id":
		f.LocationID, wrong = locationID(text)
	case "tenant":
		f.Tenant, wrong = tenant(text)
	}
	return wrong
}

// parseForwards reads the YAML flow text of a variable.
func parseForwards(text, id, source string, keys []key, report func(Problem)) ([]Forward, bool) {
	r, node, ok := flow(text, id, source, forwardExample, keys, report)
	if !ok {
		return nil, false
	}
	return r.forwards(node, id)
}

// showForwards writes forwards as the flow text that a variable takes.
func showForwards(all []Forward) string {
	parts := make([]string, len(all))
	for i, f := range all {
		parts[i] = fmt.Sprintf("{name: %q, listen: %q, to: %q", f.Name, f.Listen.String(), f.To.String())
		if f.LocationID != "" {
			parts[i] += fmt.Sprintf(", location_id: %q", f.LocationID)
		}
		if f.Tenant != "" {
			parts[i] += fmt.Sprintf(", tenant: %q", f.Tenant)
		}
		parts[i] += "}"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// forwardsKey is the row of forwards.
func forwardsKey(name, def, help string) key {
	return key{
		name: name, def: def, help: help, shape: isForwards, noFlag: true,
		read: func(t target, s setting) *fault {
			t.Forwards = s.forwards
			return nil
		},
		show: func(t target) string { return showForwards(t.Forwards) },
	}
}

// checkForwards wants names that can be told apart, and ways that exist.
func (l *loader) checkForwards() {
	const id = "forwards"
	if !l.understood(id) {
		return
	}
	names := slices.Clone(l.names)
	for _, f := range l.config.Forwards {
		if slices.Contains(names, f.Name) {
			l.blame(id, fmt.Sprintf("names %q twice, or as a cluster is named; metrics and status could not tell them apart", f.Name), "")
		}
		names = append(names, f.Name)
		if c := l.config.Connectivity; c.Via != ViaDirect && c.Auth != AuthJWT && (f.LocationID != "" || f.Tenant != "") {
			l.blame(id, "names a Location ID or a tenant, which cannot be told to a proxy with connectivity.auth: "+c.Auth, "")
		}
	}
}
