package lab

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/destinations"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
)

// The names of bindings and destinations.
const (
	// DestinationName is the destination with the brokers' addresses.
	DestinationName    = "kafka"
	bindingName        = "lab-connectivity"
	destinationBinding = "lab-destination"
	identityBinding    = "lab-identity"
)

// An account is the identity of a service binding at the token service.
type account struct {
	id, secret       string
	certificate, key string // PEM, instead of the secret
}

// newAccount returns a random one, with a certificate if the bindings have certificates.
func (l *Landscape) newAccount(service string) (account, error) {
	c := account{id: "sb-clone" + rand.Text()[:8] + "!b17|" + service + "!b4", secret: rand.Text() + "!|+/=%&$" + rand.Text()}
	return c, l.certify(&c)
}

// certify issues a certificate for an account.
func (l *Landscape) certify(c *account) error {
	if !l.opts.X509 {
		return nil
	}
	life := l.opts.X509Life
	if life == 0 {
		life = 7 * 24 * time.Hour // like XSUAA
	}
	cert, err := l.authority.Issue(authority.Request{Names: []string{c.id}, Client: true, Life: life})
	if err != nil {
		return err
	}
	c.certificate, c.key, err = authority.Encode(cert)
	return err
}

// startTokens starts the token service, XSUAA and IAS.
func (l *Landscape) startTokens() (err error) {
	o := tokenservice.Options{
		Listen: l.opts.TokenListen, ClientID: l.ids.clientID, ClientSecret: l.ids.clientSecret,
		Tenant: l.ids.tenant, Subdomain: l.ids.subdomain, Subscribers: l.subscribers(),
		Life: l.opts.TokenLife, Rate: l.opts.TokenRate, Burst: int(l.opts.TokenRate) + 1,
		Faults: l.faults, Logger: l.opts.Logger, Authority: l.issuer(l.opts.X509),
	}
	if l.opts.Destination {
		if l.destinationClient, err = l.newAccount("destination-xsappname"); err != nil {
			return err
		}
		o.Clients = map[string]string{l.destinationClient.id: l.destinationClient.secret}
	}
	if l.opts.Identity {
		l.identityClient = account{id: tokenservice.NewID(), secret: rand.Text()}
		o.Identity = tokenservice.Identity{ClientID: l.identityClient.id, Secret: l.identityClient.secret, Resource: l.resource()}
	}
	if l.tokens, err = tokenservice.Start(o); err != nil {
		return err
	}
	l.proxyClient = account{id: l.ids.clientID}
	return l.certify(&l.proxyClient)
}

// RotateCertificate returns a new certificate and key, PEM, for the binding of the connectivity
// service, like a new binding. It is valid for a week; the old one remains valid.
func (l *Landscape) RotateCertificate() (certificate, key string, err error) {
	l.opts.X509Life = 0
	if err := l.certify(&l.proxyClient); err != nil {
		return "", "", err
	}
	return l.proxyClient.certificate, l.proxyClient.key, nil
}

// resource is the resource of tokens from IAS.
func (l *Landscape) resource() string {
	return "urn:sap:identity:application:service:id:" + l.ids.instance
}

// subscribers returns the tenants other than the application's own.
func (l *Landscape) subscribers() []string {
	if l.opts.Subscriber {
		return append([]string{l.ids.subscriber}, l.opts.Subscribers...)
	}
	return l.opts.Subscribers
}

// home returns the tenant to which the Cloud Connectors are connected.
func (l *Landscape) home() string {
	if l.opts.Subscriber {
		return l.ids.subscriber
	}
	return l.ids.tenant
}

// proxyClients returns the clients whose tokens the connectivity proxy accepts.
func (l *Landscape) proxyClients() []string {
	if l.opts.Identity {
		return []string{l.ids.clientID, l.identityClient.id}
	}
	return []string{l.ids.clientID}
}

// verifier returns a Verifier that accepts tokens of these clients.
func (l *Landscape) verifier(clients ...string) proxy.Verifier {
	return proxy.Verifier{
		Key: l.tokens.Key(), Issuers: []string{l.tokens.Issuer(), l.tokens.IdentityIssuer()}, ClientIDs: clients,
		Tenants: append([]string{l.ids.tenant}, l.subscribers()...), Revoked: l.tokens.Revoked,
	}
}

// startDestinations starts the destination service, with the destination for the brokers.
func (l *Landscape) startDestinations() (err error) {
	if !l.opts.Destination {
		return nil
	}
	v := l.verifier(l.destinationClient.id)
	l.destinations, err = destinations.Start(destinations.Options{
		Tenant: l.ids.tenant, Faults: l.faults, Logger: l.opts.Logger,
		Verify: func(token string, now time.Time) (string, error) {
			tenant, _, err := v.Verify(token, now)
			return tenant, err
		},
	})
	if err == nil {
		l.destinations.Set(DestinationName, l.destination())
	}
	return err
}

