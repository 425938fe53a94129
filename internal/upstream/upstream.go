// Package upstream opens connections to brokers: through the connectivity proxy
// and the Cloud Connector, or directly.
//
//	gate ─▶ token (cached) ─▶ TCP to the proxy ─▶ SOCKS5, method 0x80 ─▶ CONNECT virtual host ─▶ TLS
//
// A [Dialer] serves one cluster. [Dialer.Dial] reaches one target and
// [Dialer.DialAny] the first of several that answers; both try again, paced,
// until their context ends, when the trouble is one that heals (see the retry
// classes of package failure). Attempts that meet the same trouble share a gate,
// so that a thousand waiting clients make one attempt at a time; an address in
// trouble has a pace of its own. Dialers with the same [Pacer] share both.
//
// Outcomes are given to [Health] for readiness and status. Virtual hosts are never
// resolved here.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/socks"
)

// Tokens gives tokens for the connectivity proxy.
type Tokens interface {
	Token(ctx context.Context) (string, error)
	// Invalidate reports that the proxy refused this value.
	Invalidate(value string)
}

// A Dialer opens upstream connections. Fields must not be changed after the
// first use.
type Dialer struct {
	// Proxy is host:port of the connectivity proxy; "" dials targets directly.
	Proxy  string
	Tokens Tokens // not used when Proxy is "", or Auth is not JWT
	// Auth is the method of authentication at the proxy; User and Password are for
	// [socks.Password].
	Auth           socks.Auth
	User, Password string
	// Tenant is whose Cloud Connectors the proxy leads to; "": the one of the binding,
	// or there are no tokens.
	Tenant string
	// Pacer paces the attempts of this dialer and of all others that have it; nil: a
	// pacer of its own.
	Pacer *Pacer
	// ConnectTimeout bounds the TCP connection; 0: 5 s.
	ConnectTimeout time.Duration
	// HandshakeTimeout bounds one attempt from TCP to CONNECT and TLS; 0: 20 s. An attempt
	// for a client also ends with the client's hold time.
	HandshakeTimeout time.Duration
	// Keepalive is the interval of TCP keep-alive probes; 0: 20 s.
	Keepalive time.Duration
	// TLS is spoken to targets that have a ServerName, which is filled in; see
	// [secure.Config].
	TLS *tls.Config
	// Own reports whether a resolved address is one on which this process itself listens;
	// such an address is never connected to. nil: none is.
	Own func(netip.AddrPort) bool
	// Phase is called with the duration of each phase of an attempt: token, tcp, socks, tls.
	Phase func(phase string, d time.Duration)
	// Explain returns the failure of an attempt with what else is known about it. It
	// must not change the one that it is called with.
	Explain func(*failure.Failure) *failure.Failure
	// Failed is called with each failed attempt and the context of its caller.
	Failed func(context.Context, *failure.Failure)
	// Health takes the outcome of each attempt; nil: none does.
	Health Health

	connect func(context.Context, hostport.Target) (net.Conn, error) // in tests; nil: attempt

	own Pacer // used when Pacer is nil

	mu    sync.Mutex
	order []hostport.Target // bootstrap addresses, last good one first
}

// Dial opens a connection to target. It tries again while the failure is one
// that heals and ctx has not ended.
func (d *Dialer) Dial(ctx context.Context, target hostport.Target) (net.Conn, error) {
	return d.dial(ctx, target, addressMaxWait)
}

// dial is Dial for a client that waits so long where target is in trouble.
func (d *Dialer) dial(ctx context.Context, target hostport.Target, patience time.Duration) (net.Conn, error) {
	for {
		conn, err := d.dialPaced(ctx, target, patience)
		if err == nil {
			return conn, nil
		}
		f, ok := failure.As(err)
		// A token that was refused twice has had its second try.
		if !ok || f.Entry().Retry != failure.RetryGate || f.Code == failure.ProxyAuthRefused || expired(ctx) {
			return nil, err
		}
	}
}

// minAttemptTime is how long an attempt must have lasted for its time-out to count as
// a failure of the shared route.
const minAttemptTime = 2 * time.Second

