// Package brokers is the lab's Kafka: a kfake cluster whose brokers advertise configurable
// names.
//
//	c, err := brokers.Start(brokers.Options{Brokers: []brokers.Spec{
//		{ID: 1, Advertise: "kafka-1.onprem.invalid:9092"},
//		{ID: 2, Advertise: "kafka-2.onprem.invalid:9092"},
//	}})
//	defer c.Close()
//
// Each broker listens on a loopback port of its own and returns the advertised name in Metadata
// and all other responses. Topics are created on first use.
//
// kfake trusts its clients: a request with an unknown API key ends the process, and a length
// field of 4 GB is allocated. A guard therefore reads the head of each frame first. If kfake
// cannot process the frame, the guard closes the connection, like a real broker; it forwards an
// ApiVersions request of an unknown version in a form that kfake answers with
// UNSUPPORTED_VERSION (KIP-511).
//
// The guard does not check the rest of a frame. kfake closes the connection if it cannot read
// it; but a forged number of tagged fields can keep the goroutine of that connection counting
// for a minute.
//
// [Cluster.Kafka] returns the kfake cluster for tests that script single responses, move
// partitions or inspect groups. The data is in memory or in a directory. It is not real Kafka:
// no replication, no quotas, one goroutine.
package brokers

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
	"github.com/twmb/franz-go/pkg/kfake"
)

// maxID limits node ids: kfake creates its first brokers with ids from 0, and those that are
// not wanted are removed.
const maxID = 1000

// partitions is the number of partitions of topics that are created on first use.
const partitions = 3

// A Spec describes a broker.
type Spec struct {
	ID        int32    // node id, 0 to 1000
	Advertise string   // advertised "host:port"; need not resolve
	Aliases   []string // further addresses that select it in faults
	Names     []string // hosts in its certificate; none: the advertised one
}

// Options describe the cluster.
type Options struct {
	Brokers []Spec // at least one; the one with the highest id is the controller
	// Authority issues the certificates of the brokers, which then require TLS; nil: plaintext.
	Authority *authority.Authority
	Listen    string       // address of each broker, default 127.0.0.1:0; the port must be 0 with several
	DataDir   string       // directory for topics and groups; "": in memory
	Faults    *faults.Set  // may be nil
	Logger    *slog.Logger // nil: no log
	Kafka     []kfake.Opt  // further options of kfake
}

// A Cluster is a running cluster.
type Cluster struct {
	opts    Options
	kafka   *kfake.Cluster
	table   atomic.Pointer[apiTable]
	refused atomic.Int64
	conns   sync.WaitGroup // guarded connections that kfake has not closed

	mu      sync.Mutex
	pending []*Broker // those for which kfake requests listeners next, in that order
	brokers []*Broker
	closed  bool
}

// A Broker is one broker of a cluster.
type Broker struct {
	id      int32
	aliases []string
	names   []string
	port    *port.Port // nil: it only fills a gap in the ids

	issue   sync.Once // guards the next two
	cert    tls.Certificate
	certErr error

	gone       chan struct{} // closed by the listener's Close
	closing    sync.Once
	advertised atomic.Pointer[advertised]
}

// ID returns the node id.
func (b *Broker) ID() int32 { return b.id }

// Address returns the address on which the broker listens.
func (b *Broker) Address() string { return b.port.String() }

// Advertised returns the address that it advertises.
func (b *Broker) Advertised() string { return string(*b.advertised.Load()) }

// Advertise makes the broker advertise another "host:port" from now on.
func (b *Broker) Advertise(address string) {
	a := advertised(address)
	b.advertised.Store(&a)
}

// Reset resets the broker's open connections.
func (b *Broker) Reset() { b.port.Reset() }

// Open returns the number of its open connections.
func (b *Broker) Open() int { return b.port.Open() }

// Start starts a cluster.
func Start(opts Options) (*Cluster, error) {
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	highest, err := checkSpecs(opts.Brokers)
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: opts}
	c.table.Store(onlyApiVersions())
	if err := c.startKafka(highest); err != nil {
		return nil, err
	}
	if err := c.learnAPIs(); err != nil {
		c.Close()
		return nil, err
	}
	opts.Faults.OnChange(c.followFaults)
	c.followFaults()
	return c, nil
}

// checkSpecs validates specs and returns the highest id.
func checkSpecs(specs []Spec) (highest int32, err error) {
	if len(specs) == 0 {
		return 0, errors.New("a cluster needs a broker")
	}
	seen := make(map[int32]bool)
	for _, s := range specs {
		if s.ID < 0 || s.ID > maxID {
			return 0, fmt.Errorf("node id %d is not within 0 to %d", s.ID, maxID)
		}
		if seen[s.ID] {
			return 0, fmt.Errorf("two brokers with node id %d", s.ID)
		}
		seen[s.ID] = true
		if err := checkAddress(s.Advertise); err != nil {
			return 0, err
		}
		highest = max(highest, s.ID)
	}
	return highest, nil
}

// checkAddress validates an advertised address.
func checkAddress(address string) error {
	host, p, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return fmt.Errorf("advertised address %q is not host:port", address)
	}
	if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("advertised address %q has no port", address)
	}
	return nil
}

