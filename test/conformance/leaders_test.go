//go:build conformance

package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// TestLeaderMoves moves the leader of a partition while a client works and no Metadata response
// passes. The client can learn the new leader only from the address in the response of the old
// one (KIP-951), so its next request reaches the new leader only if that address was rewritten
// to the right local port.
func TestLeaderMoves(t *testing.T) {
	if direct() {
		t.Skip("needs relays between the tunnel and the brokers")
	}
	c := cluster(t)
	w := newWatch()
	var upstreams []string
	for _, b := range c.Brokers {
		r := startRelay(t, int32(b.ID), b.Client, w)
		upstreams = append(upstreams, b.Advertised+"="+r.l.Addr().String())
	}
	l := startLab(t, "--upstream", strings.Join(upstreams, ","))
	admin, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)

	produce, fetch, shareFetch := int16(kmsg.Produce), int16(kmsg.Fetch), int16(kmsg.ShareFetch)
	tests := []struct {
		name  string
		key   int16
		feed  bool // another client must produce
		start func(t *testing.T, topic string) looper
	}{
		{"franz-go produce", produce, false, func(t *testing.T, topic string) looper { return franz(t, l.bootstrap, topic) }},
		{"Java produce", produce, false, func(t *testing.T, topic string) looper { return javaLoop(t, "produce", l.bootstrap, topic) }},
		{"Java fetch", fetch, true, func(t *testing.T, topic string) looper { return javaLoop(t, "consume", l.bootstrap, topic) }},
		{"Java share fetch", shareFetch, true, func(t *testing.T, topic string) looper { return javaLoop(t, "share", l.bootstrap, topic) }},
		{"librdkafka produce", produce, false, func(t *testing.T, topic string) looper { return rdkafkaLoop(t, "produce", l.bootstrap, topic) }},
		{"librdkafka fetch", fetch, true, func(t *testing.T, topic string) looper { return rdkafkaLoop(t, "consume", l.bootstrap, topic) }},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			topic := fmt.Sprintf("leaders-%d", i)
			createOn(t, admin, topic, 1, 2, 3)
			if tt.key == shareFetch {
				shareFromStart(t, admin, "share-"+topic)
			}
			if tt.feed {
				feed(t, c, topic)
			}
			client := tt.start(t, topic)
			before, _ := w.count(1, tt.key)
			w.reaches(t, 1, tt.key, before+5)

			named := w.leadersNamed(tt.key)
			release := w.hold()
			defer release()
			there, _ := w.count(2, tt.key)
			begin := time.Now()
			moveLeader(t, admin, topic, 2, 3, 1)
			moved := time.Now()
			w.reaches(t, 2, tt.key, there+1)
			t.Logf("the leader moved in %v; the client used it %v later, with Metadata held",
				moved.Sub(begin).Round(time.Millisecond), time.Since(moved).Round(time.Millisecond))
			if w.leadersNamed(tt.key) == named {
				t.Error("no broker has named the new leader: the test shows nothing")
			}
			release()
			after, _ := w.count(2, tt.key)
			w.reaches(t, 2, tt.key, after+5)
			if n := client.stop(t); n == 0 {
				t.Error("the client has done nothing")
			}
		})
	}
}

// reaches waits until a broker has received n requests of an API.
func (w *watch) reaches(t *testing.T, broker int32, key int16, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(deadline(t), 30*time.Second)
	defer cancel()
	for {
		have, news := w.count(broker, key)
		if have >= n {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatalf("broker %d saw %s %d times, want %d", broker, kmsg.NameForKey(key), have, n)
		}
	}
}

func (w *watch) leadersNamed(key int16) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.named[key]
}

// createOn creates a topic with one partition on these brokers, the first of which is the
// leader.
func createOn(t *testing.T, client *kgo.Client, topic string, brokers ...int32) {
	t.Helper()
	assignment := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
	assignment.Replicas = brokers
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, -1, -1
	wanted.ReplicaAssignment = append(wanted.ReplicaAssignment, assignment)
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, wanted)
	response, err := request.RequestWith(deadline(t), client)
	if err == nil {
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
}

// moveLeader makes the first of these brokers the leader.
func moveLeader(t *testing.T, client *kgo.Client, topic string, brokers ...int32) {
	t.Helper()
	ctx := deadline(t)
	partition := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	partition.Replicas = brokers
	alter := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	alter.Topic, alter.Partitions = topic, append(alter.Partitions, partition)
	request := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	request.Topics = append(request.Topics, alter)
	if response, err := request.RequestWith(ctx, client); err != nil || response.ErrorCode != 0 {
		t.Fatalf("reassign: %v, %v", response, err)
	}
	until(t, 20*time.Second, "the new leader", func(ctx context.Context) error {
		elect := kmsg.NewElectLeadersRequestTopic()
		elect.Topic, elect.Partitions = topic, []int32{0}
		election := kmsg.NewPtrElectLeadersRequest()
		election.Topics = append(election.Topics, elect)
		response, err := election.RequestWith(ctx, client)
		if err != nil {
			return err
		}
		for _, t := range response.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil && !errors.Is(err, kerr.ElectionNotNeeded) {
					return err
				}
			}
		}
		return nil
	})
}

// shareFromStart is shareFromOldest for a test.
func shareFromStart(t *testing.T, client *kgo.Client, group string) {
	t.Helper()
	if err := shareFromOldest(deadline(t), client, group); err != nil {
		t.Fatalf("configure group %s: %v", group, err)
	}
}

