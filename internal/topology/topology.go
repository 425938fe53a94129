// Package topology knows which local port leads to which broker.
//
// It learns from responses: each one that carries broker addresses is given to
// [Topology.Map], which writes local addresses in their place and, before the
// client hears of a node for the first time, opens the node's port through a
// [Binder]. A connection to a broker port asks [Topology.Resolve] where it leads.
//
//	broker says   node 1 at kafka-1.onprem.corp:9092
//	rules say     virtual host vkafka-1:19092          (package addressmap)
//	client hears  node 1 at localhost:19101            (its home: first + id mod size)
//
// A node keeps its port for the life of the process. It gets its home if that is
// free, else, as a guest, the highest free port of the range, so that instances
// that learn the same nodes agree on ports. The homes of the ids 0 to 9 are bound
// from the start: a client that still knows a port from an earlier life finds it
// open and waits there until the node is known.
//
// The package opens no sockets itself and does not dial.
package topology

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// A Target is where a connection leads: a virtual host and port of the Cloud
// Connector with this Location ID.
type Target struct {
	Host       string
	Port       uint16
	LocationID string
	// ServerName is whom the certificate of the broker must be for; "": no TLS.
	ServerName string
}

// String returns host:port.
func (t Target) String() string {
	if t.Host == "" {
		return "" // nothing was looked for yet
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
}

// A Binder opens and closes local ports. Implementations accept connections on
// an open port at once; what they lead to is asked of [Topology.Resolve].
type Binder interface {
	// Bind opens port, or any port for 0, and returns its number.
	Bind(port uint16) (uint16, error)
	// Connections returns how many connections are open on port.
	Connections(port uint16) int
	// Owns reports whether port is one of the tunnel's own, so that nothing is
	// dialled in a circle.
	Owns(port uint16) bool
}

// Names are how addresses are translated. They may change, see [Topology.Follow].
type Names struct {
	Bootstrap  []Target
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
	// Report hears of failures and of addresses that were refused; nil: nobody.
	Report func(*failure.Failure)
	// Unmapped counts addresses that were hidden; nil: nobody counts.
	Unmapped func()
	// GivenUp hears of a node whose port went to another one; nil: nobody.
	GivenUp func(node int32)
	Logger  *slog.Logger // nil: silent
}

// A Node is what is known of one broker.
type Node struct {
	ID          int32
	Advertised  string // host:port as the broker says it
	Virtual     Target
	Local       uint16
	Connections int
	LastSeen    time.Time
}

// Topology is safe for concurrent use.
type Topology struct {
	opts Options

	mu      sync.Mutex
	nodes   map[int32]*node
	ports   map[uint16]*node // value nil: bound as a home, its node not known yet
	changed chan struct{}    // closed and replaced when a port gets a node
	implied bool             // the implied rule was logged
}

type node struct {
	id         int32
	advertised string
	target     Target
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
		opts.Unmapped = func() {}
	}
	return &Topology{
		opts:    opts,
		nodes:   map[int32]*node{},
		ports:   map[uint16]*node{},
		changed: make(chan struct{}),
	}
}

// BindHomes opens the homes of the ids 0 to 9. A home that is taken by another
// process is left out: its node becomes a guest.
func (t *Topology) BindHomes() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ephemeral() {
		return
	}
	for id := int32(0); id < prebound && int(id) < t.size(); id++ {
		port := t.home(id)
		if _, err := t.opts.Binder.Bind(port); err != nil {
			t.opts.Logger.Warn("a broker port is taken; its broker will get another one", "port", port, "error", err)
			continue
		}
		t.ports[port] = nil
	}
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
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	single := t.singleBroker(endpoints)
	for i := range endpoints {
		e := &endpoints[i]
		target, err := t.target(e, single)
		if err != nil {
			t.hide(e, err)
			continue
		}
		t.know(e, target, now)
	}
	t.place(endpoints, now)
	for i := range endpoints {
		e := &endpoints[i]
		if e.Hidden {
			continue
		}
		n := t.nodes[e.NodeID]
		if n == nil || n.port == 0 {
			// Not kept: what has no port must not fill memory either.
			delete(t.nodes, e.NodeID)
			t.hide(e, failure.New(failure.NoPort, nil).For(strconv.Itoa(int(e.NodeID)), ""))
			continue
		}
		e.Host, e.Port = t.opts.Advertise, int32(n.port)
	}
	return nil
}

