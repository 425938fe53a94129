// Package upstream opens connections to brokers: through the connectivity proxy
// and the Cloud Connector, or directly.
//
//	gate ─▶ token (cached) ─▶ TCP to the proxy ─▶ SOCKS5, method 0x80 ─▶ CONNECT virtual host
//
// A [Dialer] serves one cluster. [Dialer.Dial] reaches one target and
// [Dialer.DialAny] the first of several that answers; both try again, paced,
// until their context ends, when the trouble is one that heals (see the retry
// classes of package failure). Attempts that meet the same trouble share a gate,
// so that a thousand waiting clients cost the landscape one attempt at a time.
//
// What was last seen of the way, a granted connection or a failure, is kept as
// [Evidence] for readiness and status. Virtual hosts are never resolved here.
package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/socks"
	"github.com/kafka-tunnel/kafka-tunnel/internal/topology"
)

// Tokens gives tokens for the connectivity proxy.
type Tokens interface {
	Token(ctx context.Context) (string, error)
	// Invalidate says that the proxy refused this value.
	Invalidate(value string)
}

// A Dialer opens upstream connections. Fields must not be changed after the
// first use.
type Dialer struct {
	// Proxy is host:port of the connectivity proxy; "" dials targets directly.
	Proxy  string
	Tokens Tokens // not used when Proxy is ""
	// ConnectTimeout bounds the TCP connection; 0: 5 s.
	ConnectTimeout time.Duration
	// HandshakeTimeout bounds one attempt from TCP to CONNECT; 0: 20 s. An attempt
	// for a client also ends with the client's hold time.
	HandshakeTimeout time.Duration
	// Keepalive is the interval of TCP keep-alive probes; 0: 20 s.
	Keepalive time.Duration
	// Phase hears how long each phase of an attempt took: token, tcp, socks.
	Phase func(phase string, d time.Duration)
	// Failed hears of each failed attempt.
	Failed func(*failure.Failure)

	ways gates // by Location ID: proxy and tenant are the dialer's own

	alive atomic.Int64 // when a broker last answered, Unix nanoseconds

	mu       sync.Mutex
	evidence Evidence
	order    []topology.Target // bootstrap addresses, last good one first
}

// Evidence is what was last seen of the way to the brokers.
type Evidence struct {
	Granted time.Time        // when a connection was last granted or a broker answered
	Failed  time.Time        // when an attempt last met a failure of the landscape
	Failure *failure.Failure // that failure, nil when a connection was granted since
	Last    *failure.Failure // the last failure of any kind
	LastAt  time.Time
}

// Evidence returns what was last seen.
func (d *Dialer) Evidence() Evidence {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.evidence
	if at := d.alive.Load(); at > e.Granted.UnixNano() {
		e.Granted = time.Unix(0, at)
		if e.Granted.After(e.Failed) {
			e.Failure = nil
		}
	}
	return e
}

// Alive notes that a broker has answered on an open connection. It is called for
// every response and therefore takes no lock and writes at most once a second.
func (d *Dialer) Alive() {
	now := time.Now().UnixNano()
	if now-d.alive.Load() > int64(time.Second) {
		d.alive.Store(now)
	}
}

// Dial opens a connection to target. It tries again while the failure is one
// that heals and ctx has not ended.
func (d *Dialer) Dial(ctx context.Context, target topology.Target) (net.Conn, error) {
	for {
		conn, err := d.paced(ctx, target)
		if err == nil {
			return conn, nil
		}
		f, ok := failure.As(err)
		if !ok || f.Entry().Retry != failure.RetryGate || ctx.Err() != nil {
			return nil, err
		}
	}
}

// DialAny opens a connection to one of the targets, which are equivalent: the
// bootstrap addresses of a cluster. It starts with the one that was good last
// and goes on to the next when a failure concerns that address alone.
func (d *Dialer) DialAny(ctx context.Context, targets []topology.Target) (net.Conn, topology.Target, error) {
	order := d.Order(targets)
	var last error
	var at topology.Target
	for _, target := range order {
		conn, err := d.Dial(ctx, target)
		if err == nil {
			d.prefer(target)
			return conn, target, nil
		}
		last, at = err, target
		f, ok := failure.As(err)
		if !ok || f.Entry().Retry != failure.RetryAddress && f.Code != failure.AddressUnsupported || ctx.Err() != nil {
			break
		}
	}
	return nil, at, last
}

