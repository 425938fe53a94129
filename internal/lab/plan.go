package lab

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
)

const (
	maxBrokers = 200 // more than the tunnel has ports for by default
	kafkaPort  = 9092
)

// A plan has the names of all brokers.
type plan struct {
	nodes      []node
	entries    []connector.Entry
	second     []connector.Entry // of the second Cloud Connector
	addressMap string            // YAML flow text for KAFKA_TUNNEL_ADDRESS_MAP, or ""
}

// A node is a broker and its names, each "host:port".
type node struct {
	id         int32  // 0 with upstreams, where it is unknown
	advertised string // "" with upstreams, where it is unknown
	virtual    string
	internal   string
	second     bool   // the second Cloud Connector exposes it
	real       string // the address on which it listens; "" for embedded brokers
}

// newPlan returns the plan for the options.
func newPlan(opts Options) (plan, error) {
	p, err := planNames(opts)
	if err != nil || opts.Second == "" {
		return p, err
	}
	return p, p.split(opts.Second)
}

// split moves every second broker to another Cloud Connector.
func (p *plan) split(locationID string) error {
	if p.addressMap != "" || len(p.entries) != len(p.nodes) || len(p.nodes) < 2 {
		return errors.New("a second Cloud Connector requires two or more brokers whose virtual addresses are the advertised ones")
	}
	var rules []string
	var first []connector.Entry
	for i := range p.nodes {
		n := &p.nodes[i]
		if n.second = i%2 == 1; !n.second {
			first = append(first, p.entries[i])
			continue
		}
		p.second = append(p.second, p.entries[i])
		rules = append(rules, fmt.Sprintf("{from: %q, to: %q, location_id: %q}", n.advertised, n.virtual, locationID))
	}
	p.entries, p.addressMap = first, "["+strings.Join(rules, ", ")+"]"
	return nil
}

// planNames plans the names.
func planNames(opts Options) (plan, error) {
	if len(opts.Upstream) > 0 {
		return planUpstream(opts)
	}
	n := opts.Brokers
	if n == 0 {
		n = 3
	}
	if n < 0 || n > maxBrokers {
		return plan{}, fmt.Errorf("%d brokers: the lab has 1 to %d", n, maxBrokers)
	}
	if opts.VirtualHost != "" && opts.Advertise != AdvertiseInternal && opts.Advertise != "" {
		return plan{}, fmt.Errorf("virtual host names require advertise %q", AdvertiseInternal)
	}
	switch opts.Advertise {
	case AdvertiseInternal, "":
		return planInternal(n, opts.VirtualHost)
	case AdvertiseVirtual:
		return planVirtual(n), nil
	case AdvertiseLocalhost:
		return planLocalhost(n), nil
	}
	return plan{}, fmt.Errorf("advertise %q is not one of %s, %s, %s", opts.Advertise, AdvertiseInternal, AdvertiseLocalhost, AdvertiseVirtual)
}

// planInternal: brokers advertise internal names; the virtual names are the same or follow a
// pattern.
func planInternal(n int, pattern string) (plan, error) {
	var p plan
	if pattern != "" {
		if strings.Count(pattern, "*") != 1 || strings.ContainsAny(pattern, ": ,{}[]\"'") {
			return p, fmt.Errorf("virtual host %q is not a host name with one * for the node id", pattern)
		}
		p.addressMap = fmt.Sprintf(`[{from: "kafka-*.onprem.invalid", to: %q}]`, pattern)
	}
	for id := 1; id <= n; id++ {
		internal := fmt.Sprintf("kafka-%d.onprem.invalid", id)
		virtual := internal
		if pattern != "" {
			virtual = strings.Replace(pattern, "*", strconv.Itoa(id), 1)
		}
		p.add(id, at(internal, kafkaPort), virtual, internal)
	}
	return p, nil
}

// planVirtual: brokers advertise the virtual names.
func planVirtual(n int) plan {
	var p plan
	for id := 1; id <= n; id++ {
		virtual := fmt.Sprintf("kafka-%d.virtual.invalid", id)
		p.add(id, at(virtual, kafkaPort), virtual, fmt.Sprintf("kafka-%d.onprem.invalid", id))
	}
	return p
}

// planLocalhost: brokers advertise localhost and ports from 9092 up; the Cloud
// Connector exposes a range of one host.
func planLocalhost(n int) plan {
	const host = "kafka.onprem.invalid"
	var p plan
	for id := 1; id <= n; id++ {
		port := kafkaPort + id - 1
		p.nodes = append(p.nodes, node{id: int32(id), advertised: at("localhost", port), virtual: at(host, port), internal: at(host, port)})
	}
	last := kafkaPort + n - 1
	p.entries = []connector.Entry{{Host: host, First: kafkaPort, Last: uint16(last), Internal: host, InternalFirst: kafkaPort}}
	if n > 1 { // with one broker the tunnel needs no rule
		p.addressMap = fmt.Sprintf(`[{from: "localhost:%[1]d-%[2]d", to: "%[3]s:%[1]d-%[2]d"}]`, kafkaPort, last, host)
	}
	return p
}

// add adds a broker and its access-control entry.
func (p *plan) add(id int, advertised, virtual, internal string) {
	p.nodes = append(p.nodes, node{id: int32(id), advertised: advertised, virtual: at(virtual, kafkaPort), internal: at(internal, kafkaPort)})
	p.entries = append(p.entries, connector.Entry{Host: virtual, First: kafkaPort, Last: kafkaPort, Internal: internal, InternalFirst: kafkaPort})
}

// planUpstream: real brokers; the Cloud Connector exposes the configured addresses.
func planUpstream(opts Options) (plan, error) {
	if opts.Brokers != 0 || opts.Advertise != "" || opts.VirtualHost != "" || opts.DataDir != "" || opts.TLS || len(opts.Kafka) > 0 {
		return plan{}, errors.New("upstream brokers replace the embedded ones: brokers, advertise, virtual host, TLS and data dir cannot be set")
	}
	var p plan
	for _, u := range opts.Upstream {
		virtualHost, virtualPort, err := splitAddress(u.Virtual)
		if err != nil {
			return plan{}, fmt.Errorf("upstream %s: %w", u, err)
		}
		realHost, realPort, err := splitAddress(u.Real)
		if err != nil {
			return plan{}, fmt.Errorf("upstream %s: %w", u, err)
		}
		for _, n := range p.nodes {
			if sameAddress(n.virtual, u.Virtual) {
				return plan{}, fmt.Errorf("upstream: duplicate address %s", u.Virtual)
			}
		}
		p.nodes = append(p.nodes, node{virtual: u.Virtual, internal: u.Real, real: u.Real})
		p.entries = append(p.entries, connector.Entry{Host: virtualHost, First: virtualPort, Last: virtualPort, Internal: realHost, InternalFirst: realPort})
	}
	return p, nil
}

// at joins host and port.
func at(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// sameAddress compares "host:port" without regard to case.
func sameAddress(a, b string) bool { return a != "" && strings.EqualFold(a, b) }

// isInvalid reports whether the host of an address ends in .invalid, a domain that never
// resolves (RFC 2606).
func isInvalid(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && strings.HasSuffix(strings.ToLower(host), ".invalid")
}
