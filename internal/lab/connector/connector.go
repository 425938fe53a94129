// Package connector simulates SAP's Cloud Connectors, which are the end of the route in the
// company's network.
//
// A [Registry] has the connectors by tenant and Location ID. Each has an access-control list
// from virtual host and port (or a range of ports) to internal address. The connectivity proxy
// calls the registry to open a connection and relays a client through it:
//
//	link, err := registry.Connect(ctx, connector.Target{Tenant: zid, LocationID: "LOC1", Host: "kafka-1.onprem.invalid", Port: 9092})
//	...
//	link.Relay(client)
//
// The errors determine the reply of the proxy: [ErrAway], [ErrNotAllowed], [ErrUnreachable],
// [ErrFull].
//
// A relay passes on how a side ends: FIN as FIN, in one direction if the other continues
// (unless half_close changes this), and RST as RST. It moves bytes in the kernel if possible,
// and through a slow path while a fault (stall, trickle, latency, bandwidth, a cut after N
// bytes or at a time) applies; faults also affect open connections.
//
// One connection is one connection to the broker; the package does not interpret its bytes and
// does not use TLS itself.
//
// Facts: SAP-docs/btp-connectivity, "configure access control (TCP)", "adding
// and managing subaccounts", "master and shadow administration".
package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// The results of a request to connect, with the proxy's reply codes.
var (
	// ErrAway: no Cloud Connector with that Location ID is connected to the
	// tenant's subaccount (03).
	ErrAway = errors.New("no Cloud Connector with this Location ID is connected to the subaccount")
	// ErrNotAllowed: no access-control entry for the virtual address (02).
	ErrNotAllowed = errors.New("no access-control entry for this virtual host and port")
	// ErrUnreachable: the internal address does not answer (04).
	ErrUnreachable = errors.New("the internal address cannot be reached")
	// ErrFull: a fault limits the number of connections (01).
	ErrFull = errors.New("no more connections can be open")
)

// A Target is the destination of a request to the proxy.
type Target struct {
	Tenant     string
	LocationID string
	Host       string
	Port       uint16
	// Expires is when the client's token expires; zero: never.
	Expires time.Time
}

// Address returns the virtual "host:port".
func (t Target) Address() string { return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) }

// An Entry is one line of the access control: it maps virtual ports First to Last of Host to
// internal ports from InternalFirst of Internal. The host is compared without regard to case.
// SAP allows ranges only with equal ports on both sides.
type Entry struct {
	Host          string `json:"host"`
	First         uint16 `json:"first"`
	Last          uint16 `json:"last"`
	Internal      string `json:"internal"`
	InternalFirst uint16 `json:"internal_first"`
}

// String returns "host:port -> host:port" or "host:low-high -> host:low-high".
func (e Entry) String() string {
	ports := func(host string, first uint16) string {
		s := net.JoinHostPort(host, strconv.Itoa(int(first)))
		if e.Last > e.First {
			s += "-" + strconv.Itoa(int(first+e.Last-e.First))
		}
		return s
	}
	return ports(e.Host, e.First) + " -> " + ports(e.Internal, e.InternalFirst)
}

// covers reports whether the entry exposes that address.
func (e Entry) covers(host string, port uint16) bool {
	return strings.EqualFold(e.Host, host) && e.First <= port && port <= e.Last
}

// check validates an entry.
func (e Entry) check() error {
	switch {
	case e.Host == "" || e.Internal == "":
		return fmt.Errorf("access-control entry %s: the host is missing", e)
	case e.First == 0 || e.InternalFirst == 0 || e.Last < e.First:
		return fmt.Errorf("access-control entry %s: the ports are not valid", e)
	case e.Last > e.First && e.InternalFirst != e.First:
		return fmt.Errorf("access-control entry %s: a range must have the same ports on both sides", e)
	case int(e.InternalFirst)+int(e.Last-e.First) > 65535:
		return fmt.Errorf("access-control entry %s: the range ends beyond 65535", e)
	}
	return nil
}

// Options are the options of all connectors of a registry. The zero value is ready to use.
type Options struct {
	// Dial opens connections in the company's network; it must return a
	// *net.TCPConn. Nil: a plain dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DialTimeout limits a dial, default 10 s.
	DialTimeout time.Duration
	Faults      *faults.Set
	Logger      *slog.Logger
}

// A Registry has the connectors of all tenants.
type Registry struct {
	opts Options

	mu     sync.Mutex
	list   []*Connector
	links  map[*Link]struct{}
	closed bool
}

