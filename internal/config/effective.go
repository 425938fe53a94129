package config

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/binding"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// hidden is shown in place of secrets.
const hidden = "***"

// Effective is a configuration with the sources of its values.
type Effective struct {
	Config Config
	// Values lists every key, in the order of the schema, the clusters first.
	Values []Value
	// Warnings are settings that work and should be changed.
	Warnings []string
	// File is the path of the file that was read, "" if none.
	File string
	// Binding is the binding that supplied the proxy or the credentials, nil if none.
	Binding *Binding
	// Destinations is the binding of the destination service, nil if none is needed.
	Destinations *Binding
}

// A Value is the value in effect for one key. It can be printed: a secret is ***.
type Value struct {
	Key    string `json:"key"` // "clusters.default.listen", "log.level"
	Value  string `json:"value"`
	Source string `json:"source"` // "flag --log-level", "variable KAFKA_TUNNEL_X", "file PATH:LINE", "binding NAME", "default"
}

// A Binding is the part of a service binding that may be shown.
type Binding struct {
	Name         string `json:"name"`
	Source       string `json:"source"`          // "VCAP_SERVICES" or a path
	Proxy        string `json:"proxy,omitempty"` // host:port; of the connectivity service
	URI          string `json:"uri,omitempty"`   // of the destination service
	TokenURL     string `json:"token_url"`
	ClientID     string `json:"client_id"`
	ClientSecret Secret `json:"client_secret,omitempty"`
	// CertificateUntil is the expiry of the certificate of an X.509 binding.
	CertificateUntil *time.Time `json:"certificate_until,omitempty"`
}

// kymaProxy is the connectivity proxy of SAP's Kyma module, which has no binding.
const kymaProxy = "connectivity-proxy.kyma-system.svc.cluster.local:20004"

// Resolve is [Load] followed by the bindings, if they are needed: after it the proxy
// and the credentials in Config are complete. What a flag, a variable or the file
// configures takes precedence. Credentials are taken from a binding as a whole or not
// at all.
//
// The error is an [*Error], or a [failure.Failure] of a binding. With a
// [failure.Failure] the configured values are returned too.
func Resolve(in Input) (*Effective, error) {
	e, err := Load(in)
	if err != nil {
		return nil, err
	}
	in = (&loader{}).withDefaultEnv(in) // Load has reported its problems
	c, t := &e.Config.Connectivity, &e.Config.Token
	if slices.ContainsFunc(e.Config.Clusters, func(c Cluster) bool { return c.Destination != "" }) {
		d, err := binding.FindDestination(in.Environ, binding.Choice{Service: c.DestinationService, Secrets: in.Secrets})
		if err != nil {
			return e, err
		}
		e.Destinations = &Binding{Name: d.Name, Source: d.Source, URI: d.URI}
		e.Config.Destinations = Destinations{Name: d.Name, URI: d.URI, Token: e.Destinations.credentials(d.Client, *t)}
	}
	onKubernetes := environValue(in.Environ, "KUBERNETES_SERVICE_HOST") != ""
	if c.Via == ViaConnectivity && c.Auth != AuthJWT && c.Proxy == "" && onKubernetes {
		c.Proxy = e.show("connectivity.proxy", kymaProxy, "default on Kubernetes")
	}
	if !e.NeedsBinding() {
		return e, nil
	}
	b, err := binding.FindConnectivity(in.Environ, binding.Choice{Service: c.Service, Issuer: t.Issuer, Secrets: in.Secrets})
	if err != nil {
		return e, e.explain(err)
	}
	malformed := func(format string, args ...any) (*Effective, error) {
		return e, failure.New(failure.BindingMalformed, nil).For(b.Source, "").With(fmt.Sprintf("%q: ", b.Name) + fmt.Sprintf(format, args...))
	}
	source, proxy := "binding "+b.Name, ""
	if b.ProxyHost != "" {
		proxy = net.JoinHostPort(b.ProxyHost, strconv.Itoa(int(b.ProxyPort)))
	}
	switch {
	case c.Proxy != "":
	case proxy != "":
		c.Proxy = e.show("connectivity.proxy", proxy, source)
	case onKubernetes:
		c.Proxy = e.show("connectivity.proxy", kymaProxy, "default on Kubernetes")
	default:
		return malformed("its plan connectivity_proxy names no proxy; set connectivity.proxy (in Kyma: %s)", kymaProxy)
	}
	if tenant := e.tenantOfAny(); b.Resource != "" && tenant != "" {
		return malformed("its tokens come from the Identity Authentication service, which cannot be asked for the tenant %q; set token.issuer: xsuaa", tenant)
	}
	e.Binding = &Binding{Name: b.Name, Source: b.Source, Proxy: cmp.Or(proxy, c.Proxy)}
	if bound := e.Binding.credentials(b.Client, *t); t.URL == "" {
		*t = bound
		e.show("token.url", b.TokenURL, source)
		e.show("token.client_id", b.ClientID, source)
		e.show("token.client_secret", b.ClientSecret.String(), source)
		e.show("token.resource", b.Resource, source)
	}
	return e, nil
}

