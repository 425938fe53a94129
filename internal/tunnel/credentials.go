package tunnel

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// credentials are the credentials of one binding, with the tenants for which tokens are
// fetched with them. Everything that uses the same credentials and tenant shares one
// token.
type credentials struct {
	tunnel *Tunnel
	name   string // of the binding, or "configuration"
	first  time.Duration

	mu          sync.Mutex
	token       config.Token
	tenants     map[string]*tenant
	certificate *certificate // nil: there is a secret
}

// A tenant is a subaccount: its tokens lead to its Cloud Connectors. All clusters of a
// subaccount share one tenant.
type tenant struct {
	name   string // of the credentials, and of the tenant if it is not their own
	tokens *token.Source
}

// newCredentials starts to watch the certificate, if there is one.
func (t *Tunnel) newCredentials(ctx context.Context, name string, c config.Token) *credentials {
	own := &credentials{tunnel: t, name: name, first: t.first, token: c, tenants: map[string]*tenant{}}
	if c.Certificate != nil {
		own.certificate = newCertificate(name, token.Expiry(c.Certificate), t.logger)
		t.metrics.CertificateExpiry(name, own.certificate.until())
		t.work.Go(func() { own.certificate.watch(ctx) })
	}
	return own
}

// tenant returns the tenant of that name, "" for the credentials' own, and keeps its
// tokens fresh from then on.
func (c *credentials) tenant(ctx context.Context, name string) (*tenant, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.tenants[name]; known != nil {
		return known, nil
	}
	one := &tenant{name: c.name}
	if name != "" {
		one.name += "/" + name
	}
	fetch, err := c.fetcher(c.token, name)
	if err != nil {
		return nil, err
	}
	t := c.tunnel
	one.tokens = token.New(fetch, token.Options{
		Target: c.token.URL,
		Logger: t.logger.With("source", one.name),
		First:  c.first,
		Observe: func(result string, _ time.Duration) {
			t.metrics.TokenFetch(one.name, result)
			if expiry := one.tokens.Status().ExpiresAt; !expiry.IsZero() {
				t.metrics.TokenExpiry(one.name, expiry)
			}
		},
	})
	c.tenants[name] = one
	t.work.Go(func() { one.tokens.Run(ctx) })
	return one, nil
}

// client returns the client credentials for requests on behalf of a tenant.
func (c *credentials) client(own config.Token, tenantName string) token.Credentials {
	return token.Credentials{
		URL: own.URL, ClientID: own.ClientID, ClientSecret: own.ClientSecret.Reveal(), Certificate: own.Certificate, Roots: own.Roots,
		Resource: own.Resource, Tenant: tenantName, UserAgent: c.tunnel.userAgent(), Proxy: http.ProxyFromEnvironment,
	}
}

// fetcher returns the fetcher of a tenant's tokens.
func (c *credentials) fetcher(own config.Token, tenantName string) (token.Fetcher, error) {
	fetch, err := token.ClientCredentials(c.client(own, tenantName))
	if err != nil {
		return nil, failure.New(failure.BindingMalformed, err).For(c.name, "")
	}
	return fetch, nil
}

// replace makes all tenants use new credentials, if they have changed.
func (c *credentials) replace(ctx context.Context, read config.Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if read.URL == "" || read.Same(c.token) {
		return
	}
	c.token = read
	fetchers := map[string]token.Fetcher{}
	for name := range c.tenants {
		fetch, err := c.fetcher(read, name)
		if err != nil {
			c.tunnel.logger.WarnContext(ctx, "the credentials have changed but are not valid; the tunnel keeps the old ones", "source", c.name, "error", err)
			return
		}
		fetchers[name] = fetch
	}
	for name, fetch := range fetchers {
		c.tenants[name].tokens.Replace(fetch)
	}
	if c.certificate != nil && read.Certificate != nil {
		until := token.Expiry(read.Certificate)
		c.certificate.ends.Store(until.Unix())
		c.tunnel.metrics.CertificateExpiry(c.name, until)
	}
	c.tunnel.logger.InfoContext(ctx, "the credentials have changed; the tunnel uses the new ones", "source", c.name)
}

// status shows all tenants, by name.
func (c *credentials) status(now time.Time) (out []admin.TokenStatus) {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.tenants)) {
		out = append(out, c.tenants[name].status(now, c.certificate))
	}
	return out
}

// warnings returns the warnings of the certificate.
func (c *credentials) warnings(now time.Time) []string {
	if c == nil {
		return nil
	}
	if warning := c.certificate.warning(now); warning != "" {
		return []string{warning}
	}
	return nil
}

// reloadEvery is how often credentials are read again. Kubernetes itself takes a minute
// or more to propagate a changed secret into a container.
const reloadEvery = 30 * time.Second

// follow reads the credentials at intervals and uses them when they have changed. It
// ignores a failed read, because files may be half written.
func (t *Tunnel) reloadCredentials(ctx context.Context, o Options) {
	tick := time.NewTicker(cmp.Or(o.ReloadEvery, reloadEvery))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		read, err := o.Reload()
		if err != nil {
			t.logger.DebugContext(ctx, "the credentials could not be read again", "error", err)
			continue
		}
		if t.proxyTokens != nil {
			t.proxyTokens.replace(ctx, read.Token)
		}
		if t.destinationTokens != nil {
			t.destinationTokens.replace(ctx, read.Destinations.Token)
		}
	}
}
