package upstream

import (
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/topology"
)

// The pauses after a reply that only somebody at the Cloud Connector can change.
const (
	refusedYoung = 5 * time.Second
	refusedOld   = 30 * time.Second
)

// maxAddresses bounds what is remembered of addresses in trouble.
const maxAddresses = 1024

// addresses paces the attempts at addresses that are in trouble while the
// landscape works: not exposed (02), broker down (04). Nobody waits here. Until
// the pause is over, and while the one attempt after it is in flight, everybody
// else learns the last failure without an attempt, so that a client turns to
// another broker. The zero value knows no trouble.
type addresses struct {
	mu sync.Mutex
	m  map[topology.Target]*address
}

// An address is one that is in trouble.
type address struct {
	since    time.Time
	next     time.Time // of the next attempt
	trying   bool      // that attempt is in flight
	backoff  backoff
	last     *failure.Failure
	failedAt time.Time
}

// enter returns the failure to report in place of an attempt, or nil: then the
// caller may try and must call leave or abandon.
func (a *addresses) enter(t topology.Target) *failure.Failure {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.m[t]
	switch {
	case one == nil:
		return nil
	case one.trying || time.Now().Before(one.next):
		return one.last
	}
	one.trying = true
	return nil
}

// leave reports the outcome of an attempt: a failure of this address, or nil.
func (a *addresses) leave(t topology.Target, f *failure.Failure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f == nil {
		delete(a.m, t)
		return
	}
	now := time.Now()
	one := a.m[t]
	switch {
	case one == nil:
		if a.m == nil || len(a.m) >= maxAddresses {
			a.m = map[topology.Target]*address{}
		}
		one = &address{since: now}
		a.m[t] = one
	case !one.trying && now.Before(one.next):
		return // of many attempts that were under way together, the first counts
	}
	one.trying, one.last, one.failedAt = false, f, now
	one.next = now.Add(one.pause(now.Sub(one.since)))
}

func (one *address) pause(age time.Duration) time.Duration {
	if one.last.Code != failure.AccessNotAllowed {
		return one.backoff.next(age)
	}
	if age >= outageIsOld {
		return refusedOld
	}
	return refusedYoung
}

// abandon ends an attempt that has no outcome.
func (a *addresses) abandon(t topology.Target) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.m[t]; one != nil {
		one.trying = false
	}
}
