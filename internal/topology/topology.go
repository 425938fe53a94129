// Package topology knows which local port leads to which broker.
//
// It learns from responses: each one that carries broker addresses is given to
// [Topology.Map], which writes local addresses in their place and, before the
// client learns of a node for the first time, opens the node's port through a
// [Binder]. A connection to a broker port asks [Topology.Resolve] where it leads.
//
//	broker sends  node 1 at kafka-1.onprem.corp:9092
//	rules say     virtual host vkafka-1:19092          (package addressmap)
//	client gets   node 1 at localhost:19101            (its home: first + id mod size)
//
// A node keeps its port for the life of the process. It gets its home if that is
// free, else, as a guest, the highest free port of the range, so that instances
// that learn the same nodes agree on ports. The homes of the ids 0 to 9 are bound
// from the start: a client that still knows a port from an earlier life finds it
// open and waits there until the node is known.
//
// The package opens no sockets itself, does not dial, and has no goroutines.
//
// Two locks: placing is held while new nodes get ports, which takes system calls; mu for
// moments, by everything else. A response whose nodes are all known does not wait for one
// whose nodes are being placed. The order is placing, mu, and then the lock of the Binder.
package topology

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// A Binder opens and closes local ports. Implementations accept connections on
// an open port at once; what they lead to is asked of [Topology.Resolve].
type Binder interface {
	// Bind opens port, or any port for 0, and returns its number. It makes system calls
	// and is called without the topology's mu.
	Bind(port uint16) (uint16, error)
	// Connections and Owns are called with the topology's mu held. They must not block,
	// and not call the topology.
	//
	// Connections returns how many connections are open on port.
	Connections(port uint16) int
	// Owns reports whether port is one of the tunnel's own, so that nothing is
	// dialled in a circle.
	Owns(port uint16) bool
}

// Names are how addresses are translated. They may change, see [Topology.Follow].
type Names struct {
	Bootstrap  []hostport.Target
	LocationID string
	Rules      addressmap.Rules
	// ServerName returns whom the certificate of a broker must be for that advertises
	// this host; nil: no TLS.
	ServerName func(advertised string) string
}

// Options are the settings of one cluster.
type Options struct {
	Advertise   string // host written into responses
	First, Last uint16 // range of broker ports; 0 and 0: ephemeral ports
	Names
	// Direct allows loopback addresses as targets, because brokers are reached
	// without the connectivity proxy.
	Direct bool
	Binder Binder
	// Report is called with each failure because of which a response lacks addresses, once
	// per response and code; nil: not called.
	Report func(*failure.Failure)
	// Unmapped is called with the number of addresses of a response that were hidden;
	// nil: not called.
	Unmapped func(hidden int)
	// GivenUp is called with a node whose port was given to another one; nil: it is not.
	GivenUp func(node int32)
	Logger  *slog.Logger // nil: silent
}

// A Node is what is known of one broker.
type Node struct {
	ID          int32
	Advertised  string // host:port as the broker advertises it
	Virtual     hostport.Target
	Local       uint16
	Connections int
	LastSeen    time.Time
}

// Topology is safe for concurrent use.
type Topology struct {
	opts Options // of which Names changes, with placing and mu held

	// placing is held by the one call that gives ports to nodes, while it binds them. It is
	// never taken with mu held.
	placing sync.Mutex
	failed  map[uint16]time.Time // ports that could not be bound, and when to try again; guarded by placing

	// mu guards what follows. No system call, callback or log line is made with it held.
	// nodes, ports and Names are changed only with placing held as well: its holder may
	// read them without mu.
	mu      sync.Mutex
	nodes   map[int32]*node  // each has a port
	ports   map[uint16]*node // value nil: bound as a home, its node not known yet
	changed chan struct{}    // closed and replaced when a port gets a node
	implied bool             // the implied rule was logged
}

// A node is a broker that has a port, or is about to get one. Once it is in Topology.nodes
// its fields are guarded by mu; id and port do not change.
type node struct {
	id         int32
	advertised string
	target     hostport.Target
	port       uint16
	seen       time.Time
}

// prebound is how many homes are bound at the start: those of the ids 0 to 9.
const prebound = 10

// absence is how long a node must not have been seen before its port may go to
// another one, when the range is full.
const absence = 10 * time.Minute

// maxEphemeral bounds the nodes of a cluster whose ports have no range.
const maxEphemeral = 1000

// New returns a topology that knows no node.
func New(opts Options) *Topology {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Report == nil {
		opts.Report = func(*failure.Failure) {}
	}
	if opts.Unmapped == nil {
		opts.Unmapped = func(int) {}
	}
	return &Topology{
		opts:    opts,
		failed:  map[uint16]time.Time{},
		nodes:   map[int32]*node{},
		ports:   map[uint16]*node{},
		changed: make(chan struct{}),
	}
}

// BindHomes opens the homes of the ids 0 to 9. A home that cannot be bound is left out:
// its node becomes a guest. The errors are returned by port.
func (t *Topology) BindHomes() map[uint16]error {
	t.placing.Lock()
	defer t.placing.Unlock()
	if t.ephemeral() {
		return nil
	}
	errs := map[uint16]error{}
	for id := int32(0); id < prebound && int(id) < t.size(); id++ {
		port := t.home(id)
		if _, err := t.opts.Binder.Bind(port); err != nil {
			t.bindFailed(port, time.Now())
			errs[port] = err
			continue
		}
		t.mu.Lock()
		t.ports[port] = nil
		t.mu.Unlock()
	}
	return errs
}

func (t *Topology) ephemeral() bool { return t.opts.First == 0 }

func (t *Topology) size() int { return int(t.opts.Last) - int(t.opts.First) + 1 }

