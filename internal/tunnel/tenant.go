package tunnel

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// A tenant is a subaccount: its tokens lead to its Cloud Connectors. All clusters of
// one share them.
type tenant struct {
	name   string // of the credentials, and of the tenant where it is not their own
	tokens *token.Source
}

// tenantOf returns the tenant of a cluster, whose tokens are then kept fresh.
func (t *Tunnel) tenantOf(ctx context.Context, name string) (*tenant, error) {
	if known := t.tokens[name]; known != nil {
		return known, nil
	}
	one := &tenant{name: t.source}
	if name != "" {
		one.name += "/" + name
	}
	fetch, err := t.fetcher(t.cfg.Token, name)
	if err != nil {
		return nil, err
	}
	one.tokens = token.New(fetch, token.Options{
		Target: t.cfg.Token.URL,
		Logger: t.logger.With("source", one.name),
		Observe: func(result string, _ time.Duration) {
			t.metrics.TokenFetch(one.name, result)
			if expiry := one.tokens.Status().ExpiresAt; !expiry.IsZero() {
				t.metrics.TokenExpiry(one.name, expiry)
			}
		},
	})
	if t.tokens == nil {
		t.tokens = map[string]*tenant{}
	}
	t.tokens[name] = one
	t.work.Go(func() { one.tokens.Run(ctx) })
	return one, nil
}

// fetcher returns what fetches the tokens of a tenant with these credentials.
func (t *Tunnel) fetcher(c config.Token, tenantName string) (token.Fetcher, error) {
	fetch, err := token.ClientCredentials(token.Credentials{
		URL: c.URL, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), Certificate: c.Certificate, Roots: c.Roots,
		Tenant: tenantName, UserAgent: "kafka-tunnel/" + t.version, Proxy: http.ProxyFromEnvironment,
	})
	if err != nil {
		return nil, failure.New(failure.BindingMalformed, err).For(t.source, "")
	}
	return fetch, nil
}

// reloadEvery is how often credentials are read again. Kubernetes itself takes a minute
// or more to bring a changed secret into a container.
const reloadEvery = 30 * time.Second

// follow reads the credentials again and again, and uses them when they have changed.
// What cannot be read at the moment is no news: files may be half written.
func (t *Tunnel) follow(ctx context.Context, o Options) {
	tick := time.NewTicker(cmp.Or(o.ReloadEvery, reloadEvery))
	defer tick.Stop()
	current := t.cfg.Token
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		read, err := o.Reload()
		if err != nil {
			t.logger.DebugContext(ctx, "the credentials cannot be read again", "source", t.source, "error", err)
			continue
		}
		if read.Same(current) {
			continue
		}
		if err := t.replace(read); err != nil {
			t.logger.WarnContext(ctx, "the credentials have changed and cannot be used; the old ones serve on", "source", t.source, "error", err)
		} else {
			t.logger.InfoContext(ctx, "the credentials have changed and are used from now on", "source", t.source)
		}
		current = read
	}
}

// replace makes all tenants use other credentials.
func (t *Tunnel) replace(c config.Token) error {
	fetchers := map[string]token.Fetcher{}
	for name := range t.tokens {
		fetch, err := t.fetcher(c, name)
		if err != nil {
			return err
		}
		fetchers[name] = fetch
	}
	for name, fetch := range fetchers {
		t.tokens[name].tokens.Replace(fetch)
	}
	if t.certificate != nil && c.Certificate != nil {
		until := token.Expiry(c.Certificate)
		t.certificate.ends.Store(until.Unix())
		t.metrics.CertificateExpiry(t.source, until)
	}
	return nil
}
