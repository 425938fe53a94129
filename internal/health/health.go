// Package health decides whether the brokers of one cluster can be reached: ready,
// degraded or down, and why (R22).
//
//	h := health.New(func(c health.Change) { log it })
//	h.Attempt(target, began, nil)     // each finished attempt to open a connection
//	h.Connected(); h.Disconnected()   // each open upstream connection
//	h.Answered()                      // each response
//	h.Observe(known, stalls)          // once a second while connections are open or something fails
//	h.Snapshot()                      // state, reasons, last recovery
//
// # States
//
//   - ready: the last attempt to open a connection succeeded, or none has failed since;
//     not all known brokers are down.
//   - degraded: open connections work, but new ones fail for all or some brokers; or
//     requests have waited too long for an answer.
//   - down: new connections fail and no open connection had an answer for 10 s, or no
//     connection is open; or no broker was ever reached.
//
// A failure concerns either the route through one Cloud Connector (retry classes gate and
// credentials) or one address. New connections fail if every known address fails, because of a
// failure of the address itself or of its route.
//
// # One change per fault
//
// The state changes only when the new state is certain. A fault does not show as degraded first
// and as down a moment later:
//
//   - All addresses fail and connections are open: the open connections decide. An answer
//     that arrives a second after the first failure or later shows that they work: the
//     state is degraded until one of them leaves a request unanswered or all are closed.
//     Without an answer for 10 s it is down. Until then the state does not change.
//   - Some addresses fail: a success at another address, or such an answer, shows that
//     not all fail: degraded. If there is neither within 10 s, the state is degraded as
//     well, or down if no connection is open and the attempts continue to fail.
//   - The first success after all addresses have failed makes the state ready. The other
//     addresses are tried again before they count as failing.
//
// Attempts are compared by the time when they began: of many that are in progress when a fault
// begins or ends, those that end late contain no new information.
//
// The package opens no connections and starts no goroutines.
package health

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// A State tells how well the brokers can be reached. A larger one is better.
type State uint8

// The states.
const (
	Down State = iota
	Degraded
	Ready
)

// String returns the name of the state in logs, status and metrics.
func (s State) String() string {
	switch s {
	case Ready:
		return "ready"
	case Degraded:
		return "degraded"
	default:
		return "down"
	}
}

const (
	// patience is how long open connections may be without an answer while new ones fail (R22).
	patience = 10 * time.Second
	// settle is how long after a failure an answer may still belong to the time before the
	// fault.
	settle = time.Second
	// persistent is how long the attempts at one address must have failed to conclude that no
	// address works, if no other address was tried.
	persistent = patience / 2
)

// A Change is a change of the state. The first failure of a cluster that was never reached is a
// change from down to down.
type Change struct {
	From, To State
	Lasted   time.Duration // how long the previous state lasted
	Reasons  []Reason      // of the new state, newest first
}

// Health is the state of one cluster. It is safe for concurrent use.
type Health struct {
	changed func(Change) // called with mu held
	answer  atomic.Bool  // a broker has answered since the last evaluation

	mu       sync.Mutex
	state    State
	since    time.Time // of the state
	reported bool      // that it is down, and why, was reported
	reached  bool      // by an answer, or by a connection that has lasted
	granted  time.Time // when a connection was first granted, until reached
	open     int       // upstream connections

	routes  map[string]*fault           // by Location ID; only those that fail
	targets map[hostport.Target]*target // without server names
	failing int                         // targets with a fault of their own
	blocked *fault                      // why no attempt can be made; nil: attempts are possible
	stalls  []Reason
	healed  *Healed

	success  time.Time // when the last attempt succeeded
	began    time.Time // when that attempt began
	answered time.Time // when a broker was last seen to answer
	allSince time.Time // since when all targets fail; zero while one does not
	allEnded time.Time // when that last ended
}

// A target is one address that is known or was tried.
type target struct {
	full    hostport.Target
	fault   *fault // nil: no known failure
	suspect bool   // it failed when all did, and was not tried since
	began   time.Time
}

// A fault is a failure with the times when it was first and last seen.
type fault struct {
	f         *failure.Failure
	target    hostport.Target
	since, at time.Time
	late      bool // the failure came after a granted connection, so a grant does not disprove it
}

// New returns the state of a cluster of which nothing is known yet. changed is called with each
// change and may be nil; it must neither block nor call the Health.
func New(changed func(Change)) *Health {
	if changed == nil {
		changed = func(Change) {}
	}
	return &Health{changed: changed, since: time.Now(), routes: map[string]*fault{}, targets: map[hostport.Target]*target{}}
}

func key(t hostport.Target) hostport.Target {
	t.ServerName = ""
	return t
}

// at returns the entry of a target. The caller holds h.mu.
func (h *Health) at(to hostport.Target) *target {
	t := h.targets[key(to)]
	if t == nil {
		t = &target{full: to}
		h.targets[key(to)] = t
	}
	return t
}

// Attempt records the outcome of an attempt to open a connection: its failure, or nil.
// Abandoned attempts are not recorded.
func (h *Health) Attempt(to hostport.Target, began time.Time, f *failure.Failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.evaluate(now) // the answers so far belong to the time before the attempt ended
	if f == nil {
		h.succeeded(to, began, now)
	} else {
		h.failed(to, began, now, f)
	}
	h.evaluate(now)
}