// show sets the value in effect for a key, and returns it.
func (e *Effective) show(key, value, source string) string {
	i := slices.IndexFunc(e.Values, func(v Value) bool { return v.Key == key })
	e.Values[i] = Value{key, value, source}
	return value
}

// tenantOfAny returns a subscriber that is configured, "" if none is.
func (e *Effective) tenantOfAny() (tenant string) {
	for _, c := range e.Config.Clusters {
		tenant = cmp.Or(tenant, c.Tenant)
	}
	for _, f := range e.Config.Forwards {
		tenant = cmp.Or(tenant, f.Tenant)
	}
	return tenant
}

// credentials returns the credentials of a binding, with the configured CAs, and shows
// them in b.
func (b *Binding) credentials(c binding.Client, configured Token) Token {
	b.TokenURL, b.ClientID, b.ClientSecret = c.TokenURL, c.ClientID, c.ClientSecret
	t := Token{
		Issuer: configured.Issuer, URL: c.TokenURL, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Resource: c.Resource,
		CAFile: configured.CAFile, Roots: configured.Roots,
	}
	if c.Certificate != "" {
		t.Certificate, _ = token.ParseCertificate(c.Certificate, c.Key.Reveal()) // checked with the binding
		until := token.Expiry(t.Certificate)
		b.CertificateUntil = &until
	}
	return t
}

// NeedsBinding reports whether the proxy or the credentials are still missing.
func (e *Effective) NeedsBinding() bool {
	c := e.Config
	return c.Connectivity.Via == ViaConnectivity && (c.Connectivity.Proxy == "" || c.Connectivity.Auth == AuthJWT && c.Token.URL == "")
}

// explain adds to a missing binding which half of the plain configuration is present.
func (e *Effective) explain(err error) error {
	f, ok := failure.As(err)
	half := ""
	switch c := e.Config; {
	case !ok || f.Code != failure.BindingMissing:
		return err
	case c.Token.URL != "":
		half = "; token.* is configured, but connectivity.proxy is not"
	case c.Connectivity.Proxy != "":
		half = "; connectivity.proxy is configured, but token.* is not"
	}
	return failure.New(f.Code, f.Err).For(f.Target, f.LocationID).With(f.Detail + half)
}

// A Problem is one error in the configuration.
type Problem struct {
	Key     string `json:"key"`               // "clusters.default.listen", or the name of an unknown variable
	Source  string `json:"source"`            // as [Value.Source]
	Value   string `json:"value,omitempty"`   // the configured value; *** for a secret; "" for unknown keys
	Message string `json:"message"`           // which values are allowed
	Nearest string `json:"nearest,omitempty"` // the nearest valid name
}

// String returns the problem in one line.
func (p Problem) String() string {
	text := p.Key
	if p.Value != "" {
		text += fmt.Sprintf(" = %q", p.Value)
	}
	if p.Source != "" && p.Source != variableSource(p.Key) {
		text += " (" + p.Source + ")"
	}
	text += ": " + p.Message
	if p.Nearest != "" {
		text += "; did you mean " + p.Nearest + "?"
	}
	return text
}

// Error is an invalid configuration.
type Error struct {
	Problems []Problem // at least one
	// Values has the valid values, for `config` to show with the problems.
	Values  []Value
	failure *failure.Failure // entry of the catalogue with matching advice
}

// Error lists all problems, one per line.
func (e *Error) Error() string {
	texts := []string{e.failure.Summary()}
	for _, p := range e.Problems {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, "\n  ")
}

// Unwrap returns the [failure.Failure] of the catalogue with the matching advice.
func (e *Error) Unwrap() error { return e.failure }