// startKafka starts kfake with brokers 0 to highest and removes those that were not requested.
// The controller must be among the first that kfake creates, and it is the last of these;
// without it no topic could be created.
func (c *Cluster) startKafka(highest int32) error {
	specs := slices.Clone(c.opts.Brokers)
	slices.SortFunc(specs, func(a, b Spec) int { return int(a.ID - b.ID) })
	c.pending = make([]*Broker, highest+1)
	for id := range c.pending {
		c.pending[id] = newBroker(Spec{ID: int32(id), Advertise: "unused.invalid:1"})
	}
	for _, s := range specs {
		b := newBroker(s)
		var err error
		if b.port, err = port.Listen(c.opts.Listen); err != nil {
			c.closePorts()
			return fmt.Errorf("broker %d: %w", s.ID, err)
		}
		c.pending[s.ID] = b
		c.brokers = append(c.brokers, b)
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(int(highest) + 1),
		kfake.ListenFn(c.listen),
		kfake.WithLogger(logger{c.opts.Logger}),
		kfake.ClusterID("kafka-tunnel-lab"),
		kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(partitions),
	}
	if c.opts.DataDir != "" {
		opts = append(opts, kfake.DataDir(c.opts.DataDir))
	}
	kafka, err := kfake.NewCluster(append(opts, c.opts.Kafka...)...)
	if err != nil {
		c.closePorts()
		return fmt.Errorf("starting the brokers: %w", err)
	}
	c.kafka = kafka
	for id := range highest {
		if c.Broker(id) == nil {
			if err := kafka.RemoveNode(id); err != nil {
				c.Close()
				return fmt.Errorf("removing the unused node %d: %w", id, err)
			}
		}
	}
	return nil
}

// newBroker returns a broker that does not listen yet.
func newBroker(s Spec) *Broker {
	b := &Broker{id: s.ID, aliases: s.Aliases, names: s.Names, gone: make(chan struct{})}
	if host, _, err := net.SplitHostPort(s.Advertise); err == nil && len(b.names) == 0 {
		b.names = []string{host}
	}
	b.Advertise(s.Advertise)
	return b
}

// Kafka returns the kfake cluster.
func (c *Cluster) Kafka() *kfake.Cluster { return c.kafka }

// Brokers returns the brokers by ascending id.
func (c *Cluster) Brokers() []*Broker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.brokers)
}

// Broker returns the broker with that id, or nil.
func (c *Cluster) Broker(id int32) *Broker {
	for _, b := range c.Brokers() {
		if b.id == id {
			return b
		}
	}
	return nil
}

// Refused returns how many requests the guard did not forward to kfake.
func (c *Cluster) Refused() int64 { return c.refused.Load() }

// Add starts one more broker. Partitions get new leaders.
func (c *Cluster) Add(s Spec) (*Broker, error) {
	if _, err := checkSpecs([]Spec{s}); err != nil {
		return nil, err
	}
	b := newBroker(s)
	var err error
	if b.port, err = port.Listen(c.opts.Listen); err != nil {
		return nil, fmt.Errorf("broker %d: %w", s.ID, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		b.port.Close()
		return nil, errors.New("the cluster is closed")
	}
	c.pending = []*Broker{b}
	if _, _, err := c.kafka.AddNode(s.ID, 0); err != nil {
		b.port.Close()
		return nil, fmt.Errorf("broker %d: %w", s.ID, err)
	}
	c.brokers = append(c.brokers, b)
	slices.SortFunc(c.brokers, func(a, b *Broker) int { return int(a.id - b.id) })
	return b, nil
}

// Remove takes a broker out of the cluster for good. The controller, which has
// the highest id of those at the start, cannot be removed.
func (c *Cluster) Remove(id int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errors.New("the cluster is closed")
	}
	if controller := slices.MaxFunc(c.opts.Brokers, func(a, b Spec) int { return int(a.ID - b.ID) }); controller.ID == id {
		return fmt.Errorf("broker %d is the controller", id)
	}
	if err := c.kafka.RemoveNode(id); err != nil {
		return err
	}
	c.brokers = slices.DeleteFunc(c.brokers, func(b *Broker) bool { return b.id == id })
	return nil
}

// followFaults closes and opens the brokers' ports according to the faults.
func (c *Cluster) followFaults() {
	for _, b := range c.Brokers() {
		down := false
		for _, name := range append([]string{b.Advertised(), b.Address()}, b.aliases...) {
			if _, ok := c.opts.Faults.Active(faults.BrokerDown, faults.Where{Target: name, Node: strconv.Itoa(int(b.id))}); ok {
				down = true
			}
		}
		if err := b.port.SetDown(down); err != nil {
			c.opts.Logger.Error("broker cannot restart", "node", b.id, "error", err)
		}
	}
}

// Close stops the cluster, saves its data and waits for its connections.
func (c *Cluster) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	c.mu.Unlock()
	c.kafka.Close()
	c.closePorts()
	c.conns.Wait()
}

// closePorts closes all ports.
func (c *Cluster) closePorts() {
	for _, b := range c.Brokers() {
		b.port.Close()
	}
}

// logger passes kfake's log to ours.
type logger struct{ *slog.Logger }

// Logf logs kfake's errors and warnings as such and everything else at debug level.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError, kfake.LogLevelWarn:
		l.Warn("kfake: " + fmt.Sprintf(format, args...))
	default:
		l.Debug("kfake: " + fmt.Sprintf(format, args...))
	}
}
