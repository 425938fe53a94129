package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// propertyPrefix is before the names of properties that are for the tunnel. All others
// of a destination are for other readers, except those of SAP (SAP help, "TCP
// Destinations").
const propertyPrefix = "kafka-tunnel."

// The properties of SAP that count.
const (
	propertyType     = "Type"
	propertyProxy    = "ProxyType"
	propertyAddress  = "Address"
	propertyURL      = "URL" // in place of Address, in older editors
	propertyLocation = "CloudConnectorLocationId"
)

// properties are those with the prefix. Each fills in what is not configured. What they
// store has passed the same reader as the key of that name.
//
//	Type                          TCP
//	ProxyType                     OnPremise
//	Address                       kafka-1.corp:9092
//	CloudConnectorLocationId      PLANT1
//	kafka-tunnel.bootstrap        kafka-2.corp:9092,kafka-3.corp:9092
//	kafka-tunnel.address_map      [{from: "kafka-*.corp:9092", to: "vkafka-*:9092"}]
//	kafka-tunnel.tenant           acme
//	kafka-tunnel.tls.enabled      true
//	kafka-tunnel.tls.ca           -----BEGIN CERTIFICATE-----\n...
//	kafka-tunnel.tls.server_name  kafka.corp
func properties() map[string]property {
	return map[string]property{
		"bootstrap": addBootstrap,
		"address_map": func(c *Cluster, text string) *fault {
			var wrong *fault
			rules, ok := parseRules(text, propertyPrefix+"address_map", "destination", nil, func(p Problem) { wrong = wants("%s", p.Message) })
			if !ok {
				return wrong
			}
			if _, err := addressmap.Parse(rules); err != nil {
				return wants("%s", err)
			}
			if len(c.AddressMap) == 0 {
				c.AddressMap = rules
			}
			return nil
		},
		"tenant": func(c *Cluster, text string) *fault {
			name, wrong := tenant(text)
			c.Tenant = cmp.Or(c.Tenant, name)
			return wrong
		},
		"tls.enabled": func(c *Cluster, text string) *fault {
			on, wrong := boolean(text)
			c.TLS.Enabled = c.TLS.Enabled || on // never off
			return wrong
		},
		"tls.ca": func(c *Cluster, text string) *fault {
			roots, err := secure.ParseRoots([]byte(token.Unfold(text)))
			if err != nil {
				return wants("%s", err)
			}
			if c.TLS.Roots == nil {
				c.TLS.Roots = roots
			}
			return nil
		},
		"tls.server_name": func(c *Cluster, text string) *fault {
			name, wrong := serverName(text)
			c.TLS.ServerName = cmp.Or(c.TLS.ServerName, name)
			return wrong
		},
	}
}

// A property stores what a destination says in a cluster.
type property = func(c *Cluster, text string) *fault

// addBootstrap adds addresses to the destination's own.
func addBootstrap(c *Cluster, text string) *fault {
	for _, item := range splitList(text) {
		a, wrong := brokerAddress(item)
		switch {
		case wrong != nil:
			return wrong
		case !slices.Contains(c.Bootstrap, a):
			c.Bootstrap = append(c.Bootstrap, a)
		}
	}
	return nil
}

// With returns the cluster with what a destination says where nothing is configured:
// flags, variables and the file win over it. c itself is not changed. auth is how the
// proxy is told who asks ([Connectivity].Auth): only a token can carry a Location ID.
//
// The error is a [failure.Failure] with the code destination_wrong_type or
// destination_property. It quotes no values but addresses: properties of a destination
// may be secrets.
func (c Cluster) With(said map[string]string, auth string) (Cluster, error) {
	fail := func(code failure.Code, detail string) (Cluster, error) {
		return Cluster{}, failure.New(code, nil).For(c.Destination, "").With(detail)
	}
	if kind := said[propertyType]; !strings.EqualFold(kind, "TCP") {
		return fail(failure.DestinationWrongType, fmt.Sprintf("its Type is %q", brief(kind)))
	}
	if kind := said[propertyProxy]; !strings.EqualFold(kind, "OnPremise") {
		return fail(failure.DestinationWrongType, fmt.Sprintf("its ProxyType is %q", brief(kind)))
	}
	var wrong []string
	note := func(name string, f *fault) {
		if f == nil {
			return
		}
		if f.nearest != "" {
			f.message += ", for example " + f.nearest
		}
		wrong = append(wrong, name+" "+f.message)
	}
	configured := c.Bootstrap
	c.Bootstrap = nil
	address := cmp.Or(said[propertyAddress], said[propertyURL])
	switch text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(address), "tcp://"), "/"); {
	case text == "" && len(configured) == 0:
		note(propertyAddress, wants("is missing: HOST:PORT of a broker, as the Cloud Connector exposes it"))
	case text != "":
		note(propertyAddress, addBootstrap(&c, text))
	}
	location, f := locationID(said[propertyLocation])
	note(propertyLocation, f)
	c.LocationID = cmp.Or(c.LocationID, location)
	known := properties()
	for _, name := range slices.Sorted(maps.Keys(said)) {
		short, ours := strings.CutPrefix(name, propertyPrefix)
		text := strings.TrimSpace(said[name])
		switch read := known[short]; {
		case !ours:
		case read == nil:
			near := nearest(short, slices.Sorted(maps.Keys(known)))
			if near != "" {
				near = propertyPrefix + near
			}
			note(brief(name), wants("is not a property of the tunnel").near(near))
		case text != "":
			note(name, read(&c, text))
		}
	}
	if len(configured) > 0 {
		c.Bootstrap = configured
	}
	for _, name := range []string{"tls.ca", "tls.server_name"} {
		if !c.TLS.Enabled && said[propertyPrefix+name] != "" {
			note(propertyPrefix+name, wants("has no effect without %stls.enabled: true", propertyPrefix))
		}
	}
	if auth != AuthJWT && (c.LocationID != "" || c.Tenant != "") {
		note(propertyLocation, wants("or a tenant cannot be told to a proxy with connectivity.auth: %s; only a token carries it", auth))
	}
	if len(wrong) > 0 {
		return fail(failure.DestinationProperty, strings.Join(wrong, "; "))
	}
	return c, nil
}
