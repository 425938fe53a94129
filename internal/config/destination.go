package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// propertyPrefix is before the names of properties for the tunnel. All others of a
// destination are for other readers, except those of SAP (SAP help, "TCP
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

// properties are the keys of a cluster that a destination may hold, with propertyPrefix.
// tls.ca takes the place of tls.ca_file.
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
var properties = []string{"address_map", "bootstrap", "tenant", "tls.ca", "tls.enabled", "tls.server_name"}

// With returns the cluster with what a destination supplies where nothing is configured:
// flags, variables and the file win over it. c itself is not changed. auth is the
// authentication at the proxy ([Connectivity].Auth): only a token can carry a Location ID.
//
// The error is a [failure.Failure] with the code destination_wrong_type or
// destination_property. It quotes no values but addresses: properties of a destination
// may be secrets.
func (c Cluster) With(props map[string]string, auth string) (Cluster, error) {
	fail := func(code failure.Code, detail string) (Cluster, error) {
		return Cluster{}, failure.New(code, nil).For(c.Destination, "").With(detail)
	}
	if kind := props[propertyType]; !strings.EqualFold(kind, "TCP") {
		return fail(failure.DestinationWrongType, fmt.Sprintf("its Type is %q", brief(kind)))
	}
	if kind := props[propertyProxy]; !strings.EqualFold(kind, "OnPremise") {
		return fail(failure.DestinationWrongType, fmt.Sprintf("its ProxyType is %q", brief(kind)))
	}
	l := &loader{}
	report := func(property string, err *valueError) {
		l.report(Problem{Key: property, Message: err.message, Nearest: err.nearest})
	}
	read := func(property, name, text string) (value any) {
		if text = strings.TrimSpace(text); text == "" {
			return nil
		}
		keys := Keys()
		k := keys[slices.IndexFunc(keys, func(k Key) bool { return k.name == name })]
		value, err := l.parse(property, k, &setting{text: text})
		if err != nil {
			report(property, err)
		}
		return value
	}
	own := func(name string) any { return read(propertyPrefix+name, name, props[propertyPrefix+name]) }
	for name := range props {
		if short, ours := strings.CutPrefix(name, propertyPrefix); ours && !slices.Contains(properties, short) {
			err := wrong("is not a property of the tunnel")
			if near := nearest(short, properties); near != "" {
				err.nearest = propertyPrefix + near
			}
			report(brief(name), err)
		}
	}
	address := strings.TrimSpace(cmp.Or(props[propertyAddress], props[propertyURL]))
	first, _ := read(propertyAddress, "bootstrap", strings.TrimSuffix(strings.TrimPrefix(address, "tcp://"), "/")).([]HostPort)
	more, _ := own("bootstrap").([]HostPort)
	if address == "" && len(c.Bootstrap) == 0 {
		report(propertyAddress, wrong("is missing: HOST:PORT of a broker, as the Cloud Connector exposes it"))
	}
	if len(c.Bootstrap) == 0 {
		c.Bootstrap = slices.Clone(first)
		for _, a := range more {
			if !slices.Contains(c.Bootstrap, a) {
				c.Bootstrap = append(c.Bootstrap, a)
			}
		}
	}
	if rules, _ := own("address_map").([]AddressRule); len(c.AddressMap) == 0 {
		c.AddressMap = rules
	}
	location, _ := read(propertyLocation, "location_id", props[propertyLocation]).(string)
	tenant, _ := own("tenant").(string)
	server, _ := own("tls.server_name").(string)
	enabled, _ := own("tls.enabled").(bool)
	c.LocationID, c.Tenant, c.TLS.ServerName = cmp.Or(c.LocationID, location), cmp.Or(c.Tenant, tenant), cmp.Or(c.TLS.ServerName, server)
	c.TLS.Enabled = c.TLS.Enabled || enabled // never off
	if text := props[propertyPrefix+"tls.ca"]; text != "" {
		roots, err := secure.ParseRoots([]byte(token.Unfold(text)))
		if err != nil {
			report(propertyPrefix+"tls.ca", wrong("%s", err))
		}
		c.TLS.Roots = cmp.Or(c.TLS.Roots, roots)
	}
	for _, name := range []string{"tls.ca", "tls.server_name"} {
		if !c.TLS.Enabled && props[propertyPrefix+name] != "" {
			report(propertyPrefix+name, wrong("has no effect without %stls.enabled: true", propertyPrefix))
		}
	}
	if auth != AuthJWT && (c.LocationID != "" || c.Tenant != "") {
		report(propertyLocation, wrong("or a tenant cannot be sent to a proxy with connectivity.auth: %s; only a token carries it", auth))
	}
	if len(l.problems) == 0 {
		return c, nil
	}
	texts := make([]string, len(l.problems))
	for i, p := range l.problems {
		if texts[i] = p.Key + " " + p.Message; p.Nearest != "" {
			texts[i] += ", for example " + p.Nearest
		}
	}
	slices.Sort(texts)
	return fail(failure.DestinationProperty, strings.Join(texts, "; "))
}
