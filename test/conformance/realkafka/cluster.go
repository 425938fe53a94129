// Package realkafka runs Apache Kafka on this machine: combined KRaft nodes, downloaded by
// Maven coordinates and started with as little processor time and memory as a JVM allows.
//
//	jars, err := realkafka.Jars(ctx, "pom.xml")
//	cluster, err := realkafka.Start(ctx, realkafka.Options{
//		Jars: jars, Brokers: 3, Dir: t.TempDir(),
//		Advertise: func(id, _ int) string { return fmt.Sprintf("kafka-%d.onprem.invalid:9092", id) },
//	})
//	defer cluster.Close()
//
// Every broker has two listeners: Broker.Client, which advertises the addresses that Advertise
// returns, and Broker.Internal, which advertises its own address and is the direct route for a
// test that checks the contents of a topic.
//
// Options.Doors adds listeners with TLS and SASL (security.go).
//
// The package does not know the tunnel. Whatever the listeners require, the brokers are
// unprotected on 127.0.0.1: suitable only for tests.
package realkafka

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
)

// stopGrace is how long a broker may take for a controlled shutdown.
const stopGrace = 20 * time.Second

// Options describe a cluster.
type Options struct {
	Jars     Classpath
	Release  Release  // of the jars; the zero value is one without ZooKeeper
	Brokers  int      // number of nodes, ids from 1
	IDs      []int    // instead of 1 to Brokers
	Racks    bool     // each broker has a rack of its own: rack-ID
	Settings []string // further lines of their server.properties
	Heap     string   // of each broker's JVM, for -Xmx; empty: 160m
	Dir      string   // an empty directory for data, settings and logs
	// Advertise returns the host:port that broker id advertises on its client listener, whose
	// real address is 127.0.0.1:port.
	Advertise func(id, port int) string
	Doors     []Door // further listeners
	Users     []User // users of the SASL listeners

	zookeeper int                  // its port
	authority *authority.Authority // of the brokers' certificates; nil without doors
}

// A Broker is one node.
type Broker struct {
	ID         int
	Rack       string
	Advertised string // its advertised address
	Client     string // the real address of that listener
	Internal   string // the listener that advertises its own address
	Doors      map[string]Listener

	dir  string
	args []string
	proc *proc.Process
}

// A Cluster is a running Kafka cluster.
type Cluster struct {
	Brokers   []*Broker
	CA        string // CA file for the listeners with TLS
	dir       string
	zookeeper *proc.Process // nil: not needed

	// The settings of brokers that join later; see change.go.
	id      string
	options Options
	voters  []ports
	archive string
}