func (t *Topology) hide(e *kafka.Endpoint, why *failure.Failure) {
	e.Hidden = true
	t.opts.Report(why)
	t.opts.Unmapped()
}

// Follow translates by other names from now on, known nodes too: the next connection to
// one leads to its new address. Where a node has none, the next response decides.
func (t *Topology) Follow(names Names) {
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
		if target, failed := t.target(&e, len(t.nodes) == 1); failed == nil {
			t.know(&e, target, n.seen)
		}
	}
}

// singleBroker reports whether all that is known, with this response, is one
// node.
func (t *Topology) singleBroker(endpoints []kafka.Endpoint) bool {
	if len(endpoints) == 0 || len(t.nodes) > 1 {
		return false
	}
	id := endpoints[0].NodeID
	for _, e := range endpoints {
		if e.NodeID != id {
			return false
		}
	}
	_, known := t.nodes[id]
	return known || len(t.nodes) == 0
}

// target translates an advertised address (R7).
func (t *Topology) target(e *kafka.Endpoint, single bool) (Target, *failure.Failure) {
	advertised := net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	if e.NodeID < 0 || e.Port < 1 || e.Port > 65535 {
		return Target{}, failure.New(failure.UnmappedAddress, nil).For(advertised, "").With("node " + strconv.Itoa(int(e.NodeID)))
	}
	if to, ok := t.opts.Rules.Translate(e.NodeID, e.Host, uint16(e.Port)); ok {
		target := Target{Host: to.Host, Port: to.Port, LocationID: t.opts.LocationID, ServerName: t.serverName(e.Host)}
		if to.LocationID != nil {
			target.LocationID = *to.LocationID
		}
		return target, nil
	}
	target := Target{Host: e.Host, Port: uint16(e.Port), LocationID: t.opts.LocationID, ServerName: t.serverName(e.Host)}
	if !localOnly(e.Host) {
		return target, nil
	}
	if t.opts.Direct && !t.opts.Binder.Owns(target.Port) {
		return target, nil
	}
	// One broker behind one virtual address: there is only one place that the
	// broker can be, so the rule that a user would have to write is implied.
	if single && len(t.opts.Bootstrap) == 1 && !t.opts.Direct {
		if !t.implied {
			t.implied = true
			t.opts.Logger.Info("the broker advertises a loopback address; it is reached at the bootstrap address",
				"advertised", advertised, "implied_rule", `{from: "`+advertised+`", to: "`+t.opts.Bootstrap[0].String()+`"}`)
		}
		return t.opts.Bootstrap[0], nil
	}
	return Target{}, failure.New(failure.AdvertisedLoopback, nil).For(advertised, t.opts.LocationID)
}

func (t *Topology) serverName(advertised string) string {
	if t.opts.ServerName == nil {
		return ""
	}
	return t.opts.ServerName(advertised)
}

// localOnly reports whether a host means the machine on which it is used.
func localOnly(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast())
}

// know records what a response says of a node.
func (t *Topology) know(e *kafka.Endpoint, target Target, now time.Time) {
	n := t.nodes[e.NodeID]
	if n == nil {
		n = &node{id: e.NodeID}
		t.nodes[e.NodeID] = n
	}
	if n.target != target && n.port != 0 {
		t.opts.Logger.Info("a broker has moved", "node", n.id, "from", n.target.String(), "to", target.String())
	}
	n.advertised = net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	n.target, n.seen = target, now
}

// Resolve returns where a connection to a local broker port leads and the id of
// its node. If the node is not known yet it waits until it is or ctx ends.
func (t *Topology) Resolve(ctx context.Context, port uint16) (Target, int32, error) {
	for {
		t.mu.Lock()
		n, changed := t.ports[port], t.changed
		var target Target
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
			return Target{}, -1, failure.New(failure.NodeUnknown, ctx.Err()).For(strconv.Itoa(int(port)), "")
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
