// Package addressmap translates the addresses that brokers advertise into the
// virtual addresses that the Cloud Connector exposes.
//
// A rule has the form
//
//	{from: HOST[:PORT|:LOW-HIGH], to: HOST[:PORT|:LOW-HIGH], location_id: X}
//	{from: node:ID,               to: HOST[:PORT],           location_id: X}
//
// Hosts are compared without regard to case. `from` may contain one `*`, which matches one or
// more characters, including dots; a `*` in `to` is replaced by the text that matched. Without
// a port `from` matches any port and `to` keeps the port. A range maps to a range of the same
// size, by offset. The first rule that matches decides; an address that no rule matches is not
// changed. Without location_id the cluster's Location ID is used.
//
//	rules, err := addressmap.Parse([]addressmap.Text{{From: "kafka-*.corp:9092", To: "vkafka-*:19092"}})
//	to, ok := rules.Translate(1, "kafka-1.corp", 9092)   // vkafka-1:19092
//
// The package knows neither brokers nor connections.
package addressmap

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// A Text is a rule as written in the configuration.
type Text struct {
	From string
	To   string
	// LocationID is nil if the rule has none.
	LocationID *string
}

// An Address is the result of a translation.
type Address struct {
	Host string
	Port uint16
	// LocationID is nil if the rule has none.
	LocationID *string
}

// Rules is a list of parsed rules. The zero value translates nothing.
type Rules []rule

type rule struct {
	node     *int32
	from, to pattern
	location *string
}

// pattern is one side of a rule: a host with at most one star, and a port range (low 0: any
// port, or the same port).
type pattern struct {
	prefix, suffix string
	star           bool
	low, high      uint16
}

// Parse parses rules. The error names the rule by its position, counted from 1, and what to
// change.
func Parse(texts []Text) (Rules, error) {
	rules := make(Rules, 0, len(texts))
	for i, text := range texts {
		r, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("rule %d {from: %q, to: %q}: %w", i+1, text.From, text.To, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(text Text) (rule, error) {
	r := rule{location: text.LocationID}
	to, err := parsePattern(text.To)
	if err != nil {
		return rule{}, fmt.Errorf("to: %w", err)
	}
	r.to = to
	if id, ok := strings.CutPrefix(text.From, "node:"); ok {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil || n < 0 {
			return rule{}, fmt.Errorf("from: %q is not a node id", id)
		}
		node := int32(n)
		r.node = &node
		if to.star || to.low != to.high {
			return rule{}, fmt.Errorf("to: a node requires one address, without * and without a port range")
		}
		return r, nil
	}
	if r.from, err = parsePattern(text.From); err != nil {
		return rule{}, fmt.Errorf("from: %w", err)
	}
	switch {
	case to.star && !r.from.star:
		return rule{}, fmt.Errorf("to: * requires a * in from")
	case to.low != to.high && to.high-to.low != r.from.high-r.from.low:
		return rule{}, fmt.Errorf("the port ranges differ in size: %d and %d ports", r.from.ports(), to.ports())
	case r.from.low != r.from.high && to.low == to.high && to.low != 0:
		return rule{}, fmt.Errorf("to: expected a port range of the same size, or no port to keep the port")
	}
	return r, nil
}

func (p pattern) ports() int {
	if p.low == 0 {
		return 0
	}
	return int(p.high) - int(p.low) + 1
}

// parsePattern parses HOST, HOST:PORT or HOST:LOW-HIGH. An IPv6 literal is in square brackets.
func parsePattern(s string) (pattern, error) {
	host, ports := s, ""
	if rest, ok := strings.CutPrefix(s, "["); ok {
		literal, after, found := strings.Cut(rest, "]")
		if !found || net.ParseIP(literal) == nil {
			return pattern{}, fmt.Errorf("%q is not an address in square brackets", s)
		}
		host, ports = literal, after
		if after != "" {
			if after[0] != ':' {
				return pattern{}, fmt.Errorf("%q: expected a colon and a port after the bracket", s)
			}
			ports = after[1:]
			if ports == "" {
				return pattern{}, fmt.Errorf("%q: the port is missing", s)
			}
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, ports = s[:i], s[i+1:]
		if ports == "" {
			return pattern{}, fmt.Errorf("%q: the port is missing", s)
		}
	}
	var p pattern
	host = strings.ToLower(host)
	switch {
	case host == "":
		return pattern{}, fmt.Errorf("%q: the host is missing", s)
	case strings.Count(host, "*") > 1:
		return pattern{}, fmt.Errorf("%q has more than one *", s)
	case strings.ContainsAny(host, " \t/@,"):
		return pattern{}, fmt.Errorf("%q is not a host name", s)
	}
	p.prefix, p.suffix, p.star = strings.Cut(host, "*")
	if ports == "" {
		return p, nil
	}
	low, high, isRange := strings.Cut(ports, "-")
	var err error
	if p.low, err = parsePort(low); err != nil {
		return pattern{}, fmt.Errorf("%q: %w", s, err)
	}
	p.high = p.low
	if isRange {
		if p.high, err = parsePort(high); err != nil {
			return pattern{}, fmt.Errorf("%q: %w", s, err)
		}
		if p.high < p.low {
			return pattern{}, fmt.Errorf("%q: the end of the range is below its start", s)
		}
	}
	return p, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", s)
	}
	return uint16(n), nil
}

// Translate applies the first rule that matches the address that a node advertises. ok is false
// if no rule matches.
func (rules Rules) Translate(node int32, host string, port uint16) (to Address, ok bool) {
	host = strings.ToLower(host)
	for _, r := range rules {
		if r.node != nil {
			if *r.node == node {
				return r.result("", port, 0), true
			}
			continue
		}
		if stood, offset, ok := r.from.match(host, port); ok {
			return r.result(stood, port, offset), true
		}
	}
	return Address{}, false
}

// match reports whether the address matches, the text that matched the star, and the offset of
// the port in the range.
func (p pattern) match(host string, port uint16) (stood string, offset uint16, ok bool) {
	if p.low != 0 {
		if port < p.low || port > p.high {
			return "", 0, false
		}
		offset = port - p.low
	}
	if !p.star {
		return "", offset, host == p.prefix
	}
	if len(host) <= len(p.prefix)+len(p.suffix) || !strings.HasPrefix(host, p.prefix) || !strings.HasSuffix(host, p.suffix) {
		return "", 0, false
	}
	return host[len(p.prefix) : len(host)-len(p.suffix)], offset, true
}

func (r rule) result(stood string, port, offset uint16) Address {
	a := Address{Host: r.to.prefix + r.to.suffix, Port: port, LocationID: r.location}
	if r.to.star {
		a.Host = r.to.prefix + stood + r.to.suffix
	}
	if r.to.low != 0 {
		a.Port = r.to.low
	}
	if r.to.low != r.to.high {
		a.Port += offset
	}
	return a
}