// New returns an empty registry.
func New(opts Options) *Registry {
	if opts.Dial == nil {
		opts.Dial = new(net.Dialer).DialContext
	}
	if opts.DialTimeout == 0 {
		opts.DialTimeout = 10 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Registry{opts: opts, links: make(map[*Link]struct{})}
	opts.Faults.OnChange(r.followFaults)
	opts.Faults.OnNow(faults.LinkReset, func(f faults.Fault) {
		r.resetWhere(func(l *Link) bool {
			return f.Matches(l.where)
		})
	})
	return r
}

// Add registers a connector, connected, for a tenant and a Location ID ("" for
// none). Location IDs are unique in a subaccount.
func (r *Registry) Add(tenant, locationID string, entries ...Entry) (*Connector, error) {
	c := &Connector{registry: r, tenant: tenant, location: locationID, connected: true}
	for _, e := range entries {
		if err := c.Allow(e); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.find(tenant, locationID) != nil {
		return nil, fmt.Errorf("subaccount %s has a Cloud Connector with Location ID %q already", tenant, locationID)
	}
	r.list = append(r.list, c)
	return c, nil
}

// Connectors returns all connectors, in the order in which they were added.
func (r *Registry) Connectors() []*Connector {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// find returns a connector or nil. The caller holds the lock.
func (r *Registry) find(tenant, locationID string) *Connector {
	for _, c := range r.list {
		if c.tenant == tenant && c.location == locationID {
			return c
		}
	}
	return nil
}

// Connect opens a connection to the internal address that the connector of the target's tenant
// and Location ID exposes under the virtual address. The caller ends the link with Relay or
// Close.
func (r *Registry) Connect(ctx context.Context, to Target) (*Link, error) {
	where := faults.Where{Target: to.Address(), LocationID: to.LocationID}
	r.mu.Lock()
	c := r.find(to.Tenant, to.LocationID)
	r.mu.Unlock()
	if c == nil || r.away(c) {
		return nil, ErrAway
	}
	internal, ok := c.resolve(to.Host, to.Port)
	if !ok {
		return nil, ErrNotAllowed
	}
	if _, removed := r.opts.Faults.Take(faults.AccessRemoved, where); removed {
		return nil, ErrNotAllowed
	}
	if r.isFull(where) {
		return nil, ErrFull
	}
	backend, err := r.dial(ctx, internal)
	if err != nil {
		return nil, err
	}
	l := newLink(r, c, where, internal, backend)
	l.expires = to.Expires
	r.mu.Lock()
	closed := r.closed
	full := !closed && r.full(where) // others may have been opened during the dial
	if !closed && !full {
		r.links[l] = struct{}{}
	}
	r.mu.Unlock()
	if full {
		l.Close()
		return nil, ErrFull
	}
	// Checked again: the connector may have disconnected during the dial, when the link was not
	// yet in the list of those that are reset.
	if closed || r.away(c) {
		l.Close()
		return nil, ErrAway
	}
	return l, nil
}

// isFull is full for callers that do not hold the lock.
func (r *Registry) isFull(where faults.Where) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full(where)
}

// full reports whether a fault prevents further connections. The caller holds the lock.
func (r *Registry) full(where faults.Where) bool {
	f, limited := r.opts.Faults.Active(faults.ConnectionLimit, where)
	if !limited {
		return false
	}
	open := 0
	for l := range r.links {
		if f.Matches(l.where) {
			open++
		}
	}
	if open < f.Limit {
		return false
	}
	r.opts.Faults.Take(faults.ConnectionLimit, where) // counts the hit
	return true
}

// dial opens a connection in the company's network.
func (r *Registry) dial(ctx context.Context, internal string) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.DialTimeout)
	defer cancel()
	conn, err := r.opts.Dial(ctx, "tcp", internal)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, internal, err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("%w: %s: the dialer returned a %T, not a TCP connection", ErrUnreachable, internal, conn)
	}
	return tcp, nil
}

// away reports whether a connector is not connected.
func (r *Registry) away(c *Connector) bool {
	if !c.Connected() {
		return true
	}
	at := faults.Where{LocationID: c.location}
	_, gone := r.opts.Faults.Active(faults.ConnectorAway, at)
	_, failing := r.opts.Faults.Active(faults.ConnectorFailover, at)
	return gone || failing
}

// noticeTime limits how long a change of the faults waits until the links have noticed it.
const noticeTime = 20 * time.Millisecond

// followFaults resets the links of disconnected connectors and makes the others check the
// faults again. When it returns, no bytes move according to the old faults, except on links
// that are blocked because a side does not read.
func (r *Registry) followFaults() {
	r.resetWhere(func(l *Link) bool { return r.away(l.connector) })
	links := r.snapshot()
	kicks := make([]uint64, len(links))
	for i, l := range links {
		kicks[i] = l.kick()
	}
	ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
	defer cancel()
	for i, l := range links {
		l.awaitNotice(kicks[i], ctx.Done())
	}
}

// resetWhere resets the links that match.
func (r *Registry) resetWhere(match func(*Link) bool) {
	for _, l := range r.snapshot() {
		if match(l) {
			l.Close()
		}
	}
}

// snapshot returns the open links.
func (r *Registry) snapshot() []*Link {
	r.mu.Lock()
	defer r.mu.Unlock()
	links := make([]*Link, 0, len(r.links))
	for l := range r.links {
		links = append(links, l)
	}
	return links
}

// drop removes an ended link from the list.
func (r *Registry) drop(l *Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.links, l)
}

// Open returns the number of open links.
func (r *Registry) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.links)
}

// Close resets all links and prevents new ones. The callers of Relay wait for their links.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.resetWhere(func(*Link) bool { return true })
}