func (h *Health) succeeded(to hostport.Target, began, now time.Time) {
	t := h.at(to)
	t.began = began
	if r := h.routes[to.LocationID]; r != nil && !began.Before(r.at) {
		h.recovered(r, now)
		delete(h.routes, to.LocationID)
	}
	if t.fault != nil && (t.fault.late || began.Before(t.fault.at)) {
		return
	}
	if h.granted.IsZero() {
		h.granted = now
	}
	h.success, h.began = now, began
	h.setWorking(t, now)
}

// setWorking records that a target works. The caller holds h.mu.
func (h *Health) setWorking(t *target, now time.Time) {
	t.suspect = false
	if t.fault == nil {
		return
	}
	h.recovered(t.fault, now)
	t.fault = nil
	h.failing--
	if h.allSince.IsZero() {
		return
	}
	h.allEnded = now
	for _, other := range h.targets {
		if other.fault != nil {
			other.fault, other.suspect = nil, true
		}
	}
	h.failing = 0
}

func (h *Health) recovered(t *fault, now time.Time) {
	h.healed = &Healed{Reason: t.reason(), Recovered: now}
}

func (h *Health) failed(to hostport.Target, began, now time.Time, f *failure.Failure) {
	t := h.at(to)
	switch f.Entry().Retry {
	case failure.RetryGate, failure.RetryCredentials:
		if began.Before(h.newestSuccess(to.LocationID)) {
			return
		}
		h.routes[to.LocationID] = h.routes[to.LocationID].again(f, to, now)
		return
	}
	if r := h.routes[to.LocationID]; r != nil && !began.Before(r.at) { // the route worked up to this address
		h.recovered(r, now)
		delete(h.routes, to.LocationID)
	}
	if !began.Before(t.began) && !began.Before(h.allEnded) {
		h.fail(t, f, now, false)
	}
}

// newestSuccess returns when the newest successful attempt on a route began.
func (h *Health) newestSuccess(locationID string) (began time.Time) {
	for to, t := range h.targets {
		if to.LocationID == locationID && t.began.After(began) {
			began = t.began
		}
	}
	return began
}

// again returns the fault t, which may be nil, updated with another failure f.
func (t *fault) again(f *failure.Failure, to hostport.Target, now time.Time) *fault {
	since := now
	if t != nil {
		since = t.since
	}
	return &fault{f: f, target: to, since: since, at: now}
}

// fail records that a target has failed. The caller holds h.mu.
func (h *Health) fail(t *target, f *failure.Failure, now time.Time, late bool) {
	if t.fault == nil {
		h.failing++
	}
	late = late || t.fault != nil && t.fault.late
	t.fault, t.suspect = t.fault.again(f, t.full, now), false
	t.fault.late = late
}

// Refused records a failure of a granted connection before its first answer, which means that
// the broker refuses every connection: it requires a client certificate, or it expects TLS.
// Until a connection has had an answer, a granted connection then proves nothing.
func (h *Health) Refused(to hostport.Target, f *failure.Failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.evaluate(now)
	h.granted = time.Time{}
	h.fail(h.at(to), f, now, true)
	h.evaluate(now)
}

// Proved records the first answer on a connection that was opened at the given time.
func (h *Health) Proved(to hostport.Target, opened time.Time) {
	h.answer.Store(true)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.reached = true
	if t := h.at(to); t.fault != nil && t.fault.late && !opened.Before(t.fault.at) {
		t.began, h.success, h.began = opened, now, opened
		h.setWorking(t, now)
	}
	h.evaluate(now)
}

// Answered records that a broker has answered on an open connection. It is called for every
// response: it takes no lock, and writes at most once between two evaluations.
func (h *Health) Answered() {
	if !h.answer.Load() {
		h.answer.Store(true)
	}
}

// Connected records that an upstream connection was opened.
func (h *Health) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open++
}

// Disconnected records that an upstream connection was closed.
func (h *Health) Disconnected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	h.evaluate(time.Now())
}

// Observe records what is checked periodically: the known addresses of the cluster (all others
// are forgotten, unless the list is empty), and the nodes that leave requests unanswered.
func (h *Health) Observe(known []hostport.Target, stalls []Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.setKnown(known)
	for _, old := range h.stalls {
		if !contains(stalls, old) {
			h.healed = &Healed{Reason: old, Recovered: now}
		}
	}
	h.stalls = stalls
	h.evaluate(now)
}

func (h *Health) setKnown(known []hostport.Target) {
	if len(known) == 0 {
		return
	}
	keep := make(map[hostport.Target]bool, len(known))
	routes := map[string]bool{}
	for _, to := range known {
		keep[key(to)], routes[to.LocationID] = true, true
		h.at(to).full = to
	}
	for to, t := range h.targets {
		if keep[to] {
			continue
		}
		if t.fault != nil {
			h.failing--
		}
		delete(h.targets, to)
	}
	for id := range h.routes {
		if !routes[id] {
			delete(h.routes, id)
		}
	}
}

// Blocked records why no attempt can be made, or nil once attempts are possible.
func (h *Health) Blocked(f *failure.Failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if f == nil {
		h.blocked = nil
	} else {
		h.blocked = h.blocked.again(f, hostport.Target{}, now)
	}
	h.evaluate(now)
}

// Moved records that the cluster is reached by another route or at other addresses from now on.
// A cluster that was ready, or has open connections, remains so until an attempt fails.
func (h *Health) Moved() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.evaluate(now)
	clear(h.routes)
	clear(h.targets)
	h.failing = 0
	h.success, h.answered, h.granted, h.allSince = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	h.reached = h.state == Ready || h.open > 0
	h.evaluate(now)
}
