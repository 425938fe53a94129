package tunnel

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
)

// shownConnections is how many open connections /status shows.
const shownConnections = 100

// connections are the client connections that are open, by number.
type connections struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]*connection
}

// A connection is one of them.
type connection struct {
	number                uint64
	cluster, node, client string
	target                string // "" until it is reached; guarded by connections.mu
	since                 time.Time
}

// add gives a connection its number.
func (c *connections) add(cluster, node, client string) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[uint64]*connection{}
	}
	c.last++
	one := &connection{number: c.last, cluster: cluster, node: node, client: client, since: time.Now()}
	c.open[one.number] = one
	return one
}

// reached notes where a connection leads.
func (c *connections) reached(one *connection, target string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one.target = target
}

func (c *connections) remove(one *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, one.number)
}

// status returns the newest ones.
func (c *connections) status(now time.Time) []admin.ConnectionStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	numbers := slices.SortedFunc(maps.Keys(c.open), func(a, b uint64) int { return cmp.Compare(b, a) })
	var out []admin.ConnectionStatus
	for _, number := range numbers[:min(len(numbers), shownConnections)] {
		one := c.open[number]
		out = append(out, admin.ConnectionStatus{
			Conn: one.number, Cluster: one.cluster, Node: one.node, Client: one.client,
			Target: one.target, AgeSeconds: admin.Seconds(now.Sub(one.since)),
		})
	}
	return out
}
