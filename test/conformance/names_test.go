//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// isLoopback tells whether an address, with or without port, is loopback.
func isLoopback(addr string) bool {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		addr = host
	}
	ip := net.ParseIP(addr)
	return ip != nil && ip.IsLoopback()
}

// A recorder dials for a client and records what it sees: every address that was requested or
// reached, and how often each word was received.
type recorder struct {
	words []string

	mu       sync.Mutex
	asked    map[string]bool
	reached  map[string]bool
	received int64
	found    map[string]int
}

func newRecorder(words ...string) *recorder {
	return &recorder{words: words, asked: map[string]bool{}, reached: map[string]bool{}, found: map[string]int{}}
}

func (r *recorder) dial(ctx context.Context, network, address string) (net.Conn, error) {
	r.mu.Lock()
	r.asked[address] = true
	r.mu.Unlock()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.reached[conn.RemoteAddr().String()] = true
	r.mu.Unlock()
	return &recordedConn{Conn: conn, recorder: r, rest: map[string][]byte{}}, nil
}

// A recordedConn searches received bytes, including words that are split over reads.
type recordedConn struct {
	net.Conn
	recorder *recorder
	mu       sync.Mutex
	rest     map[string][]byte // for each word the end of what was read before, shorter than the word
}

func (c *recordedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	c.recorder.received += int64(n)
	for _, word := range c.recorder.words {
		seen := bytes.ToLower(append(c.rest[word], b[:n]...))
		c.recorder.found[word] += bytes.Count(seen, []byte(word))
		c.rest[word] = bytes.Clone(seen[max(0, len(seen)-len(word)+1):])
	}
	return n, err
}

// check fails the test if anything but loopback was dialled or a real name was received.
func (r *recorder) check(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("asked for %d addresses, reached %d, received %d bytes with the names %v", len(r.asked), len(r.reached), r.received, r.found)
	for a := range r.asked {
		if host, _, err := net.SplitHostPort(a); err != nil || host != "localhost" && !isLoopback(a) {
			t.Errorf("the client asked for %q", a)
		}
	}
	for a := range r.reached {
		if !isLoopback(a) {
			t.Errorf("the client reached %q", a)
		}
	}
	if n := r.found[realDomain]; n > 0 {
		t.Errorf("%q was received %d times", realDomain, n)
	}
	if direct() {
		return
	}
	// Bootstrap and three brokers, and the local name instead of theirs: this proves that the
	// observation works.
	if len(r.reached) < 4 || r.found["localhost"] == 0 {
		t.Error("too little was seen: the observation does not work")
	}
}

// TestNoRealNames: a client whose dialer records every address, and searches every received
// byte for the names that the brokers advertise, creates a topic, produces, and consumes in a
// group and in transactions.
func TestNoRealNames(t *testing.T) {
	c := cluster(t)
	l := startLab(t, "--upstream", upstream(c))
	rec := newRecorder(realDomain, "localhost")
	ctx := deadline(t)
	topic, copies := name(t, "topic"), name(t, "copies")

	client := func(opts ...kgo.Opt) *kgo.Client {
		t.Helper()
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(l.bootstrap), kgo.Dialer(rec.dial))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}

	admin := client()
	if created, err := kadm.NewClient(admin).CreateTopics(ctx, 3, 3, nil, topic, copies); err != nil || created.Error() != nil {
		t.Fatalf("create topics: %v, %v", err, created.Error())
	}

	const n = 10_000
	var produced digest
	producer := client(kgo.DefaultProduceTopic(topic))
	for i := range n {
		record := kgo.StringRecord(string(bytes.Repeat([]byte{'a' + byte(i%26)}, i%300)))
		produced.add(nil, record.Value)
		producer.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := producer.Flush(ctx); err != nil {
		t.Fatal(err)
	}

	// Read in a group and write copies in the same transactions.
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(l.bootstrap), kgo.Dialer(rec.dial),
		kgo.TransactionalID(name(t, "transaction")), kgo.ConsumerGroup(name(t, "group")),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.DefaultProduceTopic(copies))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	var consumed digest
	for consumed.Count < n {
		fetches := session.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("consume: %v", err)
		}
		if err := session.Begin(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			consumed.add(r.Key, r.Value)
			session.Produce(ctx, kgo.SliceRecord(r.Value), func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce in a transaction: %v", err)
				}
			})
		})
		if committed, err := session.End(ctx, kgo.TryCommit); err != nil || !committed {
			t.Fatalf("commit: %v, %v", committed, err)
		}
	}
	sameRecords(t, n, produced, consumed, inTopic(t, c, topic))
	if got := inTopic(t, c, copies); got != produced {
		t.Errorf("the copies are %v", got)
	}
	if _, err := kadm.NewClient(admin).DeleteTopics(ctx, topic, copies); err != nil {
		t.Errorf("delete topics: %v", err)
	}
	rec.check(t)
}

// TestWatching: without a tunnel the same recorder sees the real names, in one response that
// lists the brokers.
func TestWatching(t *testing.T) {
	c := cluster(t)
	rec := newRecorder(realDomain)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers[0].Client), kgo.Dialer(rec.dial))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kmsg.NewPtrMetadataRequest().RequestWith(deadline(t), client); err != nil {
		t.Fatal(err)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.found[realDomain] < len(c.Brokers) {
		t.Errorf("%d real names seen, want one for each broker", rec.found[realDomain])
	}
}
