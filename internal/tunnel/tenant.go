package tunnel

import (
	"context"
	"net/http"
	"time"

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
	c := t.cfg.Token
	fetch, err := token.ClientCredentials(token.Credentials{
		URL: c.URL, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), Certificate: c.Certificate, Roots: c.Roots,
		Tenant: name, UserAgent: "kafka-tunnel/" + t.version, Proxy: http.ProxyFromEnvironment,
	})
	if err != nil {
		return nil, failure.New(failure.BindingMalformed, err).For(t.source, "")
	}
	one.tokens = token.New(fetch, token.Options{
		Target: c.URL,
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