// Start formats and starts all nodes and returns when each of them serves and knows all others.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	for id := 1; id <= o.Brokers && len(o.IDs) < o.Brokers; id++ {
		o.IDs = append(o.IDs, id)
	}
	each := 3 + len(o.Doors)
	free, err := FreePorts(each*len(o.IDs) + 1)
	if err != nil {
		return nil, err
	}
	all := make([]ports, len(o.IDs))
	for i := range all {
		own := free[each*i : each*(i+1)]
		all[i] = ports{id: o.IDs[i], client: own[0], internal: own[1], controller: own[2], doors: own[3:]}
	}
	c := &Cluster{dir: o.Dir}
	if len(o.Doors) > 0 {
		c.CA = filepath.Join(o.Dir, "ca.pem")
		if o.authority, err = authority.New("test authority"); err != nil {
			return nil, fmt.Errorf("realkafka: %w", err)
		}
		if err := errors.Join(os.MkdirAll(o.Dir, 0o755), os.WriteFile(c.CA, o.authority.PEM(), 0o644)); err != nil {
			return nil, fmt.Errorf("realkafka: %w", err)
		}
	}
	if o.Release.ZooKeeper {
		o.zookeeper = free[len(free)-1]
		if err := c.startZooKeeper(ctx, o.Jars, o.zookeeper); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		if err := c.addScramUsers(ctx, o); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.prepareAll(ctx, o, all); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, b := range c.Brokers {
		if err := b.start(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.waitReady(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepareAll creates all brokers, ready to be started.
func (c *Cluster) prepareAll(ctx context.Context, o Options, all []ports) error {
	if !o.Release.ZooKeeper {
		c.archive = o.Jars.archive(ctx)
	}
	c.id, c.options, c.voters = newID(), o, all
	var formats errgroup.Group
	for i := range all {
		b, settings, err := prepare(o, all[i], all)
		if err != nil {
			return err
		}
		b.args = o.brokerArgs(c.archive, settings)
		c.Brokers = append(c.Brokers, b)
		if !o.Release.ZooKeeper {
			formats.Go(func() error { return o.Jars.format(ctx, b.dir, c.id, settings, scramUsers(o.Users)...) })
		}
	}
	return formats.Wait()
}

// prepare creates the directory and the settings of a broker. all are the brokers with which
// the cluster begins.
func prepare(o Options, at ports, all []ports) (b *Broker, settings string, err error) {
	id := at.id
	b = &Broker{
		ID:         id,
		Advertised: o.Advertise(id, at.client),
		Client:     fmt.Sprintf("127.0.0.1:%d", at.client),
		Internal:   fmt.Sprintf("127.0.0.1:%d", at.internal),
		dir:        filepath.Join(o.Dir, fmt.Sprintf("broker-%d", id)),
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return nil, "", fmt.Errorf("realkafka: %w", err)
	}
	settings = filepath.Join(b.dir, "server.properties")
	if o.Racks {
		b.Rack = fmt.Sprintf("rack-%d", id)
	}
	ways := append(listeners(b), o.open(b, at)...)
	doors, err := o.doorSettings(b)
	if err != nil {
		return nil, "", err
	}
	var own []string
	if o.Release.ZooKeeper {
		own = zooKeeperProperties(b, o.zookeeper, len(all), ways)
	} else {
		own = properties(b, at, all, ways)
	}
	text := strings.Join(slices.Concat(own, o.Settings, doors, []string{""}), "\n")
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
		return nil, "", fmt.Errorf("realkafka: %w", err)
	}
	return b, settings, nil
}

// brokerArgs returns the command line of a broker.
func (o Options) brokerArgs(archive, settings string) []string {
	args := append([]string{"java"}, JavaFlags(cmp.Or(o.Heap, "160m"))...)
	if archive != "" {
		args = append(args, "-XX:SharedArchiveFile="+archive, "-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")
	}
	return append(args, "-cp", string(o.Jars), "kafka.Kafka", settings)
}

// format prepares a data directory.
func (c Classpath) format(ctx context.Context, dir, clusterID, settings string, more ...string) error {
	p, err := proc.Start(proc.Options{
		Name: "format",
		Args: c.Java("kafka.tools.StorageTool", append([]string{"format", "-t", clusterID, "-c", settings}, more...)...),
		Log:  filepath.Join(dir, "format.log"),
	})
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

// newID makes a cluster id: 16 random bytes as Kafka writes them.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] &= 0x3f           // a leading - would look like an option
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (b *Broker) start() (err error) {
	b.proc, err = proc.Start(proc.Options{
		Name: fmt.Sprintf("broker %d", b.ID),
		Args: b.args,
		Dir:  b.dir,
		Log:  filepath.Join(b.dir, "broker.log"),
	})
	return err
}

// Kill ends a broker like a power failure.
func (b *Broker) Kill() { b.proc.Kill() }

// Restart starts a broker that was killed; it does not wait until it serves.
func (b *Broker) Restart() error { return b.start() }

// Log returns the end of the broker's log.
func (b *Broker) Log() string { return b.proc.Tail(20) }

// Internal returns the addresses of all internal listeners.
func (c *Cluster) Internal() []string {
	var all []string
	for _, b := range c.Brokers {
		all = append(all, b.Internal)
	}
	return all
}

// Close stops all brokers at the same time: if a quorum loses its members one by one, the last
// ones wait.
func (c *Cluster) Close() error {
	var stops errgroup.Group
	for _, b := range c.Brokers {
		if b.proc == nil {
			continue
		}
		stops.Go(func() error {
			b.proc.Stop(stopGrace)
			return nil
		})
	}
	err := stops.Wait()
	if c.zookeeper != nil {
		c.zookeeper.Stop(stopGrace) // a broker that misses it waits for minutes
	}
	return err
}

// waitReady returns when every broker answers and lists the whole cluster.
func (c *Cluster) waitReady(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.serves(ctx)
		if err == nil {
			return nil
		}
		for _, b := range c.Brokers {
			if !b.proc.Running() {
				return fmt.Errorf("realkafka: broker %d exited with code %d\n%s", b.ID, b.proc.ExitCode(), b.Log())
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("realkafka: the cluster is not ready: %w\n%s", errors.Join(err, ctx.Err()), c.Brokers[0].Log())
		}
	}
}

// serves sends one request to the broker.
func (c *Cluster) serves(ctx context.Context) error {
	for _, b := range c.Brokers {
		if err := b.knows(ctx, len(c.Brokers)); err != nil {
			return fmt.Errorf("broker %d: %w", b.ID, err)
		}
	}
	return nil
}

// knows requests the number of brokers that the broker knows.
func (b *Broker) knows(ctx context.Context, want int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Internal), kgo.RetryTimeout(time.Second), kgo.RequestRetries(0))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	got, err := kadm.NewClient(client).ListBrokers(ctx)
	if err != nil {
		return err
	}
	if len(got) != want {
		return fmt.Errorf("knows %d brokers of %d", len(got), want)
	}
	return nil
}