// feed produces into a topic, without the tunnel, until the test ends.
func feed(t *testing.T, c *realkafka.Cluster, topic string) {
	t.Helper()
	feedEvery(t, c, topic, usualPace)
}

func feedEvery(t *testing.T, c *realkafka.Cluster, topic string, pace time.Duration) {
	t.Helper()
	l := franzEvery(t, strings.Join(c.Internal(), ","), topic, pace)
	t.Cleanup(func() { l.stop(t) })
}

// A looper is a client that works until it is stopped; it returns how many
// records it has handled.
type looper interface{ stop(t *testing.T) int }

// franzLoop is a producer of franz-go.
type franzLoop struct {
	client *kgo.Client
	cancel context.CancelFunc
	done   chan struct{}
	n      int
	err    error
}

// usualPace produces one record after the other.
const usualPace = 20 * time.Millisecond

func franz(t *testing.T, bootstrap, topic string) *franzLoop {
	t.Helper()
	return franzEvery(t, bootstrap, topic, usualPace)
}

func franzEvery(t *testing.T, bootstrap, topic string, pace time.Duration) *franzLoop {
	t.Helper()
	l := &franzLoop{done: make(chan struct{})}
	addresses := make(chan string, 1000)
	var err error
	l.client, err = kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.DefaultProduceTopic(topic),
		kgo.ProducerLinger(0), // it produces one record after the other and would wait each time
		kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
			addresses <- address
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(deadline(t))
	l.cancel = cancel
	go func() {
		defer close(l.done)
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for ctx.Err() == nil {
			if err := l.client.ProduceSync(context.WithoutCancel(ctx), kgo.StringRecord("record")).FirstErr(); err != nil {
				l.err = err
				return
			}
			l.n++
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-l.done
		l.client.Close()
		close(addresses)
		for address := range addresses {
			host, _, _ := net.SplitHostPort(address)
			if host != "localhost" && !isLoopback(host) {
				t.Errorf("franz-go dialled %s", address)
			}
		}
	})
	return l
}

func (l *franzLoop) stop(t *testing.T) int {
	t.Helper()
	l.cancel()
	<-l.done
	if l.err != nil {
		t.Errorf("franz-go: %v", l.err)
	}
	return l.n
}

// processLoop is a client in a process of its own, which exits when its standard input is
// closed and prints "done N".
type processLoop struct {
	p     *proc.Process
	stdin io.Closer
	out   string
}

func startLoop(t *testing.T, name string, args, env []string) *processLoop {
	t.Helper()
	dir := workDir(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l := &processLoop{stdin: w, out: filepath.Join(dir, name+".log")}
	if l.p, err = proc.Start(proc.Options{Name: name, Args: args, Env: env, Dir: dir, Log: l.out, Stdin: r}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Close()
		l.p.Stop(10 * time.Second)
	})
	return l
}

func (l *processLoop) stop(t *testing.T) (n int) {
	t.Helper()
	_ = l.stdin.Close()
	ctx, cancel := context.WithTimeout(deadline(t), 60*time.Second)
	defer cancel()
	if err := l.p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(l.out)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(said)) {
		switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "error":
			t.Errorf("%s: %s", l.p.Name(), rest)
		case "done":
			_, _ = fmt.Sscan(rest, &n)
		}
	}
	if strings.Contains(string(said), realDomain) {
		t.Errorf("%s received a real name:\n%s", l.p.Name(), tail(said))
	}
	return n
}

func javaLoop(t *testing.T, mode, bootstrap, topic string) *processLoop {
	t.Helper()
	source, err := filepath.Abs("leaders/LeaderClient.java")
	if err != nil {
		t.Fatal(err)
	}
	return startLoop(t, "java-"+mode, classpath(t).Java(source, mode, bootstrap, topic), clean(os.Environ()))
}

func rdkafkaLoop(t *testing.T, mode, bootstrap, topic string) *processLoop {
	t.Helper()
	program, err := filepath.Abs("leaders/client.py")
	if err != nil {
		t.Fatal(err)
	}
	env := append(clean(os.Environ()), "PYTHONPATH="+pythonPackages(t, "leaders"))
	return startLoop(t, "librdkafka-"+mode, []string{python3(), program, mode, bootstrap, topic}, env)
}

// TestDescribeCluster requests the cluster like admin clients.
func TestDescribeCluster(t *testing.T) {
	c := cluster(t)
	l := startLab(t, "--upstream", upstream(c))
	client, err := kgo.NewClient(kgo.SeedBrokers(l.bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	response, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(deadline(t), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range response.Brokers {
		if host := b.Host; host != "localhost" && !direct() {
			t.Errorf("broker %d is at %s", b.NodeID, host)
		}
	}
	if _, err := kadm.NewClient(client).BrokerMetadata(deadline(t)); err != nil || len(response.Brokers) != 3 {
		t.Errorf("%d brokers, %v", len(response.Brokers), err)
	}
	said := runTool(t, tool(deadline(t), classpath(t), "org.apache.kafka.tools.ClusterTool", "list-endpoints", "--bootstrap-server", l.bootstrap))
	if strings.Contains(string(said), realDomain) || !strings.Contains(string(said), "localhost") && !direct() {
		t.Errorf("ClusterTool prints\n%s", said)
	}
}
