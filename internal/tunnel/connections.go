package tunnel

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/set"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// shownConnections is how many open connections /status shows.
const shownConnections = 100

// connections are the open client connections.
type connections struct {
	mu   sync.Mutex // guards what follows
	last uint64
	open set.Set[*entry]
}

// An entry is the part of a client connection that is shown.
type entry struct {
	set.Member // of connections.open

	tap.Connection // its number is set by add
	since          time.Time
	target         string // "" until it is reached; guarded by connections.mu
}

// add gives a connection its number.
func (c *connections) add(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	e.Number, e.since = c.last, time.Now()
	c.open.Add(e)
}

// reached records the target of a connection.
func (c *connections) reached(e *entry, target string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.target = target
}

func (c *connections) remove(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open.Remove(e)
}

// status returns the newest connections.
func (c *connections) status(now time.Time) []admin.ConnectionStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.open.All())
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(b.Number, a.Number) })
	var out []admin.ConnectionStatus
	for _, e := range all[:min(len(all), shownConnections)] {
		out = append(out, admin.ConnectionStatus{
			Conn: e.Number, Cluster: e.Cluster, Node: e.Node, Client: e.Client,
			Target: e.target, AgeSeconds: admin.Seconds(now.Sub(e.since)),
		})
	}
	return out
}
