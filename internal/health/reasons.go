package health

import (
	"cmp"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// maxReasons limits the reasons that are shown.
const maxReasons = 20

// A Reason is one cause of a state.
type Reason struct {
	Failure   *failure.Failure
	Target    hostport.Target // the address of the attempt
	Node      string          // the node that leaves requests unanswered; "" for other reasons
	Since, At time.Time       // when the failure was seen first, and last
}

// Healed is a reason that no longer holds.
type Healed struct {
	Reason
	Recovered time.Time
}

// A Snapshot is the state at one time.
type Snapshot struct {
	State    State
	Since    time.Time // of the state
	Reasons  []Reason  // newest first; also those that have not changed the state yet
	Healed   *Healed   // the last recovery; nil: none yet
	Evidence time.Time // when an attempt last succeeded or a broker answered; zero: never
}

// Snapshot returns the current state with its reasons.
func (h *Health) Snapshot() Snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.evaluate(time.Now())
	s := Snapshot{State: h.state, Since: h.since, Reasons: h.reasons(), Healed: h.healed, Evidence: h.success}
	if h.answered.After(s.Evidence) {
		s.Evidence = h.answered
	}
	return s
}

// State returns the current state.
func (h *Health) State() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.evaluate(time.Now())
	return h.state
}

// Unsettled reports whether the state, or the report of it, may change without another event.
func (h *Health) Unsettled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open > 0 || len(h.stalls) > 0 || h.failsNow() || !h.reached && !h.granted.IsZero()
}

// Failing returns the addresses that the tunnel has to try again, in case no client does.
func (h *Health) Failing() []hostport.Target {
	h.mu.Lock()
	defer h.mu.Unlock()
	var failing []*target
	for _, t := range h.targets {
		if t.fault != nil || t.suspect {
			failing = append(failing, t)
		}
	}
	slices.SortFunc(failing, func(a, b *target) int { return cmp.Compare(a.full.String(), b.full.String()) })
	var list []hostport.Target
	for _, t := range failing {
		list = append(list, t.full)
	}
	return list
}

func (t *fault) reason() Reason {
	return Reason{Failure: t.f, Target: t.target, Since: t.since, At: t.at}
}

// reasons returns the current failures, newest first. The caller holds h.mu.
func (h *Health) reasons() []Reason {
	list := slices.Clone(h.stalls)
	if h.blocked != nil {
		list = append(list, h.blocked.reason())
	}
	for _, r := range h.routes {
		list = append(list, r.reason())
	}
	for _, t := range h.targets {
		if t.fault != nil {
			list = append(list, t.fault.reason())
		}
	}
	if len(list) == 0 && !h.reached && h.granted.IsZero() {
		return []Reason{{Failure: failure.New(failure.NotTried, nil), Since: h.since, At: h.since}}
	}
	slices.SortFunc(list, func(a, b Reason) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Target.String(), b.Target.String()), cmp.Compare(a.Node, b.Node))
	})
	return list[:min(len(list), maxReasons)]
}

// contains reports whether stalls contain the node of r.
func contains(stalls []Reason, r Reason) bool {
	return slices.ContainsFunc(stalls, func(s Reason) bool { return s.Node == r.Node })
}
