package health

import (
	"time"
)

// evaluate updates the state and reports a change. The caller holds h.mu.
func (h *Health) evaluate(now time.Time) {
	if h.answer.Swap(false) {
		h.answered, h.reached = now, true
	}
	if !h.reached && !h.granted.IsZero() && now.Sub(h.granted) >= settle {
		h.reached = true
	}
	next := h.judge(now)
	tell := next != h.state
	if next == Down && !h.reported {
		tell = tell || h.failsNow()
		h.reported = tell
	}
	if !tell {
		return
	}
	c := Change{From: h.state, To: next, Lasted: now.Sub(h.since), Reasons: h.reasons()}
	if next != h.state {
		h.state, h.since = next, now
	}
	h.changed(c)
}

// failsNow reports whether a failure was seen from which the cluster has not recovered.
func (h *Health) failsNow() bool {
	return len(h.routes) > 0 || h.failing > 0 || h.blocked != nil
}

// extent tells how many of the known addresses fail for new connections.
type extent uint8

const (
	none extent = iota
	some
	all
)

func (h *Health) extent() extent {
	switch {
	case len(h.routes) == 0 && h.failing == 0:
		return none
	case len(h.routes) == 0 && h.failing < len(h.targets):
		return some
	}
	failing := 0
	for to, t := range h.targets {
		if t.fault != nil || h.routes[to.LocationID] != nil {
			failing++
		}
	}
	switch {
	case failing == 0:
		return none
	case failing == len(h.targets):
		return all
	}
	return some
}

func (h *Health) judge(now time.Time) State {
	e := h.extent()
	switch {
	case e != all:
		h.allSince = time.Time{}
	case h.allSince.IsZero():
		h.allSince = now
	}
	switch {
	case !h.reached:
		return Down
	case e == all:
		return h.judgeAll(now)
	case e == some:
		if s := h.judgeSome(now); s != Ready {
			return s
		}
	}
	if len(h.stalls) > 0 {
		return Degraded
	}
	return Ready
}

// judgeAll returns the state while new connections fail for all addresses: the open connections
// decide.
func (h *Health) judgeAll(now time.Time) State {
	silent := now.Sub(h.answered) >= patience
	switch {
	case h.open == 0:
		return Down
	case h.answered.After(h.allSince.Add(settle)) && (!silent || len(h.stalls) == 0):
		// They work. A connection without a request since then does not disprove it.
		return Degraded
	case silent:
		return Down
	}
	return h.state // undecided
}

// judgeSome returns the state while new connections fail for some addresses.
func (h *Health) judgeSome(now time.Time) State {
	if h.state == Down && h.success.After(h.since) {
		return Degraded // at least one address works again
	}
	var first, last time.Time
	for to, t := range h.targets {
		for _, tr := range []*fault{t.fault, h.routes[to.LocationID]} {
			if tr == nil {
				continue
			}
			if h.began.After(tr.since) || h.answered.After(tr.since.Add(settle)) {
				return Degraded // clients can use other addresses, or open connections
			}
			if first.IsZero() || tr.since.Before(first) {
				first = tr.since
			}
			if tr.at.After(last) {
				last = tr.at
			}
		}
	}
	switch {
	case now.Sub(first) < patience:
		return h.state // undecided
	case h.state != Degraded && h.open == 0 && last.Sub(first) >= persistent:
		return Down
	case h.state == Down:
		return Down
	}
	return Degraded
}
