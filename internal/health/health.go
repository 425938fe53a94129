// Package health decides whether the brokers of one cluster can be reached: ready,
// degraded or down, and why (R22).
//
//	h := health.New(func(c health.Change) { log it })
//	h.Attempt(target, began, nil)     // each finished attempt to open a connection
//	h.Connected(); h.Disconnected()   // each open upstream connection
//	h.Answered()                      // each response
//	h.Observe(known, stalls)          // once a second while there is something to see
//	h.Snapshot()                      // state, reasons, last recovery
//
// # States
//
//   - ready: the last attempt to open a connection succeeded, or none has failed since;
//     not all known brokers are down.
//   - degraded: open connections work, but new ones fail for all or some brokers; or
//     requests have waited too long for an answer.
//   - down: new connections fail and no open connection had an answer for 10 s, at once
//     when none is open; or nothing was ever reached.
//
// A failure concerns the route through one Cloud Connector (retry classes gate and
// credentials) or one address. New connections fail when every known address does, for
// its own sake or for that of its route.
//
// # One change per fault
//
// The state changes when it is known what it changes to, so that a fault is not
// degraded first and down a moment later:
//
//   - When all addresses fail and connections are open, it depends on those. An answer
//     that comes a second after the first failure or later shows that they work:
//     degraded, from then on until one of them leaves a request unanswered or none is
//     left. Without an answer for 10 s: down. Until one of the two is known the state
//     stays what it was.
//   - When some addresses fail, a success elsewhere or such an answer shows that it is
//     some: degraded. When neither comes within 10 s, it is degraded as well; down if no
//     connection is open and the attempts go on failing.
//   - The first success after all addresses have failed makes the state ready. The other
//     addresses are tried again before they count as failing.
//
// An attempt is compared by the time when it began: of many that are under way when a
// fault begins or ends, the late ones say nothing new.
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

// A State is how well the brokers can be reached. A larger one is better.
type State uint8

// The states.
const (
	Down State = iota
	Degraded
	Ready
)

// String returns the word that is shown everywhere.
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
	// patience is how long open connections may be silent while new ones fail (R22).
	patience = 10 * time.Second
	// settle is how long after a failure an answer is still one of before the fault.
	settle = time.Second
	// persistent is for how long the attempts at one address must have failed to tell
	// that nothing works, where no other address was tried.
	persistent = patience / 2
)

// A Change is a change of the state. The first failure of a cluster that was never
// reached is one from down to down.
type Change struct {
	From, To State
	Lasted   time.Duration // how long the state before lasted
	Reasons  []Reason      // of the new state, newest first
}

// Health is the state of one cluster. It is safe for concurrent use.
type Health struct {
	changed func(Change) // called with mu held
	answer  atomic.Bool  // a broker has answered since the last evaluation

	mu      sync.Mutex
	state   State
	since   time.Time // of the state
	told    bool      // that it is down, and why
	reached bool      // by an answer, or a connection that has lasted
	granted time.Time // when a connection was first granted, until reached
	open    int       // upstream connections

	routes  map[string]*trouble         // by Location ID; only those that fail
	targets map[hostport.Target]*target // without server names
	failing int                         // targets with a trouble of their own
	blocked *trouble                    // why nothing can be tried; nil: it can be
	stalls  []Reason
	healed  *Healed

	success  time.Time // when the last attempt succeeded
	began    time.Time // when that attempt began
	answered time.Time // when a broker was last seen to answer
	allSince time.Time // since when all targets fail; zero while one does not
	allEnded time.Time // when they last ceased to
}

// A target is one address that is known, or was tried.
type target struct {
	full    hostport.Target
	trouble *trouble // nil: it works as far as is known
	suspect bool     // it failed when all did, and was not tried since
	began   time.Time
}

// trouble is a failure that was met, and again until now.
type trouble struct {
	f         *failure.Failure
	target    hostport.Target
	since, at time.Time
	late      bool // it was met behind a granted connection, so that a grant disproves nothing
}

