package tunnel

import (
	"context"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/socks"
	"github.com/kafka-tunnel/kafka-tunnel/internal/upstream"
)

// newDialer returns the dialer of a cluster or a forward of that name, and the tenant
// whose tokens it uses; nil if it needs none.
func (t *Tunnel) newDialer(ctx context.Context, name, tenantName string, m *metrics.Cluster) (*upstream.Dialer, *tenant, error) {
	conn := t.cfg.Connectivity
	d := &upstream.Dialer{
		ConnectTimeout:   conn.ConnectTimeout,
		HandshakeTimeout: conn.HandshakeTimeout,
		Keepalive:        conn.Keepalive,
		Own:              t.server.Reaches,
		Pacer:            &t.pacer,
		Phase:            func(phase string, d time.Duration) { observePhase(m, phase, d) },
		Failed:           func(ctx context.Context, f *failure.Failure) { t.report(ctx, f, "cluster", name) },
	}
	if conn.Via == config.ViaDirect {
		return d, nil, nil
	}
	d.Proxy = conn.Proxy
	d.Auth, d.User, d.Password = auth(conn.Auth), conn.Username, conn.Password.Reveal()
	if conn.Auth != config.AuthJWT {
		return d, nil, nil
	}
	owner, err := t.proxyTokens.tenant(ctx, tenantName)
	if err != nil {
		return nil, nil, err
	}
	d.Tokens, d.Tenant = owner.tokens, tenantName
	return d, owner, nil
}

// auth returns the method of authentication at the proxy.
func auth(word string) socks.Auth {
	switch word {
	case config.AuthNone:
		return socks.None
	case config.AuthPassword:
		return socks.Password
	default:
		return socks.JWT
	}
}

// observePhase counts one phase of an attempt.
func observePhase(m *metrics.Cluster, phase string, d time.Duration) {
	switch phase {
	case "token":
		m.ConnectPhase(metrics.PhaseToken, d)
	case "tcp":
		m.ConnectPhase(metrics.PhaseTCP, d)
	case "socks":
		m.ConnectPhase(metrics.PhaseSOCKS, d)
	case "tls":
		m.ConnectPhase(metrics.PhaseTLS, d)
	}
}
