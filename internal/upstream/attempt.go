package upstream

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/socks"
)

// retryAt returns the earliest time of another attempt that an error names.
func retryAt(err error) time.Time {
	if later, ok := errors.AsType[interface {
		error
		RetryAt() time.Time
	}](err); ok {
		return later.RetryAt()
	}
	return time.Time{}
}

// attempt opens one connection.
func (d *Dialer) attempt(ctx context.Context, target hostport.Target) (net.Conn, error) {
	conn, err := d.reach(ctx, target)
	if err != nil || target.ServerName == "" {
		return conn, err
	}
	return timed(d, "tls", func() (net.Conn, error) {
		return secure.Client(ctx, conn, d.TLS, secure.Peer{ServerName: target.ServerName, Target: target.String(), LocationID: target.LocationID})
	})
}

// reach opens the connection to the broker. A token that the proxy refuses is replaced
// once.
func (d *Dialer) reach(ctx context.Context, target hostport.Target) (net.Conn, error) {
	if d.Proxy == "" {
		return d.tcp(ctx, target.String(), failure.BrokerUnreachable, failure.BrokerUnreachable)
	}
	var refused string // the token that the proxy has refused with refusal
	var refusal error
	for {
		token, err := d.token(ctx)
		if err != nil {
			return nil, err
		}
		if refusal != nil && token == refused {
			return nil, refusal // there is no other token yet
		}
		conn, err := timed(d, "tcp", func() (net.Conn, error) {
			return d.tcp(ctx, d.Proxy, failure.ProxyUnreachable, failure.ProxyUnresolvable)
		})
		if err != nil {
			return nil, err
		}
		_, err = timed(d, "socks", func() (struct{}, error) {
			return struct{}{}, socks.Connect(ctx, conn, socks.Request{
				Auth: d.Auth, User: d.User, Password: d.Password,
				Token: token, LocationID: target.LocationID, Host: target.Host, Port: target.Port, Proxy: d.Proxy,
			})
		})
		if err == nil {
			return conn, nil
		}
		_ = conn.Close()
		if d.Auth != socks.JWT || refusal != nil || !failure.Is(err, failure.ProxyAuthRefused) {
			return nil, err
		}
		d.Tokens.Invalidate(token)
		refused, refusal = token, err
	}
}

// token returns a token for the proxy, "" if it requires none.
func (d *Dialer) token(ctx context.Context) (string, error) {
	if d.Auth != socks.JWT {
		return "", nil
	}
	return timed(d, "token", func() (string, error) { return d.Tokens.Token(ctx) })
}

// tcp opens a TCP connection. The host is resolved at each dial.
func (d *Dialer) tcp(ctx context.Context, address string, unreachable, unresolvable failure.Code) (net.Conn, error) {
	dialer := net.Dialer{
		ControlContext: d.refuseOwn,
		Timeout:        or(d.ConnectTimeout, 5*time.Second),
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: or(d.Keepalive, 20*time.Second), Interval: or(d.Keepalive, 20*time.Second), Count: 3,
		},
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		return conn, nil
	}
	code := unreachable
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		code = unresolvable
	}
	if failure.NoDescriptor(err) {
		code = failure.DescriptorsExhausted
	}
	if errors.Is(err, errOwn) {
		code = failure.OwnAddress
	}
	return nil, failure.New(code, err).For(address, "")
}

func timed[T any](d *Dialer, phase string, do func() (T, error)) (T, error) {
	start := time.Now()
	v, err := do()
	if err == nil && d.Phase != nil {
		d.Phase(phase, time.Since(start))
	}
	return v, err
}
