package topology

import (
	"cmp"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// failedFor is how long a port that could not be bound is not tried again.
const failedFor = time.Minute

// A placement gives ports to the new nodes of one response. Its owner holds t.placing
// and not t.mu; t.mu is taken for moments, and never around [Binder.Bind].
type placement struct {
	t   *Topology
	now time.Time
	// During one placement ports are only taken, never freed: the search for a free port
	// and for an empty home goes on where it ended for the node before.
	free, home int
	absent     []*node // whose ports may be reassigned, longest absent first; nil: not asked yet
	stop       error   // no descriptor is left: nothing more is bound
}

// place gives ports to nodes that have none: first to all that can go home, by ascending
// id, then to the guests, by ascending id. So the order in which a response lists its
// nodes does not matter, and instances agree. It stops at the first node that finds no
// place; an error is the reason if that is not the size of the range.
func (t *Topology) place(fresh []*node, now time.Time) error {
	slices.SortStableFunc(fresh, func(a, b *node) int { return cmp.Compare(a.id, b.id) })
	fresh = slices.CompactFunc(fresh, func(a, b *node) bool { return a.id == b.id }) // a response may name a node twice
	p := placement{t: t, now: now, free: int(t.opts.Last), home: int(t.opts.Last)}
	if t.ephemeral() {
		for _, n := range fresh {
			if len(t.ports) >= maxEphemeral || !p.bind(n, 0) {
				break
			}
		}
		return p.stop
	}
	var guests []*node
	for _, n := range fresh {
		if !p.bindPreferred(n) {
			guests = append(guests, n)
		}
	}
	for _, n := range guests {
		if !p.highestFree(n) && (p.stop != nil || !p.emptyHome(n) && !p.takeOver(n)) {
			break
		}
	}
	return p.stop
}

// bindPreferred places n at its preferred port if that is free.
func (p *placement) bindPreferred(n *node) bool {
	port := p.t.home(n.id)
	owner, bound := p.t.ports[port]
	if bound {
		if owner != nil {
			return false
		}
		p.t.assign(n, port)
		return true
	}
	return p.bind(n, port)
}

// highestFree places n at the highest port of the range that is not bound.
func (p *placement) highestFree(n *node) bool {
	for ; p.free >= int(p.t.opts.First); p.free-- {
		if _, bound := p.t.ports[uint16(p.free)]; !bound && p.bind(n, uint16(p.free)) {
			return true
		}
		if p.stop != nil {
			return false
		}
	}
	return false
}

// emptyHome places n at a home that was bound at the start and whose node has
// never been seen. It comes after every other port, so that a later node of the
// ids 0 to 9 finds its home taken only in a range that is full anyway.
func (p *placement) emptyHome(n *node) bool {
	for ; p.home >= int(p.t.opts.First); p.home-- {
		if owner, bound := p.t.ports[uint16(p.home)]; bound && owner == nil {
			p.t.assign(n, uint16(p.home))
			return true
		}
	}
	return false
}

// takeOver gives n the port of the node that has been absent longest, if it was
// for ten minutes and no client is connected there.
func (p *placement) takeOver(n *node) bool {
	t := p.t
	from, ok := p.nextAbsent()
	if !ok {
		return false
	}
	t.opts.Logger.Info("the range of broker ports is full; a new broker gets the port of an absent one",
		"port", from.port, "from_node", from.id, "to_node", n.id)
	if t.opts.GivenUp != nil {
		t.opts.GivenUp(from.id)
	}
	t.assign(n, from.port)
	return true
}

// nextAbsent removes the node that has been absent longest from the topology, and returns
// it.
func (p *placement) nextAbsent() (*node, bool) {
	t := p.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.absent == nil {
		p.absent = []*node{}
		for _, n := range t.nodes {
			if t.isAbsent(n, p.now) {
				p.absent = append(p.absent, n)
			}
		}
		slices.SortFunc(p.absent, func(a, b *node) int { return cmp.Or(a.seen.Compare(b.seen), cmp.Compare(a.id, b.id)) })
	}
	for len(p.absent) > 0 {
		n := p.absent[0]
		p.absent = p.absent[1:]
		if t.isAbsent(n, p.now) { // it may have been seen meanwhile
			delete(t.nodes, n.id)
			return n, true
		}
	}
	return nil, false
}

// isAbsent reports whether the port of a node may be reassigned. The caller holds t.mu.
func (t *Topology) isAbsent(n *node, now time.Time) bool {
	return now.Sub(n.seen) >= absence && t.opts.Binder.Connections(n.port) == 0
}

// bind opens port for n, unless that has failed a short time ago.
func (p *placement) bind(n *node, port uint16) bool {
	t := p.t
	if p.stop != nil || p.now.Before(t.failed[port]) {
		return false
	}
	got, err := t.opts.Binder.Bind(port)
	if err == nil {
		delete(t.failed, port)
		t.assign(n, got)
		return true
	}
	if failure.NoDescriptor(err) {
		p.stop = err
	} else {
		t.bindFailed(port, p.now)
	}
	t.opts.Logger.Debug("could not bind a broker port", "port", port, "error", err)
	return false
}

// bindFailed remembers a port that is taken. Any port (0) is tried again with the next
// response.
func (t *Topology) bindFailed(port uint16, now time.Time) {
	if port != 0 {
		t.failed[port] = now.Add(failedFor)
	}
}

// assign gives n a port that is bound, and makes it known.
func (t *Topology) assign(n *node, port uint16) {
	n.port = port // no other goroutine has n yet
	advertised, virtual := n.advertised, n.target.String()
	t.mu.Lock()
	t.nodes[n.id] = n
	t.ports[port] = n
	close(t.changed)
	t.changed = make(chan struct{})
	t.mu.Unlock()
	t.opts.Logger.Info("a broker has got a local port", "node", n.id, "advertised", advertised, "virtual", virtual, "port", port)
}
