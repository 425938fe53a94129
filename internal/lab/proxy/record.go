package proxy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// The results of a connection. Replies to CONNECT other than 00 are "reply_"
// and the code in two hexadecimal digits.
const (
	Granted       = "granted"
	MethodRefused = "method_refused" // 05 FF
	AuthStatus    = "auth_status"    // authentication status other than 0
	AuthEOF       = "auth_eof"       // closed after the authentication
	AuthReset     = "auth_rst"       // reset after the authentication
	Violation     = "violation"      // the client violated the protocol
	ClientGone    = "client_gone"    // the client disconnected before the end of the handshake
	Silent        = "silent"         // a fault: no answer
	Rubbish       = "rubbish"        // a fault: answered with HTTP
)

// Reply returns the result for a reply code.
func Reply(code byte) string { return fmt.Sprintf("reply_%02x", code) }

// maxRecords limits the connections and violations that are remembered; the newest are kept.
const maxRecords = 1000

// A Connect is the result of one connection.
type Connect struct {
	At         time.Time     `json:"at"`
	Took       time.Duration `json:"took"` // nanoseconds until the result
	Result     string        `json:"result"`
	Reason     string        `json:"reason,omitempty"` // of a refusal or violation
	Tenant     string        `json:"tenant,omitempty"`
	LocationID string        `json:"location_id"`
	Target     string        `json:"target,omitempty"`   // virtual "host:port"
	Domain     bool          `json:"domain,omitempty"`   // sent as a domain name (ATYP 03)
	Internal   string        `json:"internal,omitempty"` // the address to which it was connected
}

// recorder keeps connects and counts. The zero value is ready to use.
type recorder struct {
	mu         sync.Mutex
	connects   []Connect
	counts     map[string]int
	violations []string
	changed    chan struct{}
}

// add records a connection.
func (r *recorder) add(c Connect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[string]int)
	}
	r.counts[c.Result]++
	r.connects = bounded(append(r.connects, c))
	if c.Result == Violation {
		r.violations = bounded(append(r.violations, c.Reason))
	}
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// bounded drops the oldest half of a list that has reached twice its limit.
func bounded[T any](list []T) []T {
	if len(list) < 2*maxRecords {
		return list
	}
	return append([]T(nil), list[len(list)-maxRecords:]...)
}

// newest returns a copy of the newest records.
func newest[T any](list []T) []T { return slices.Clone(list[max(0, len(list)-maxRecords):]) }

// Connects returns the newest 1000 connections, oldest first.
func (p *Proxy) Connects() []Connect {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return newest(p.log.connects)
}

// Violations returns the newest 1000 violations of the protocol by clients.
func (p *Proxy) Violations() []string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return newest(p.log.violations)
}

// Counts returns the number of connections by result.
func (p *Proxy) Counts() map[string]int {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return maps.Clone(p.log.counts)
}

// Await blocks until there were at least n connections with that result.
func (p *Proxy) Await(ctx context.Context, result string, n int) error {
	for {
		p.log.mu.Lock()
		got := p.log.counts[result]
		if p.log.changed == nil {
			p.log.changed = make(chan struct{})
		}
		changed := p.log.changed
		p.log.mu.Unlock()
		if got >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d connections ended as %s, not %d: %w", got, result, n, context.Cause(ctx))
		}
	}
}
