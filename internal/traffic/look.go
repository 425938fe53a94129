package traffic

import (
	"cmp"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// The windows for figures: a sample every ten seconds, for a minute.
const (
	windows     = 7
	windowLasts = 10 * time.Second
)

// A Stall is a node that leaves requests unanswered.
type Stall struct {
	Node    string
	Target  hostport.Target // target of one of the clients
	Clients int             // connections with a late request
	Oldest  time.Duration   // how long the oldest request is late
	Since   time.Time       // when the first late request became due
	At      time.Time       // when a late request was last seen
}

// Events are the changes since the previous look.
type Events struct {
	Stalled   []Stall
	Recovered []Stall
}

// Look checks all connections. The caller calls it about once a second while connections are
// open or a node is unresponsive.
func (c *Cluster) Look() Events {
	now := time.Now()
	var e Events
	for _, n := range c.all() {
		n.look(now, &e)
	}
	return e
}

func (n *Node) look(now time.Time, e *Events) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last := n.newest(); now.Sub(last.at) >= windowLasts {
		n.keep(now)
	}
	inTime := n.inTime.Swap(false)
	late := n.flight().late
	switch {
	case late.Clients > 0:
		late.Node, late.At, n.late = n.name, now, now
		late.Since = now.Add(-late.Oldest)
		if n.stall == nil {
			e.Stalled = append(e.Stalled, late)
		} else {
			late.Since = n.stall.Since
		}
		n.stall = &late
	case n.stall == nil:
	case inTime, now.Sub(n.late) >= calm:
		e.Recovered = append(e.Recovered, *n.stall)
		n.stall = nil
	}
}

// flying are the requests in flight at one time.
type flying struct {
	requests int
	oldest   time.Duration
	late     Stall
}

// flight queries the open connections. The caller holds n.mu.
func (n *Node) flight() flying {
	var f flying
	for _, c := range n.open.All() {
		requests, oldest := c.inFlight.InFlight()
		f.requests += requests
		f.oldest = max(f.oldest, oldest)
		if oldest >= Late {
			f.late.Clients++
			if oldest >= f.late.Oldest {
				f.late.Oldest, f.late.Target = oldest, c.Target
			}
		}
	}
	return f
}

func (n *Node) newest() *sample { return &n.kept[(n.next+windows-1)%windows] }

// keep stores a sample. The caller holds n.mu.
func (n *Node) keep(now time.Time) {
	n.kept[n.next] = n.sample(now)
	n.next = (n.next + 1) % windows
}

// Figures are the figures of a node in the status.
type Figures struct {
	PerSecond float64       // answers, averaged over about the last minute
	P50, P99  time.Duration // of those answers; zero: none
	InFlight  int
	Oldest    time.Duration // age of the oldest unanswered request
	Resets    int           // in about the last minute
	Total     uint64        // resets
}

// Figures returns the figures of all nodes together, and by name.
func (c *Cluster) Figures() (together Figures, nodes map[string]Figures) {
	now := time.Now()
	nodes = map[string]Figures{}
	var sum counts
	for _, n := range c.all() {
		f, answers := n.figures(now)
		nodes[n.name] = f
		sum.add(&answers)
		together.PerSecond += f.PerSecond
		together.InFlight += f.InFlight
		together.Oldest = max(together.Oldest, f.Oldest)
		together.Resets += f.Resets
		together.Total += f.Total
	}
	together.P50, together.P99 = sum.percentile(0.5), sum.percentile(0.99)
	return together, nodes
}

func (n *Node) figures(now time.Time) (Figures, counts) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sample(now)
	before := n.before(&s)
	fly := n.flight()
	answers := s.since(before)
	f := Figures{
		P50: answers.percentile(0.5), P99: answers.percentile(0.99),
		InFlight: fly.requests, Oldest: fly.oldest, Resets: int(s.resets - before.resets), Total: s.resets,
	}
	if took := now.Sub(before.at); took > 0 {
		f.PerSecond = float64(answers.measured+int(s.other-before.other)) / max(took, time.Second).Seconds()
	}
	return f, answers
}

// before returns the oldest sample of about the last minute before now, or now itself if there
// is none because no connection was open for so long. The caller holds n.mu.
func (n *Node) before(now *sample) *sample {
	for i := range windows {
		s := &n.kept[(n.next+i)%windows]
		if !s.at.IsZero() && now.at.Sub(s.at) <= windows*windowLasts {
			return s
		}
	}
	return now
}

// Flight returns the requests in flight by node, without the other figures.
func (c *Cluster) Flight(each func(node string, requests int, oldest time.Duration)) {
	for _, n := range c.all() {
		n.mu.Lock()
		f := n.flight()
		n.mu.Unlock()
		each(n.name, f.requests, f.oldest)
	}
}

// Stalls returns the nodes that leave requests unanswered, by name.
func (c *Cluster) Stalls() []Stall {
	var list []Stall
	for _, n := range c.all() {
		n.mu.Lock()
		if n.stall != nil {
			list = append(list, *n.stall)
		}
		n.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b Stall) int { return cmp.Compare(a.Node, b.Node) })
	return list
}
