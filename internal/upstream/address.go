package upstream

import (
	"context"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// The time between the beginnings of two attempts at one address.
const (
	addressYoung   = time.Second
	addressOld     = 3 * time.Second // from addressIsOld on
	addressIsOld   = 5 * time.Minute
	refusedYoung   = 5 * time.Second // only the operator of the Cloud Connector can change reply 02
	refusedOld     = 30 * time.Second
	addressIsKnown = time.Minute // after a success; then one client goes ahead again
	addressMaxWait = time.Second // of a client, for its turn and for the outcomes of other attempts
)

// maxAddresses bounds how many addresses without an attempt are remembered.
const maxAddresses = 1024

// addresses paces the attempts at addresses that fail while everything before them
// works: not exposed (02), broker down (04), TLS. The zero value has no failure.
//
//	half-open ──success──▶ fine ──a connection breaks, or a minute──▶ half-open
//	    └─────failure──▶ failing ◀──failure── fine
//	                        └──success──▶ fine
//
// An address that is failing or half-open is tried once a second, or less often after
// [addressIsOld], counted from the beginning of one attempt to that of the next. An
// attempt that does not end therefore does not delay the next one. Clients have their
// turn one at a time:
//
//   - The client that comes first in the second before the next attempt waits and
//     makes it, so that a lone client finds a recovered broker as soon as many do.
//   - Clients that come while an attempt is in flight wait for its outcome. A success
//     admits them all, a failure is theirs too.
//   - All others get the last failure at once, so that they turn to another broker.
//
// A client waits [addressMaxWait] in all, or not at all if it can be led to another
// address ([Dialer.DialAny]). While it is half-open there is no failure yet to refuse clients with:
// they wait for the outcome, however long it takes.
//
// Failures of attempts that began before the failure was known, or before the last
// success, change nothing.
type addresses struct {
	mu sync.Mutex
	m  map[endpoint]*address
}

// An address is guarded by the lock of addresses.
type address struct {
	inFlight  int       // attempts
	latest    *try      // the attempt that began last, while it is in flight
	began     time.Time // when that attempt began; zero: the next one may begin at once
	grantedAt time.Time

	paced    bool             // failing or half-open
	last     *failure.Failure // what the last attempt met; nil: not in trouble
	since    time.Time        // of the trouble
	failedAt time.Time        // of last
	changed  chan struct{}    // closed when an attempt ends; nil: no client waits
	taken    bool             // a client waits for the turn to make the next attempt
}

// A try is an attempt that has been admitted.
type try struct {
	one   *address
	began time.Time
}

// A turn is the answer to a client that comes to an address: exactly one of try,
// refused and wait is set.
type turn struct {
	try     *try             // the client may try and must call leave, abandon or unreached
	refused *failure.Failure // to report in place of an attempt
	wait    *pause           // the client has to ask again after it
}

// A pause ends with an attempt or after a time.
type pause struct {
	one     *address
	changed chan struct{}
	most    time.Duration
	last    *failure.Failure // of the address, nil half-open
	turn    bool             // the client makes the next attempt
}

// pass waits for the end of the pause. When ctx ends first the error is the failure
// of the address, or that of ctx when there is none.
func (a *addresses) pass(ctx context.Context, p *pause) error {
	timer := time.NewTimer(p.most)
	defer timer.Stop()
	select {
	case <-p.changed:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.turn && p.one.changed == p.changed {
		p.one.taken = false
	}
	if p.last != nil {
		return p.last
	}
	return ctx.Err()
}

// enter never blocks. patience is how long the client may still wait for the outcome
// of attempts of others.
func (a *addresses) enter(e endpoint, patience time.Duration) turn {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, now := a.get(e), time.Now()
	if !one.paced && now.Sub(one.grantedAt) > addressIsKnown {
		one.paced = true
	}
	ahead := one.next(now).Sub(now)
	switch {
	case !one.paced, ahead <= 0:
		one.inFlight++
		one.began = now
		one.latest, one.taken = &try{one, now}, false
		return turn{try: one.latest}
	case one.last == nil: // half-open
	case patience <= 0, one.latest == nil && (one.taken || ahead > patience):
		return turn{refused: one.last}
	default:
		ahead = min(ahead, patience)
	}
	if one.changed == nil {
		one.changed = make(chan struct{})
	}
	p := &pause{one, one.changed, ahead, one.last, one.latest == nil}
	one.taken = one.taken || p.turn
	return turn{wait: p}
}

// next returns the earliest time of the next attempt.
func (one *address) next(now time.Time) time.Time {
	age := now.Sub(one.since)
	between := addressYoung
	switch {
	case one.last == nil:
	case one.last.Code == failure.AccessNotAllowed && age >= longOutage:
		between = refusedOld
	case one.last.Code == failure.AccessNotAllowed:
		between = refusedYoung
	case age >= addressIsOld:
		between = addressOld
	}
	return one.began.Add(between)
}

// leave reports the outcome of an attempt: a failure of this address, or nil.
func (a *addresses) leave(t *try, f *failure.Failure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, now := t.one, time.Now()
	switch {
	case f == nil:
		one.grantedAt = now
		one.paced, one.last = false, nil
	case t.began.Before(one.grantedAt), one.last != nil && t.began.Before(one.since):
		// Another attempt that ended after this one began is at least as recent.
	default:
		if one.last == nil {
			one.since = now
		}
		one.paced, one.last, one.failedAt = true, f, now
	}
	one.end(t)
}

// abandon ends an attempt without an outcome: its client left. It counts as one, so
// that clients that leave early do not make the attempts more frequent.
func (a *addresses) abandon(t *try) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.one.end(t)
}

// unreached ends an attempt that did not reach the address: it does not
// count, and the gate or the token source paces the next one.
func (a *addresses) unreached(t *try) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.one.latest == t {
		t.one.began = time.Time{}
	}
	t.one.end(t)
}

// end takes an attempt out of those in flight.
func (one *address) end(t *try) {
	one.inFlight--
	if one.latest == t {
		one.latest = nil
	}
	if one.changed != nil {
		close(one.changed)
		one.changed, one.taken = nil, false
	}
}

// broken reports that an open connection to the address has broken: of the clients that
// come back together only one tries it.
func (a *addresses) broken(e endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.get(e)
	if one.paced {
		return
	}
	one.paced = true
	if one.latest == nil {
		one.began = time.Time{} // the last attempt was granted
	}
}

// get returns what is known about an address. The caller holds a.mu.
func (a *addresses) get(e endpoint) *address {
	one := a.m[e]
	if one == nil {
		if a.m == nil {
			a.m = map[endpoint]*address{}
		}
		a.forget()
		one = &address{}
		a.m[e] = one
	}
	return one
}

// forget makes room for another address: the one that has not been tried for the
// longest time is forgotten. The caller holds a.mu.
func (a *addresses) forget() {
	if len(a.m) < maxAddresses {
		return
	}
	var oldest endpoint
	var found *address
	for e, one := range a.m {
		if one.inFlight == 0 && (found == nil || one.began.Before(found.began)) {
			oldest, found = e, one
		}
	}
	if found != nil {
		delete(a.m, oldest)
	}
}
