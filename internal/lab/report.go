package lab

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
)

// A Part is one part of the lab, for the user.
type Part struct {
	Name    string `json:"name"`    // "token service", "connectivity proxy", "Cloud Connector", "broker 1", "control"
	Address string `json:"address"` // the address on which it listens, or which it exposes
	Detail  string `json:"detail"`
}

// Parts returns the parts in the order in which a connection passes them.
func (l *Landscape) Parts() []Part {
	location := "no Location ID"
	if l.opts.LocationID != "" {
		location = "Location ID " + l.opts.LocationID
	}
	parts := []Part{
		{"token service", l.tokens.URL(), "POST /oauth/token, client " + l.ids.clientID},
		{"connectivity proxy", l.proxy.Addr().String(), "SOCKS5, method 0x80 with a JWT"},
	}
	if l.opts.Trusted {
		parts[1].Detail = "SOCKS5, trusted mode: no token"
	}
	if l.opts.Identity {
		parts[0].Detail = "Identity Authentication: POST /oauth2/token, client " + l.identityClient.id
	}
	if l.destinations != nil {
		parts = slices.Insert(parts, 1, Part{"destination service", l.destinations.URL(), "has the destination " + DestinationName})
	}
	for _, e := range l.connector.Entries() {
		parts = append(parts, Part{"Cloud Connector", entryAddress(e), location + ", leads to " + strings.SplitN(e.String(), " -> ", 2)[1]})
	}
	if l.second != nil {
		for _, e := range l.second.Entries() {
			parts = append(parts, Part{"Cloud Connector", entryAddress(e), "Location ID " + l.opts.Second + ", leads to " + strings.SplitN(e.String(), " -> ", 2)[1]})
		}
	}
	if l.registry != nil {
		parts = append(parts, Part{"schema registry", l.registry.port.String(), "simulated: GET /subjects"})
	}
	if l.authority != nil {
		parts = append(parts, Part{"authority", l.CAFile(), "CA of all certificates"})
	}
	for _, b := range l.Brokers() {
		if b.Advertised == "" {
			parts = append(parts, Part{"upstream broker", b.Address, "real broker"})
			continue
		}
		parts = append(parts, Part{fmt.Sprintf("broker %d", b.ID), b.Address, "advertises " + b.Advertised})
	}
	return append(parts, Part{"control", l.ControlURL(), "faults and state: POST /faults, GET /kinds, GET /state"})
}

// entryAddress returns the virtual side of an access-control entry.
func entryAddress(e connector.Entry) string { return strings.SplitN(e.String(), " -> ", 2)[0] }

// A Broker is a broker and its names, each "host:port".
type Broker struct {
	ID         int32  `json:"id"`         // 0 for upstreams: unknown
	Advertised string `json:"advertised"` // its advertised address; "" for upstreams: unknown
	Virtual    string `json:"virtual"`    // in the Cloud Connector
	Internal   string `json:"internal"`   // in the company's network
	Address    string `json:"address"`    // the address on which it listens
}

// Brokers returns the brokers.
func (l *Landscape) Brokers() []Broker {
	list := make([]Broker, 0, len(l.plan.nodes))
	for _, n := range l.plan.nodes {
		b := Broker{ID: n.id, Advertised: n.advertised, Virtual: n.virtual, Internal: n.internal, Address: n.real}
		if l.brokers != nil {
			if e := l.brokers.Broker(n.id); e != nil {
				b.Address, b.Advertised = e.Address(), e.Advertised()
			}
		}
		list = append(list, b)
	}
	return list
}

// RealNames returns the host names that no client must ever see: those of all brokers,
// advertised, virtual and internal, except loopback ones.
func (l *Landscape) RealNames() []string {
	var names []string
	for _, b := range l.Brokers() {
		for _, address := range []string{b.Advertised, b.Virtual, b.Internal, b.Address} {
			host, _, err := net.SplitHostPort(address)
			if err != nil || hostport.IsLoopback(host) || slices.Contains(names, host) {
				continue
			}
			names = append(names, host)
		}
	}
	return names
}

// Secrets returns what no log, status or error must ever contain: all client secrets and the
// newest 10 000 tokens.
func (l *Landscape) Secrets() []string {
	secrets := l.tokens.Secrets()
	if l.identityClient.secret != "" {
		secrets = append(secrets, l.identityClient.secret)
	}
	return secrets
}

// A State has the counters of a lab, as GET /state returns them.
type State struct {
	Tokens     tokenservice.Stats `json:"tokens"`
	Connects   map[string]int     `json:"connects"` // connections to the proxy by result
	Open       int                `json:"open"`     // open connections at the proxy
	Violations []string           `json:"violations"`
	Connectors []ConnectorState   `json:"connectors"`
	Brokers    []Broker           `json:"brokers"`
	Refused    int64              `json:"refused"` // requests that the brokers' guard did not forward
	Faults     []faults.Active    `json:"faults"`
	Recent     []proxy.Connect    `json:"recent"` // newest 20 connections, oldest first
}

// A ConnectorState has the counters of a Cloud Connector.
type ConnectorState struct {
	Tenant     string            `json:"tenant"`
	LocationID string            `json:"location_id"`
	Connected  bool              `json:"connected"`
	Entries    []connector.Entry `json:"entries"`
	connector.Stats
}

// State returns the counters.
func (l *Landscape) State() State {
	recent := l.proxy.Connects()
	s := State{
		Tokens:     l.tokens.Stats(),
		Connects:   l.proxy.Counts(),
		Open:       l.proxy.Open(),
		Violations: l.proxy.Violations(),
		Brokers:    l.Brokers(),
		Faults:     l.faults.List(),
		Recent:     recent[max(0, len(recent)-20):],
	}
	if l.brokers != nil {
		s.Refused = l.brokers.Refused()
	}
	for _, c := range l.connectors.Connectors() {
		s.Connectors = append(s.Connectors, ConnectorState{c.Tenant(), c.LocationID(), c.Connected(), c.Entries(), c.Stats()})
	}
	return s
}
