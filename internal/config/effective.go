package config

import (
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

// Effective is a configuration together with where it came from.
type Effective struct {
	Config Config
	// Values lists every key, in the order of the schema, the clusters first.
	Values []Value
	// Warnings are things that work and should not stay so.
	Warnings []string
	// File is the path of the file that was read, "" if none.
	File string
	// Binding is the binding that [Effective.Bind] has used, nil if none.
	Binding *Binding
	// Destinations is the binding of the destination service, nil if none is needed.
	Destinations *Binding
}

// A Value is what is in effect for one key. It can be printed: a secret is ***.
type Value struct {
	Key    string `json:"key"` // "clusters.default.listen", "log.level"
	Value  string `json:"value"`
	Source string `json:"source"` // "flag --log-level", "variable KAFKA_TUNNEL_X", "file PATH:LINE", "binding NAME", "default"
}

// A Binding is what is shown of a service binding.
type Binding struct {
	Name         string `json:"name"`
	Source       string `json:"source"`          // "VCAP_SERVICES" or a path
	Proxy        string `json:"proxy,omitempty"` // host:port; of the connectivity service
	URI          string `json:"uri,omitempty"`   // of the destination service
	TokenURL     string `json:"token_url"`
	ClientID     string `json:"client_id"`
	ClientSecret Secret `json:"client_secret,omitempty"`
	// CertificateUntil is when the certificate of an X.509 binding ends.
	CertificateUntil *time.Time `json:"certificate_until,omitempty"`
}

// Resolve is [Load] followed by the bindings, where they are needed: after it the
// proxy and the credentials are complete in Config.
//
// The error is an [*Error], or a [failure.Failure] of a binding; with the
// latter what was configured is returned too.
func Resolve(in Input) (*Effective, error) {
	eff, err := Load(in)
	if err != nil {
		return nil, err
	}
	eff.assumeKyma(in.Environ)
	in, _ = in.withDefaultEnv() // Load has told what is wrong with it
	if eff.needsDestinations() {
		d, err := binding.FindDestination(in.Environ, binding.Choice{Service: eff.Config.Connectivity.DestinationService, Secrets: in.Secrets})
		if err != nil {
			return eff, err
		}
		eff = eff.bindDestinations(d)
	}
	if !eff.NeedsBinding() {
		return eff, nil
	}
	choice := binding.Choice{Service: eff.Config.Connectivity.Service, Secrets: in.Secrets}
	if issuer := eff.Config.Token.Issuer; issuer != IssuerAuto {
		choice.Issuer = issuer
	}
	b, err := binding.FindConnectivity(in.Environ, choice)
	if err != nil {
		return eff, eff.explain(err)
	}
	if b.ProxyHost == "" && eff.Config.Connectivity.Proxy == "" {
		eff.useKyma(in.Environ)
		if eff.Config.Connectivity.Proxy == "" {
			return eff, failure.New(failure.BindingMalformed, nil).For(b.Source, "").
				With(fmt.Sprintf("%q: its plan connectivity_proxy names no proxy; set connectivity.proxy (in Kyma: %s)", b.Name, kymaProxy))
		}
	}
	if tenant := eff.tenantOfAny(); b.Resource != "" && tenant != "" {
		return eff, failure.New(failure.BindingMalformed, nil).For(b.Source, "").
			With(fmt.Sprintf("%q: its tokens come from the Identity Authentication service, which cannot be told the tenant %q; set token.issuer: xsuaa", b.Name, tenant))
	}
	return eff.Bind(b), nil
}

// tenantOfAny returns a subscriber that is named, "" if none is.
func (e *Effective) tenantOfAny() string {
	for _, c := range e.Config.Clusters {
		if c.Tenant != "" {
			return c.Tenant
		}
	}
	for _, f := range e.Config.Forwards {
		if f.Tenant != "" {
			return f.Tenant
		}
	}
	return ""
}

// needsDestinations reports whether a cluster names a destination.
func (e *Effective) needsDestinations() bool {
	return slices.ContainsFunc(e.Config.Clusters, func(c Cluster) bool { return c.Destination != "" })
}

// bindDestinations returns a copy of e with the destination service in it.
func (e *Effective) bindDestinations(d *binding.Destination) *Effective {
	out := *e
	t, until := credentials(d.Client, out.Config.Token)
	out.Config.Destinations = Destinations{Name: d.Name, URI: d.URI, Token: t}
	out.Destinations = &Binding{
		Name: d.Name, Source: d.Source, URI: d.URI,
		TokenURL: d.TokenURL, ClientID: d.ClientID, ClientSecret: d.ClientSecret, CertificateUntil: until,
	}
	return &out
}

// credentials returns those of a binding, with what was configured beside, and when
// their certificate ends.
func credentials(c binding.Client, configured Token) (Token, *time.Time) {
	t := Token{
		Issuer: configured.Issuer, URL: c.TokenURL, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Resource: c.Resource,
		CAFile: configured.CAFile, Roots: configured.Roots,
	}
	if c.Certificate == "" {
		return t, nil
	}
	t.Certificate, _ = token.ParseCertificate(c.Certificate, c.Key.Reveal()) // it was looked at with the binding
	until := token.Expiry(t.Certificate)
	return t, &until
}

// kymaProxy is the connectivity proxy of SAP's Kyma module, which has no binding.
const kymaProxy = "connectivity-proxy.kyma-system.svc.cluster.local:20004"

// assumeKyma fills in the proxy where none is named and it wants no token: on
// Kubernetes that is Kyma's.
func (e *Effective) assumeKyma(environ []string) {
	c := &e.Config.Connectivity
	if c.Via == ViaConnectivity && c.Auth != AuthJWT && c.Proxy == "" {
		e.useKyma(environ)
	}
}

// useKyma fills in Kyma's proxy where this is Kubernetes.
func (e *Effective) useKyma(environ []string) {
	if environValue(environ, "KUBERNETES_SERVICE_HOST") == "" {
		return
	}
	e.Config.Connectivity.Proxy = kymaProxy
	for i, v := range e.Values {
		if v.Key == "connectivity.proxy" {
			e.Values[i].Value, e.Values[i].Source = kymaProxy, "default on Kubernetes"
		}
	}
}

// NeedsBinding reports whether the proxy or the credentials are still open.
func (e *Effective) NeedsBinding() bool {
	c := e.Config
	return c.Connectivity.Via == ViaConnectivity && (c.Connectivity.Proxy == "" || c.Connectivity.Auth == AuthJWT && c.Token.URL == "")
}

// explain adds to a missing binding which half of the plain configuration stands.
func (e *Effective) explain(err error) error {
	f, ok := failure.As(err)
	if !ok || f.Code != failure.BindingMissing {
		return err
	}
	var half string
	switch c := e.Config; {
	case c.Token.URL != "":
		half = "token.* is configured, but connectivity.proxy is not"
	case c.Connectivity.Proxy != "":
		half = "connectivity.proxy is configured, but token.* is not"
	default:
		return err
	}
	return failure.New(f.Code, f.Err).For(f.Target, f.LocationID).With(f.Detail + "; " + half)
}

// Bind returns a copy of e in which the binding stands for what is configured
// neither by flag nor by variable nor in the file. The credentials are taken as a
// whole or not at all.
func (e *Effective) Bind(b *binding.Connectivity) *Effective {
	out := *e
	out.Values = slices.Clone(e.Values)
	proxy := out.Config.Connectivity.Proxy
	if b.ProxyHost != "" {
		proxy = net.JoinHostPort(b.ProxyHost, strconv.Itoa(int(b.ProxyPort)))
	}
	out.Binding = &Binding{
		Name: b.Name, Source: b.Source, Proxy: proxy,
		TokenURL: b.TokenURL, ClientID: b.ClientID, ClientSecret: b.ClientSecret,
	}
	filled := map[string]string{}
	if out.Config.Connectivity.Proxy == "" {
		out.Config.Connectivity.Proxy = proxy
		filled["connectivity.proxy"] = proxy
	}
	if out.Config.Token.URL == "" {
		out.Config.Token, out.Binding.CertificateUntil = credentials(b.Client, out.Config.Token)
		filled["token.url"] = b.TokenURL
		filled["token.client_id"] = b.ClientID
		filled["token.client_secret"] = b.ClientSecret.String()
		filled["token.resource"] = b.Resource
	}
	for i, v := range out.Values {
		if text, ok := filled[v.Key]; ok {
			out.Values[i].Value, out.Values[i].Source = text, "binding "+b.Name
		}
	}
	return &out
}

// finish turns what was found into the result.
func (l *loader) finish() (*Effective, error) {
	var values []Value
	l.each(func(id string, k key, t target) {
		s, ok := l.settings[id]
		if !ok {
			return
		}
		v := Value{Key: id, Value: k.display(s), Source: s.source}
		if !l.bad[id] {
			v.Value = k.show(t)
		}
		values = append(values, v)
	})
	rename := l.renamer()
	for i := range values {
		values[i].Key = rename.Replace(values[i].Key)
	}
	if len(l.problems) > 0 {
		for i, p := range l.problems {
			p.Key, p.Message, p.Nearest = rename.Replace(p.Key), rename.Replace(p.Message), rename.Replace(p.Nearest)
			l.problems[i] = p
		}
		return nil, &Error{Problems: l.problems, Values: values, bootstrapOnly: l.noBootstrap == len(l.problems)}
	}
	for i, w := range l.warnings {
		l.warnings[i] = rename.Replace(w)
	}
	return &Effective{Config: l.config, Values: values, Warnings: l.warnings, File: l.file}, nil
}

// renamer writes the names of clusters in place of their numbers.
func (l *loader) renamer() *strings.Replacer {
	var pairs []string
	seen := map[string]bool{}
	for i, name := range l.names {
		if _, wrong := clusterName(name); wrong == nil && !seen[name] {
			pairs = append(pairs, clusterID(i), "clusters."+name)
		}
		seen[name] = true
	}
	return strings.NewReplacer(pairs...)
}

func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}