// dialPaced makes one attempt when the gate of the route and the pace of the address
// allow it.
func (d *Dialer) dialPaced(ctx context.Context, target hostport.Target, patience time.Duration) (net.Conn, error) {
	p := d.pacer()
	gate := p.acquire(d.route(target.LocationID))
	defer p.release(gate)
	ticket, try, err := d.admitted(ctx, gate, target, patience)
	if err != nil {
		return nil, err
	}
	conn, o := d.attemptOnce(ctx, target)
	// The address comes first: a client that the gate admits must find its new state.
	switch {
	case o.route != nil:
		p.addresses.unreached(try)
		gate.leave(ticket, o.route, retryAt(o.err)) // a paused token source knows when it tries again
	case o.nothing:
		if o.unreached {
			p.addresses.unreached(try)
		} else {
			p.addresses.abandon(try)
		}
		gate.abandon(ticket)
		if last := gate.failure(); last != nil && isDeadline(o.err) {
			return nil, last // what the client has waited for before
		}
	default: // the route works; the address may not
		p.addresses.leave(try, o.address)
		gate.leave(ticket, nil, time.Time{})
	}
	return conn, o.err
}

// admitted waits until the gate and the address both admit an attempt. A client that
// waits at its address does not occupy the gate.
func (d *Dialer) admitted(ctx context.Context, gate *routeGate, target hostport.Target, patience time.Duration) (ticket, *try, error) {
	addresses := &d.pacer().addresses
	for {
		passed, err := gate.enter(ctx)
		if err != nil {
			return ticket{}, nil, err
		}
		turn := addresses.enter(d.endpoint(target), patience)
		if turn.try != nil {
			return passed, turn.try, nil
		}
		gate.abandon(passed)
		if turn.refused != nil {
			return ticket{}, nil, turn.refused
		}
		begin := time.Now()
		if err := addresses.pass(ctx, turn.wait); err != nil {
			return ticket{}, nil, err
		}
		patience -= time.Since(begin)
	}
}

func (d *Dialer) pacer() *Pacer {
	if d.Pacer != nil {
		return d.Pacer
	}
	return &d.own
}

// An outcome is what one attempt has taught.
type outcome struct {
	err       error
	nothing   bool             // nothing was learnt
	unreached bool             // and the attempt did not reach the proxy
	route     *failure.Failure // the route fails
	address   *failure.Failure // the address fails, or what is asked of it
}

// attemptOnce makes one attempt and notes what it has taught.
func (d *Dialer) attemptOnce(ctx context.Context, target hostport.Target) (net.Conn, outcome) {
	attempt, cancel := context.WithTimeout(ctx, or(d.HandshakeTimeout, 20*time.Second))
	defer cancel()
	begin := time.Now()
	connect := d.connect
	if connect == nil {
		connect = d.attempt
	}
	conn, err := connect(attempt, target)
	if err == nil {
		d.granted(target, begin)
		return conn, outcome{}
	}
	f, classified := failure.As(err)
	switch {
	case !classified, errors.Is(ctx.Err(), context.Canceled):
		return nil, outcome{err: err, nothing: true} // the client left, or a failure of our own
	case isDeadline(err) && expired(ctx) && time.Since(begin) < minAttemptTime:
		// The client's time ran out before an upstream service could have answered:
		// nothing follows from that.
		return nil, outcome{err: err, nothing: true}
	}
	if d.Explain != nil {
		if explained := d.Explain(f); explained != f {
			f, err = explained, explained
		}
	}
	d.failed(ctx, target, begin, f)
	switch {
	case f.Entry().Retry == failure.RetryGate:
		return nil, outcome{err: err, route: f}
	case f.Entry().Hop == failure.HopToken:
		return nil, outcome{err: err, nothing: true, unreached: true} // the token cache paces refused credentials itself
	}
	return nil, outcome{err: err, address: f}
}

// isDeadline reports whether an attempt was cut by a deadline: that of a context,
// or the one that was set on its connection.
func isDeadline(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// expired reports whether the deadline of ctx has passed. The deadline of a connection
// can come a moment before the context's own timer.
func expired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
