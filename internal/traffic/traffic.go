// Package traffic measures the traffic between clients and the nodes of one cluster: rate and
// latency of requests, requests in flight, the age of the oldest, and resets.
//
//	n := cluster.Node("1")              // once per connection; "bootstrap" until it is known
//	n.Open(&conn, inFlight)             // once the broker is reached
//	n.Answered(took, wait)              // each response
//	conn.Close()
//	events := cluster.Look()            // once a second while connections are open
//
// The work for each response is one addition to the counter of its latency class, without a
// lock or an allocation. Everything else comes from a periodic look at the open connections: it
// queries each connection for its requests in flight.
//
// A request that allows the broker to wait (a long poll) counts with the time beyond that wait,
// or not at all if there was none.
package traffic

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/set"
)

const (
	// Late is how long a request may be unanswered before its node counts as unresponsive
	// (R22).
	Late = 10 * time.Second
	// calm is how long after the last late request a node counts as recovered although no
	// request was answered in time.
	calm = time.Minute
)

// InFlight is an open connection: how many of its requests are unanswered, and how long the
// oldest has been.
type InFlight interface {
	InFlight() (n int, oldest time.Duration)
}

// Cluster is the traffic of one cluster. The zero value is ready to use.
type Cluster struct {
	mu    sync.Mutex
	nodes map[string]*Node
}

// Node returns the traffic of a node, by its id or another name.
func (c *Cluster) Node(name string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[name]
	if n == nil {
		if c.nodes == nil {
			c.nodes = map[string]*Node{}
		}
		n = &Node{name: name}
		n.keep(time.Now())
		c.nodes[name] = n
	}
	return n
}

// Forget drops a node that has no open connection.
func (c *Cluster) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.nodes, name)
}

// all returns the nodes by name.
func (c *Cluster) all() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*Node, 0, len(c.nodes))
	for _, n := range c.nodes {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *Node) int { return cmp.Compare(a.name, b.name) })
	return list
}

// Node is the traffic of one node. It is safe for concurrent use.
type Node struct {
	name    string
	latency histogram
	resets  atomic.Uint64
	inTime  atomic.Bool // a request was answered in time since the previous look

	mu    sync.Mutex
	open  set.Set[*Conn]
	kept  [windows]sample // the newest ones, a ring buffer
	next  int             // index of the next one
	stall *Stall          // nil: the node answers requests in time
	late  time.Time       // when a late request was last seen
}

// Conn is one connection, embedded by its owner.
type Conn struct {
	set.Member // of Node.open

	Target   hostport.Target // set before Open
	node     *Node           // nil: not opened
	inFlight InFlight
}

// Open adds a connection that has reached its Target.
func (n *Node) Open(c *Conn, inFlight InFlight) {
	c.node, c.inFlight = n, inFlight
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); now.Sub(n.newest().at) >= windowLasts {
		n.keep(now) // the previous sample is old if no connection was open
	}
	n.open.Add(c)
}

// Close removes the connection. It reports whether it was opened.
func (c *Conn) Close() bool {
	if c.node == nil {
		return false
	}
	c.node.mu.Lock()
	defer c.node.mu.Unlock()
	return c.node.open.Remove(c)
}

// Answered counts a response with its latency and the time for which the request allowed the
// broker to wait.
func (n *Node) Answered(took, wait time.Duration) {
	if wait > 0 {
		if took -= wait; took <= 0 {
			n.latency.uncounted()
			return
		}
	}
	n.latency.add(took)
	if took < Late && !n.inTime.Load() {
		n.inTime.Store(true)
	}
}

// Reset counts a connection that the broker's side reset.
func (n *Node) Reset() { n.resets.Add(1) }