// destination returns the properties that an administrator enters in the cockpit.
func (l *Landscape) destination() map[string]string {
	bootstrap := l.Bootstrap()
	d := map[string]string{"Address": bootstrap[0]}
	if len(bootstrap) > 1 {
		d["kafka-tunnel.bootstrap"] = strings.Join(bootstrap[1:], ",")
	}
	if l.opts.LocationID != "" {
		d["CloudConnectorLocationId"] = l.opts.LocationID
	}
	if l.plan.addressMap != "" {
		d["kafka-tunnel.address_map"] = l.plan.addressMap
	}
	if l.opts.Subscriber {
		d["kafka-tunnel.tenant"] = l.ids.subscriber
	}
	if l.opts.TLS {
		// One line, as in the cockpit.
		d["kafka-tunnel.tls.enabled"], d["kafka-tunnel.tls.ca"] = "true", strings.ReplaceAll(string(l.authority.PEM()), "\n", `\n`)
	}
	return d
}

// Destinations returns the destination service, nil without one.
func (l *Landscape) Destinations() *destinations.Service { return l.destinations }

// destinationEntry and identityEntry return bindings.
func (l *Landscape) destinationEntry() map[string]any {
	credentials := map[string]any{
		"clientid": l.destinationClient.id, "clientsecret": l.destinationClient.secret, "credential-type": "binding-secret",
		"url": l.tokens.URL(), "uri": l.destinations.URL(), "uaadomain": l.tokens.Addr(),
		"xsappname": "clone!b17|destination-xsappname!b4", "identityzone": l.ids.subdomain, "tenantid": l.ids.tenant, "tenantmode": "dedicated",
		"instanceid": l.ids.services[0],
	}
	l.destinationClient.replaceSecret(credentials, l.tokens.CertURL())
	return entry("destination", destinationBinding, l.ids.services[0], l.ids.services[1], credentials)
}

// replaceSecret replaces the secret by the certificate, if there is one.
func (c account) replaceSecret(credentials map[string]any, certURL string) {
	if c.certificate == "" {
		return
	}
	delete(credentials, "clientsecret")
	credentials["credential-type"], credentials["certurl"] = "x509", certURL
	credentials["certificate"], credentials["key"] = c.certificate, c.key
}

func (l *Landscape) identityEntry() map[string]any {
	return entry("identity", identityBinding, l.ids.services[2], l.ids.services[3], map[string]any{
		"clientid": l.identityClient.id, "clientsecret": l.identityClient.secret, "credential-type": "SECRET", "url": l.tokens.URL(),
	})
}

// entry is one service of VCAP_SERVICES.
func entry(label, name, instance, binding string, credentials map[string]any) map[string]any {
	return map[string]any{
		"label": label, "plan": "lite", "provider": nil, "name": name, "instance_name": name, "binding_name": nil,
		"instance_guid": instance, "binding_guid": binding, "tags": []string{label},
		"syslog_drain_url": nil, "volume_mounts": []any{}, "credentials": credentials,
	}
}

// putDestination is PUT /destinations/{name}.
func (c *control) putDestination(w http.ResponseWriter, r *http.Request) {
	if c.land.destinations == nil {
		answerError(w, http.StatusNotFound, errors.New("the lab has no destination service; start it with --with-destination"))
		return
	}
	var properties map[string]string
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&properties); err != nil || properties == nil {
		answerError(w, http.StatusBadRequest, fmt.Errorf("the body is not an object with string values: %w", err))
		return
	}
	c.land.destinations.Set(r.PathValue("name"), properties)
	answerJSON(w, http.StatusOK, c.land.destinations.Get(r.PathValue("name")))
}

// getDestination is GET /destinations/{name}.
func (c *control) getDestination(w http.ResponseWriter, r *http.Request) {
	if c.land.destinations != nil {
		if d := c.land.destinations.Get(r.PathValue("name")); d != nil {
			answerJSON(w, http.StatusOK, d)
			return
		}
	}
	answerError(w, http.StatusNotFound, errors.New("no such destination"))
}

// deleteDestination is DELETE /destinations/{name}.
func (c *control) deleteDestination(w http.ResponseWriter, r *http.Request) {
	if c.land.destinations != nil {
		c.land.destinations.Set(r.PathValue("name"), nil)
	}
	w.WriteHeader(http.StatusNoContent)
}