// New returns the state of a cluster of which nothing is known. changed is called with
// each change, nil for none; it must neither block nor call the state.
func New(changed func(Change)) *Health {
	if changed == nil {
		changed = func(Change) {}
	}
	return &Health{changed: changed, since: time.Now(), routes: map[string]*trouble{}, targets: map[hostport.Target]*target{}}
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

// Attempt takes the outcome of an attempt to open a connection: its failure, or nil.
// Attempts that were abandoned have none.
func (h *Health) Attempt(to hostport.Target, began time.Time, f *failure.Failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.evaluate(now) // what was answered so far is of before
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
		h.heal(r, now)
		delete(h.routes, to.LocationID)
	}
	if t.trouble != nil && (t.trouble.late || began.Before(t.trouble.at)) {
		return
	}
	if h.granted.IsZero() {
		h.granted = now
	}
	h.success, h.began = now, began
	h.works(t, now)
}

// works notes that a target works. The caller holds h.mu.
func (h *Health) works(t *target, now time.Time) {
	t.suspect = false
	if t.trouble == nil {
		return
	}
	h.heal(t.trouble, now)
	t.trouble = nil
	h.failing--
	if h.allSince.IsZero() {
		return
	}
	h.allEnded = now
	for _, other := range h.targets {
		if other.trouble != nil {
			other.trouble, other.suspect = nil, true
		}
	}
	h.failing = 0
}

func (h *Health) heal(t *trouble, now time.Time) {
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
	if r := h.routes[to.LocationID]; r != nil && !began.Before(r.at) { // it worked as far as to this address
		h.heal(r, now)
		delete(h.routes, to.LocationID)
	}
	if !began.Before(t.began) && !began.Before(h.allEnded) {
		h.fail(t, f, now, false)
	}
}

// newestSuccess returns when the newest attempt on a route began that succeeded.
func (h *Health) newestSuccess(locationID string) (began time.Time) {
	for to, t := range h.targets {
		if to.LocationID == locationID && t.began.After(began) {
			began = t.began
		}
	}
	return began
}

// again returns the trouble that t, nil for none, becomes when f is met.
func (t *trouble) again(f *failure.Failure, to hostport.Target, now time.Time) *trouble {
	since := now
	if t != nil {
		since = t.since
	}
	return &trouble{f: f, target: to, since: since, at: now}
}

// fail notes that a target has failed. The caller holds h.mu.
func (h *Health) fail(t *target, f *failure.Failure, now time.Time, late bool) {
	if t.trouble == nil {
		h.failing++
	}
	late = late || t.trouble != nil && t.trouble.late
	t.trouble, t.suspect = t.trouble.again(f, t.full, now), false
	t.trouble.late = late
}

// Refused takes a failure that a granted connection met before its first answer, by
// which the broker refuses all of them: a certificate that it requires, TLS that it
// expects. Then a granted connection proves nothing until one has had an answer.
func (h *Health) Refused(to hostport.Target, f *failure.Failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.evaluate(now)
	h.granted = time.Time{}
	h.fail(h.at(to), f, now, true)
	h.evaluate(now)
}

// Proved notes the first answer on a connection that was opened at a time.
func (h *Health) Proved(to hostport.Target, opened time.Time) {
	h.answer.Store(true)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.reached = true
	if t := h.at(to); t.trouble != nil && t.trouble.late && !opened.Before(t.trouble.at) {
		t.began, h.success, h.began = opened, now, opened
		h.works(t, now)
	}
	h.evaluate(now)
}

// Answered notes that a broker has answered on an open connection. It is called for
// every response and therefore takes no lock, and writes once an evaluation.
func (h *Health) Answered() {
	if !h.answer.Load() {
		h.answer.Store(true)
	}
}

// Connected notes that an upstream connection is open.
func (h *Health) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open++
}

// Disconnected notes that one is not open any more.
func (h *Health) Disconnected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	h.evaluate(time.Now())
}

// Observe takes what is known from time to time: the addresses of the cluster, without
// which others are forgotten (none: nothing is), and the nodes that leave requests
// unanswered.
func (h *Health) Observe(known []hostport.Target, stalls []Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.know(known)
	for _, old := range h.stalls {
		if !contains(stalls, old) {
			h.healed = &Healed{Reason: old, Recovered: now}
		}
	}
	h.stalls = stalls
	h.evaluate(now)
}

func (h *Health) know(known []hostport.Target) {
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
		if t.trouble != nil {
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

// Blocked takes why no attempt can be made, nil once one can.
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

// Moved notes that the cluster is reached by another route or at other addresses from
// now on. A cluster that was ready, or has open connections, is so until an attempt fails.
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
