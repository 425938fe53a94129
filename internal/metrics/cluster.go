package metrics

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// bootstrapNode is the node label of connections at the bootstrap port.
	bootstrapNode = "bootstrap"
	// unknownAPI is the api label of keys that are not in the table of APIs.
	unknownAPI = "unknown"
	// apiSlots is how many API keys are cached; larger keys are "unknown". Kafka 4.2 has keys
	// up to 92.
	apiSlots = 128
)

// Cluster are the instruments of one cluster; nil counts nothing.
type Cluster struct {
	m    *Metrics
	name string

	written    [len(directionNames)]prometheus.Counter
	apis       [apiSlots]atomic.Pointer[API]
	unknownAPI atomic.Pointer[API]

	mu    sync.Mutex // guards nodes
	nodes map[string]*Node
}

// Cluster returns the instruments of a cluster, always the same for the same name. Names come
// from the configuration and are known at start.
func (m *Metrics) Cluster(name string) *Cluster {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.clusters[name]
	if c == nil {
		c = &Cluster{m: m, name: name, nodes: map[string]*Node{}}
		for d, direction := range directionNames {
			c.written[d] = m.bytes.WithLabelValues(name, direction)
		}
		c.Node(bootstrapNode)
		m.clusters[name] = c
	}
	return c
}

// Bytes counts bytes written in a direction. It ignores zero and less.
func (c *Cluster) Bytes(d Direction, n int64) {
	if c == nil || n <= 0 || int(d) >= len(c.written) {
		return
	}
	c.written[d].Add(float64(n))
}

// ConnectPhase records how long one phase of a dial took, also if the dial failed in this
// phase.
func (c *Cluster) ConnectPhase(p Phase, d time.Duration) {
	if c == nil || int(p) >= len(phaseNames) {
		return
	}
	c.m.connect.WithLabelValues(c.name, phaseNames[p]).Observe(d.Seconds())
}

// Hold records how long a client waited from its first byte to its broker connection.
func (c *Cluster) Hold(d time.Duration) {
	if c != nil {
		c.m.hold.WithLabelValues(c.name).Observe(d.Seconds())
	}
}

// Node are the instruments of one local port of a cluster; nil counts nothing.
type Node struct {
	c    *Cluster
	node string
	open prometheus.Gauge
}

// Node returns the instruments of a node: its id in decimal, or "bootstrap".
// Resolve it once per connection.
func (c *Cluster) Node(node string) *Node {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[node]
	if n == nil {
		// The first connection must be an increase from 0, not a new series.
		c.m.connectionsTotal.WithLabelValues(c.name, node, string(ResultOK))
		n = &Node{c: c, node: node, open: c.m.connections.WithLabelValues(c.name, node)}
		c.nodes[node] = n
	}
	return n
}

// Forget removes the series of a node whose port was given up, so brokers that come and go
// leave no series. The node must have no open connection.
func (c *Cluster) Forget(node string) {
	if c == nil || node == bootstrapNode {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.nodes, node)
	labels := prometheus.Labels{"cluster": c.name, "node": node}
	c.m.connections.Delete(labels)
	c.m.connectionsTotal.DeletePartialMatch(labels)
}

// Opened counts a connection that was accepted.
func (n *Node) Opened() {
	if n != nil {
		n.open.Inc()
	}
}

// Closed counts the end of a connection that was [Node.Opened].
func (n *Node) Closed(r Result) {
	if n == nil {
		return
	}
	n.open.Dec()
	n.c.m.connectionsTotal.WithLabelValues(n.c.name, n.node, results.check(string(r))).Inc()
}

// API are the instruments of one Kafka API of a cluster; nil counts nothing.
type API struct {
	c        *Cluster
	name     string
	requests prometheus.Counter
	seconds  prometheus.Observer
	// Only seven APIs have addresses to rewrite: their series are created when there is
	// something to count.
	rewritten, hidden atomic.Pointer[prometheus.Counter]
}

// API returns the instruments of the API with this key. name is its name in the table of APIs,
// or empty or "unknown" for a key that is not in it; it is used only when a key is seen for the
// first time.
func (c *Cluster) API(key int16, name string) *API {
	if c == nil {
		return nil
	}
	slot := &c.unknownAPI
	if name == "" {
		name = unknownAPI
	}
	if key >= 0 && key < apiSlots {
		slot = &c.apis[key]
	} else {
		name = unknownAPI
	}
	if a := slot.Load(); a != nil {
		return a
	}
	a := &API{
		c: c, name: name,
		requests: c.m.requests.WithLabelValues(c.name, name),
		seconds:  c.m.requestSeconds.WithLabelValues(c.name, name),
	}
	if !slot.CompareAndSwap(nil, a) {
		return slot.Load()
	}
	return a
}

// Request counts a request that was received from a client.
func (a *API) Request() {
	if a != nil {
		a.requests.Inc()
	}
}

// Response records the time from forwarding a request to the first byte of its response.
func (a *API) Response(d time.Duration) {
	if a != nil {
		a.seconds.Observe(d.Seconds())
	}
}

// Rewritten counts n replaced addresses of one response.
func (a *API) Rewritten(n int) {
	if a != nil {
		a.count(&a.rewritten, "rewritten", n)
	}
}

// Hidden counts n addresses that were left out of one response.
func (a *API) Hidden(n int) {
	if a != nil {
		a.count(&a.hidden, "hidden", n)
	}
}

func (a *API) count(slot *atomic.Pointer[prometheus.Counter], how string, n int) {
	if n <= 0 {
		return
	}
	counter := slot.Load()
	if counter == nil {
		made := a.c.m.rewritten.WithLabelValues(a.c.name, a.name, how)
		counter = &made
		slot.Store(counter) // the last one wins: the vector returns the same counter to all
	}
	(*counter).Add(float64(n))
}
