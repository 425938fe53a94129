package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/logging"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testbed is a tunnel in a lab, configured only by what the platform would provide.
type testbed struct {
	*Tunnel
	lab *lab.Landscape
	log *testutil.Output
}

// textLogger returns a logger that writes everything.
func textLogger(l *testutil.Output) *slog.Logger {
	return slog.New(logging.Numbered(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// newTestbed starts the lab and the tunnel. more are additional variables of the
// tunnel.
func newTestbed(t *testing.T, o lab.Options, more ...string) *testbed {
	t.Helper()
	return newTestbedWith(t, o, func(l *lab.Landscape) []string {
		return append(append(l.Env(), "KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_BROKER_PORTS=0"), more...)
	})
}

// newTestbedWith starts the lab and the tunnel, which gets the variables that the
// function returns for this lab.
func newTestbedWith(t *testing.T, o lab.Options, variables func(*lab.Landscape) []string, change ...func(*Options)) *testbed {
	t.Helper()
	return newTestbedFrom(t, o, func(l *lab.Landscape) config.Input { return config.Input{Environ: variables(l)} }, change...)
}

// newTestbedFrom is newTestbedWith for any configuration input.
func newTestbedFrom(t *testing.T, o lab.Options, input func(*lab.Landscape) config.Input, change ...func(*Options)) *testbed {
	t.Helper()
	services, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = services.Close() })
	bed := &testbed{lab: services, log: &testutil.Output{}}
	in := input(services)
	in.Environ = append(in.Environ, "KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:0")
	effective, err := config.Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	logger := textLogger(bed.log)
	source := "configuration"
	if effective.Binding != nil {
		source = effective.Binding.Name
	}
	options := Options{Config: effective.Config, Source: source, Version: "test", Logger: logger, FirstToken: -1}
	for _, f := range change {
		f(&options)
	}
	bed.Tunnel, err = Start(context.WithoutCancel(t.Context()), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the tunnel's log:\n%s", bed.log)
		}
	})
	return bed
}

// client returns a Kafka client behind the tunnel.
func (bed *testbed) client(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append([]kgo.Opt{kgo.SeedBrokers(bed.Address("")), kgo.AllowAutoTopicCreation(), kgo.MetadataMinAge(50 * time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond })}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// sniffer is a client's dialer that records every address that the client dials and
// every byte that the client receives.
type sniffer struct {
	mu      sync.Mutex
	dialled []string
	seen    []*sniffedConn
}

type sniffedConn struct {
	net.Conn
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (c *sniffedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.bytes.Write(p[:n])
	c.mu.Unlock()
	return n, err
}

func (s *sniffer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialled = append(s.dialled, address)
	if err != nil {
		return nil, err
	}
	sniffed := &sniffedConn{Conn: conn}
	s.seen = append(s.seen, sniffed)
	return sniffed, nil
}

// check fails if the client dialled an address other than loopback or saw a real name.
func (s *sniffer) check(t *testing.T, names []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, address := range s.dialled {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			t.Errorf("the client dialled %s", address)
		}
	}
	for _, conn := range s.seen {
		conn.mu.Lock()
		total += conn.bytes.Len()
		for _, name := range names {
			if bytes.Contains(conn.bytes.Bytes(), []byte(name)) {
				t.Errorf("the client saw the real name %s", name)
			}
		}
		conn.mu.Unlock()
	}
	if len(names) == 0 || total == 0 || len(s.dialled) < 3 {
		t.Errorf("there was nothing to check: %d names, %d bytes, dialled %v", len(names), total, s.dialled)
	}
}

// get requests a path of the tunnel's admin endpoints.
func (bed *testbed) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	status, body, err := bed.ask(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

func (bed *testbed) ask(ctx context.Context, path string) (status int, body string, err error) {
	return httpGet(ctx, bed.AdminURL()+path)
}

// until requests a path again and again until good accepts the answer.
func (bed *testbed) until(t *testing.T, path string, good func(status int, body string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var status int
	var body string
	for {
		var err error
		if status, body, err = bed.ask(ctx, path); err == nil && good(status, body) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: the last answer was %d %s", path, status, body)
		}
	}
}

// roundTrip produces records and consumes them.
func (bed *testbed) roundTrip(t *testing.T, topic string, n int, opts ...kgo.Opt) {
	t.Helper()
	cl := bed.client(t, append([]kgo.Opt{kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, opts...)...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range n {
		cl.Produce(ctx, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "record %d", i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for len(seen) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil && errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%d of %d records arrived: %v", len(seen), n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if seen[string(r.Value)] {
				t.Errorf("%s arrived twice", r.Value)
			}
			seen[string(r.Value)] = true
		})
	}
}

func contains(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
