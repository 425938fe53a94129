package topology

import (
	"cmp"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// place gives ports to the nodes of one response that have none: first to all
// that can go home, by ascending id, then to the guests, by ascending id. So the
// order in which a response lists its nodes does not matter, and instances agree.
func (t *Topology) place(endpoints []kafka.Endpoint, now time.Time) {
	var homeless []*node
	for _, e := range endpoints {
		if !e.Hidden && t.nodes[e.NodeID].port == 0 {
			homeless = append(homeless, t.nodes[e.NodeID])
		}
	}
	if len(homeless) == 0 {
		return
	}
	slices.SortFunc(homeless, func(a, b *node) int { return cmp.Compare(a.id, b.id) })
	homeless = slices.Compact(homeless) // a response may name a node twice
	if t.ephemeral() {
		for _, n := range homeless {
			if len(t.ports) < maxEphemeral {
				t.bind(n, 0)
			}
		}
	} else {
		var guests []*node
		for _, n := range homeless {
			if !t.goHome(n) {
				guests = append(guests, n)
			}
		}
		for _, n := range guests {
			// When one guest finds no place the next ones will not either.
			if !t.highestFree(n) && !t.emptyHome(n) && !t.takeOver(n, now) {
				break
			}
		}
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// goHome places n at its home if that is free.
func (t *Topology) goHome(n *node) bool {
	port := t.home(n.id)
	owner, bound := t.ports[port]
	if bound {
		if owner != nil {
			return false
		}
		t.settle(n, port)
		return true
	}
	return t.bind(n, port)
}

// highestFree places n at the highest port of the range that nobody has bound.
func (t *Topology) highestFree(n *node) bool {
	for port := int(t.opts.Last); port >= int(t.opts.First); port-- {
		if _, bound := t.ports[uint16(port)]; !bound && t.bind(n, uint16(port)) {
			return true
		}
	}
	return false
}

// emptyHome places n at a home that was bound at the start and whose node has
// never been seen. It comes after every other port, so that a later node of the
// ids 0 to 9 finds its home taken only in a range that is full anyway.
func (t *Topology) emptyHome(n *node) bool {
	for port := int(t.opts.Last); port >= int(t.opts.First); port-- {
		if owner, bound := t.ports[uint16(port)]; bound && owner == nil {
			t.settle(n, uint16(port))
			return true
		}
	}
	return false
}

// takeOver gives n the port of the node that has been absent longest, if it was
// for ten minutes and nobody is connected there.
func (t *Topology) takeOver(n *node, now time.Time) bool {
	var oldest *node
	for _, other := range t.nodes {
		if other.port == 0 || now.Sub(other.seen) < absence || t.opts.Binder.Connections(other.port) > 0 {
			continue
		}
		if oldest == nil || other.seen.Before(oldest.seen) || other.seen.Equal(oldest.seen) && other.id < oldest.id {
			oldest = other
		}
	}
	if oldest == nil {
		return false
	}
	t.opts.Logger.Info("the range of broker ports is full; the port of an absent broker goes to a new one",
		"port", oldest.port, "from_node", oldest.id, "to_node", n.id)
	port := oldest.port
	delete(t.nodes, oldest.id)
	if t.opts.GivenUp != nil {
		t.opts.GivenUp(oldest.id)
	}
	t.settle(n, port)
	return true
}

func (t *Topology) bind(n *node, port uint16) bool {
	got, err := t.opts.Binder.Bind(port)
	if err != nil {
		t.opts.Logger.Debug("a broker port cannot be bound", "port", port, "error", err)
		return false
	}
	t.settle(n, got)
	return true
}

func (t *Topology) settle(n *node, port uint16) {
	n.port = port
	t.ports[port] = n
	t.opts.Logger.Info("a broker has a local port", "node", n.id, "advertised", n.advertised, "virtual", n.target.String(), "port", port)
}

// Nodes returns what is known of all nodes, by id.
func (t *Topology) Nodes() []Node {
	t.mu.Lock()
	defer t.mu.Unlock()
	nodes := make([]Node, 0, len(t.nodes))
	for _, n := range t.nodes {
		out := Node{ID: n.id, Advertised: n.advertised, Virtual: n.target, Local: n.port, LastSeen: n.seen}
		if n.port != 0 {
			out.Connections = t.opts.Binder.Connections(n.port)
		}
		nodes = append(nodes, out)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	return nodes
}
