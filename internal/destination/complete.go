package destination

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/suggest"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// propertyPrefix is the prefix of properties for the tunnel. All other properties are for other
// readers, except those of SAP (SAP Help, "TCP Destinations").
const propertyPrefix = "kafka-tunnel."

// SAP's properties that the tunnel uses.
const (
	propertyType     = "Type"
	propertyProxy    = "ProxyType"
	propertyAddress  = "Address"
	propertyURL      = "URL" // instead of Address, in older editors
	propertyLocation = "CloudConnectorLocationId"
)

// known are the keys of a cluster that a destination may contain, with propertyPrefix. tls.ca
// replaces tls.ca_file.
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
var known = []string{"address_map", "bootstrap", "tenant", "tls.ca", "tls.enabled", "tls.server_name"}

// Complete returns a cluster with the values of its destination for keys that are not
// configured: flags, variables and the file have precedence. c itself is not changed. auth is
// the authentication at the proxy ([config.Connectivity].Auth): only a token can carry a
// Location ID.
//
// The error is a [failure.Failure] with the code destination_wrong_type or
// destination_property. The only values that it quotes are addresses: properties of a
// destination may be secrets.
func Complete(c config.Cluster, props map[string]string, auth string) (config.Cluster, error) {
	fail := func(code failure.Code, detail string) (config.Cluster, error) {
		return config.Cluster{}, failure.New(code, nil).For(c.Destination, "").With(detail)
	}
	for name, required := range map[string]string{propertyType: "TCP", propertyProxy: "OnPremise"} {
		if got := props[name]; !strings.EqualFold(got, required) {
			return fail(failure.DestinationWrongType, fmt.Sprintf("its %s is %.100q", name, got))
		}
	}
	p := &properties{all: props}
	p.reportUnknown()
	addresses(&c, p)
	if rules, _ := p.own("address_map").([]config.AddressRule); len(c.AddressMap) == 0 {
		c.AddressMap = rules
	}
	location, _ := p.read(propertyLocation, "location_id", props[propertyLocation]).(string)
	tenant, _ := p.own("tenant").(string)
	c.LocationID, c.Tenant = cmp.Or(c.LocationID, location), cmp.Or(c.Tenant, tenant)
	if auth != config.AuthJWT && (c.LocationID != "" || c.Tenant != "") {
		p.report(propertyLocation, "or a tenant cannot be sent to a proxy with connectivity.auth: "+auth+"; only a token carries it", "")
	}
	completeTLS(&c.TLS, p)
	if len(p.problems) > 0 {
		slices.Sort(p.problems)
		return fail(failure.DestinationProperty, strings.Join(p.problems, "; "))
	}
	return c, nil
}

// addresses sets the bootstrap addresses: Address and those of the property bootstrap.
func addresses(c *config.Cluster, p *properties) {
	address := strings.TrimSpace(cmp.Or(p.all[propertyAddress], p.all[propertyURL]))
	first, _ := p.read(propertyAddress, "bootstrap", strings.TrimSuffix(strings.TrimPrefix(address, "tcp://"), "/")).([]config.HostPort)
	more, _ := p.own("bootstrap").([]config.HostPort)
	if len(c.Bootstrap) > 0 {
		return
	}
	if address == "" {
		p.report(propertyAddress, "is missing: HOST:PORT of a broker, as the Cloud Connector exposes it", "")
	}
	c.Bootstrap = slices.Clone(first)
	for _, a := range more {
		if !slices.Contains(c.Bootstrap, a) {
			c.Bootstrap = append(c.Bootstrap, a)
		}
	}
}

func completeTLS(c *config.TLS, p *properties) {
	server, _ := p.own("tls.server_name").(string)
	enabled, _ := p.own("tls.enabled").(bool)
	c.Enabled = c.Enabled || enabled // a destination cannot disable it
	c.ServerName = cmp.Or(c.ServerName, server)
	if text := p.all[propertyPrefix+"tls.ca"]; text != "" {
		roots, err := secure.ParseRoots([]byte(token.Unfold(text)))
		if err != nil {
			p.report(propertyPrefix+"tls.ca", err.Error(), "")
		}
		c.Roots = cmp.Or(c.Roots, roots)
	}
	for _, name := range []string{"tls.ca", "tls.server_name"} {
		if !c.Enabled && p.all[propertyPrefix+name] != "" {
			p.report(propertyPrefix+name, "has no effect without "+propertyPrefix+"tls.enabled: true", "")
		}
	}
}

// properties are those of one destination, and the problems found in them.
type properties struct {
	all      map[string]string
	problems []string
}

func (p *properties) report(property, message, nearest string) {
	if nearest != "" {
		message += ", for example " + nearest
	}
	p.problems = append(p.problems, property+": "+message)
}

// read parses a string as the value of the cluster's key; nil: it is empty or wrong.
func (p *properties) read(property, key, text string) any {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	value, problems := config.ParseClusterKey(key, text, property)
	for _, wrong := range problems {
		p.report(wrong.Key, wrong.Message, wrong.Nearest)
	}
	return value
}

func (p *properties) own(key string) any {
	return p.read(propertyPrefix+key, key, p.all[propertyPrefix+key])
}

func (p *properties) reportUnknown() {
	for name := range p.all {
		if short, ours := strings.CutPrefix(name, propertyPrefix); ours && !slices.Contains(known, short) {
			near := suggest.Nearest(short, known)
			if near != "" {
				near = propertyPrefix + near
			}
			p.report(fmt.Sprintf("%.100s", name), "is not a property of the tunnel", near)
		}
	}
}