// home is the port at which a node belongs (R6).
func (t *Topology) home(id int32) uint16 {
	return t.opts.First + uint16(int(id)%t.size())
}

// Map implements [kafka.Mapper]: it replaces the addresses of one response and
// hides those that lead nowhere.
func (t *Topology) Map(endpoints []kafka.Endpoint) error {
	var r report
	if !t.mapKnown(endpoints, &r) {
		t.mapNew(endpoints, &r)
	}
	r.send(&t.opts)
	return nil
}

// mapKnown maps a response whose nodes all have ports; false when one has none.
func (t *Topology) mapKnown(endpoints []kafka.Endpoint, r *report) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range endpoints {
		if t.nodes[endpoints[i].NodeID] == nil {
			return false
		}
	}
	t.record(endpoints, time.Now(), r)
	t.fill(endpoints, nil, r)
	return true
}

// mapNew maps a response with nodes that have no port. A call that needs the same node as
// another one waits until that has placed it.
func (t *Topology) mapNew(endpoints []kafka.Endpoint, r *report) {
	t.placing.Lock()
	defer t.placing.Unlock()
	now := time.Now()
	t.mu.Lock()
	fresh := t.record(endpoints, now, r)
	t.mu.Unlock()
	stop := t.place(fresh, now)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fill(endpoints, stop, r)
}

// record updates known nodes from a response, hides addresses that cannot be reached, and
// returns the nodes that are new. The caller holds mu.
func (t *Topology) record(endpoints []kafka.Endpoint, now time.Time, r *report) (fresh []*node) {
	single := t.singleBroker(endpoints)
	for i := range endpoints {
		e := &endpoints[i]
		target, err := t.target(e, single, r)
		if err != nil {
			r.hide(e, err)
			continue
		}
		n := t.nodes[e.NodeID]
		if n == nil {
			n = &node{id: e.NodeID}
			fresh = append(fresh, n)
		}
		t.recordNode(n, e, target, now, r)
	}
	return fresh
}

// fill writes the local addresses, and hides nodes that have got none: because of stop, or
// because the range is full. The caller holds mu.
func (t *Topology) fill(endpoints []kafka.Endpoint, stop error, r *report) {
	for i := range endpoints {
		e := &endpoints[i]
		if e.Hidden {
			continue
		}
		n := t.nodes[e.NodeID]
		switch {
		case n != nil:
			e.Host, e.Port = t.opts.Advertise, int32(n.port)
		case stop != nil:
			r.hide(e, failure.New(failure.DescriptorsExhausted, stop))
		default:
			r.hide(e, failure.New(failure.NoPort, nil).For(strconv.Itoa(int(e.NodeID)), ""))
		}
	}
}

// Follow translates by other names from now on, known nodes too: the next connection to
// one leads to its new address. Where a node has none, the next response decides.
func (t *Topology) Follow(names Names) {
	var r report
	defer r.send(&t.opts)
	t.placing.Lock()
	defer t.placing.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opts.Names = names
	for _, n := range t.nodes {
		host, port, err := net.SplitHostPort(n.advertised)
		number, err2 := strconv.ParseUint(port, 10, 16)
		if err != nil || err2 != nil {
			continue
		}
		e := kafka.Endpoint{NodeID: n.id, Host: host, Port: int32(number)}
		if target, failed := t.target(&e, len(t.nodes) == 1, &r); failed == nil {
			t.recordNode(n, &e, target, n.seen, &r)
		}
	}
}

// recordNode keeps what a response contains about a node. The caller holds mu.
func (t *Topology) recordNode(n *node, e *kafka.Endpoint, target hostport.Target, now time.Time, r *report) {
	if n.target != target && n.port != 0 {
		id, from := n.id, n.target.String()
		r.lines = append(r.lines, func() {
			t.opts.Logger.Info("a broker has a new address", "node", id, "from", from, "to", target.String())
		})
	}
	n.advertised = advertised(e)
	n.target, n.seen = target, now
}

// Resolve returns where a connection to a local broker port leads and the id of
// its node. If the node is not known yet it waits until it is or ctx ends.
func (t *Topology) Resolve(ctx context.Context, port uint16) (hostport.Target, int32, error) {
	for {
		t.mu.Lock()
		n, changed := t.ports[port], t.changed
		var target hostport.Target
		var id int32
		if n != nil {
			target, id = n.target, n.id
		}
		t.mu.Unlock()
		if n != nil {
			return target, id, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return hostport.Target{}, -1, failure.New(failure.NodeUnknown, ctx.Err()).For(strconv.Itoa(int(port)), "")
		}
	}
}

// Advertised returns how the broker calls itself, host:port, that is reached at a
// virtual address, if one is known.
func (t *Topology) Advertised(virtual, locationID string) (advertised string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.nodes {
		if n.target.LocationID == locationID && n.target.String() == virtual {
			return n.advertised, true
		}
	}
	return "", false
}

// Node returns the id of the node whose port this is, if it is known.
func (t *Topology) Node(port uint16) (id int32, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.ports[port]
	if n == nil {
		return -1, false
	}
	return n.id, true
}

// Nodes returns what is known of all nodes, by id.
func (t *Topology) Nodes() []Node {
	t.mu.Lock()
	nodes := make([]Node, 0, len(t.nodes))
	for _, n := range t.nodes {
		nodes = append(nodes, Node{ID: n.id, Advertised: n.advertised, Virtual: n.target, Local: n.port, LastSeen: n.seen})
	}
	t.mu.Unlock()
	for i := range nodes {
		nodes[i].Connections = t.opts.Binder.Connections(nodes[i].Local)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	return nodes
}