// Order returns the targets in this process's order: shuffled once, so that many
// instances do not all start with the same broker, and the last good one first.
func (d *Dialer) Order(targets []topology.Target) []topology.Target {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.order) != len(targets) {
		d.order = append([]topology.Target(nil), targets...)
		rand.Shuffle(len(d.order), func(i, j int) { d.order[i], d.order[j] = d.order[j], d.order[i] })
	}
	return append([]topology.Target(nil), d.order...)
}

func (d *Dialer) prefer(target topology.Target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, t := range d.order {
		if t == target {
			copy(d.order[1:i+1], d.order[:i])
			d.order[0] = target
			return
		}
	}
}

// fairChance is how long an attempt must have lasted for its time-out to count as
// a failure of the landscape.
const fairChance = 2 * time.Second

// paced makes one attempt when the gates of the way and of the address allow it.
func (d *Dialer) paced(ctx context.Context, target topology.Target) (net.Conn, error) {
	way := d.ways.get(target.LocationID)
	ticket, err := way.enter(ctx)
	if err != nil {
		return nil, err
	}
	attempt, cancel := context.WithTimeout(ctx, or(d.HandshakeTimeout, 20*time.Second))
	defer cancel()
	begin := time.Now()
	conn, err := d.attempt(attempt, target)
	f, classified := failure.As(err)
	switch {
	case err == nil:
		way.leave(ticket, nil, time.Time{})
		d.granted()
		return conn, nil
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && time.Since(begin) < fairChance:
		// The client's time ran out before the landscape could have answered: that
		// says nothing about the landscape. What it waited for before does.
		way.abandon(ticket)
		if last := way.failure(); last != nil {
			return nil, last
		}
		return nil, err
	case !classified, errors.Is(ctx.Err(), context.Canceled):
		way.abandon(ticket) // the client left, or a failure of our own: nothing was learnt
		return nil, err
	case f.Entry().Retry == failure.RetryGate:
		way.leave(ticket, f, retryAt(err)) // a paused token source says when it will try again
	case f.Entry().Hop == failure.HopToken:
		way.abandon(ticket) // the token cache paces refused credentials itself
	default:
		way.leave(ticket, nil, time.Time{}) // the landscape works, this address does not
	}
	d.failed(f)
	return nil, err
}

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

// attempt opens one connection. A token that the proxy refuses is replaced once.
func (d *Dialer) attempt(ctx context.Context, target topology.Target) (net.Conn, error) {
	if d.Proxy == "" {
		return d.tcp(ctx, target.String(), failure.BrokerUnreachable, failure.BrokerUnreachable)
	}
	for again := true; ; again = false {
		token, err := timed(d, "token", func() (string, error) { return d.Tokens.Token(ctx) })
		if err != nil {
			return nil, err
		}
		conn, err := timed(d, "tcp", func() (net.Conn, error) {
			return d.tcp(ctx, d.Proxy, failure.ProxyUnreachable, failure.ProxyUnresolvable)
		})
		if err != nil {
			return nil, err
		}
		_, err = timed(d, "socks", func() (struct{}, error) {
			return struct{}{}, socks.Connect(ctx, conn, socks.Request{
				Token: token, LocationID: target.LocationID, Host: target.Host, Port: target.Port, Proxy: d.Proxy,
			})
		})
		if err == nil {
			return conn, nil
		}
		_ = conn.Close()
		if !again || !failure.Is(err, failure.ProxyAuthRefused) {
			return nil, err
		}
		d.Tokens.Invalidate(token)
	}
}

// tcp opens a TCP connection. The host is resolved at each dial.
func (d *Dialer) tcp(ctx context.Context, address string, unreachable, unresolvable failure.Code) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout: or(d.ConnectTimeout, 5*time.Second),
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: or(d.Keepalive, 20*time.Second), Interval: or(d.Keepalive, 20*time.Second), Count: 3,
		},
		Control: socketOptions,
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		return conn, nil
	}
	code := unreachable
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		code = unresolvable
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

func (d *Dialer) granted() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.evidence.Granted = time.Now()
	d.evidence.Failure = nil
}

func (d *Dialer) failed(f *failure.Failure) {
	d.mu.Lock()
	now := time.Now()
	d.evidence.Last, d.evidence.LastAt = f, now
	if r := f.Entry().Retry; r == failure.RetryGate || r == failure.RetryCredentials {
		d.evidence.Failure, d.evidence.Failed = f, now
	}
	d.mu.Unlock()
	if d.Failed != nil {
		d.Failed(f)
	}
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
