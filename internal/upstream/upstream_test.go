package upstream

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tokens supplies t0, t1, ... and records which ones were rejected.
type tokens struct {
	mu      sync.Mutex
	n       int
	refused []string
	stuck   bool // no other token is available for now
	err     error
}

func (k *tokens) Token(context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return "t" + strconv.Itoa(k.n), k.err
}

func (k *tokens) Invalidate(value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused = append(k.refused, value)
	if !k.stuck {
		k.n++
	}
}

// proxy accepts connections. It answers the token of each with the next of the
// statuses, and CONNECT with the next of the replies; the last of each is repeated.
func proxy(t *testing.T, statuses, replies []byte) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		next := func(list *[]byte) byte {
			b := (*list)[0]
			if len(*list) > 1 {
				*list = (*list)[1:]
			}
			return b
		}
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serveProxy(conn, next(&statuses), func() byte { return next(&replies) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		served.Wait()
	})
	return l.Addr().String()
}

func serveProxy(conn net.Conn, status byte, reply func() byte) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(conn, b)
		return b
	}
	read(3)
	_, _ = conn.Write([]byte{5, 0x80})
	read(5 + 2 + 1) // version, length, "tN", no Location ID
	_, _ = conn.Write([]byte{1, status})
	if status != 0 {
		return
	}
	head := read(5)
	read(int(head[4]) + 2)
	rep := reply()
	_, _ = conn.Write([]byte{5, rep, 0, 1, 0, 0, 0, 0, 0, 0})
	if rep == 0 {
		_, _ = conn.Write([]byte("hello"))
		_, _ = io.Copy(io.Discard, conn)
	}
}

func target(host string) hostport.Target { return hostport.Target{Host: host, Port: 9092} }

func reach(t *testing.T, d *Dialer, hold time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hold)
	defer cancel()
	conn, err := d.Dial(ctx, target("kafka-1.corp"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	hello := make([]byte, 5)
	if _, err := io.ReadFull(conn, hello); err != nil || string(hello) != "hello" {
		t.Errorf("read %q, %v", hello, err)
	}
	return nil
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	for name, proxied := range map[string]string{
		"by status":   proxy(t, []byte{1, 0}, []byte{0}),
		"by reply 05": proxy(t, []byte{0}, []byte{5, 0}),
	} {
		k := &tokens{}
		outcomes := &record{}
		d := &Dialer{Proxy: proxied, Tokens: k, Health: outcomes}
		if err := reach(t, d, time.Minute); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(k.refused) != 1 || k.refused[0] != "t0" {
			t.Errorf("%s: refused tokens %v", name, k.refused)
		}
		if granted, failed := outcomes.counts(); granted != 1 || failed != 0 {
			t.Errorf("%s: %d were granted, %d failed", name, granted, failed)
		}
	}
}

func TestATokenThatIsRefusedTwiceFails(t *testing.T) {
	k := &tokens{}
	var failed []failure.Code
	outcomes := &record{}
	d := &Dialer{Proxy: proxy(t, []byte{1}, []byte{0}), Tokens: k, Health: outcomes, Failed: func(_ context.Context, f *failure.Failure) { failed = append(failed, f.Code) }}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := d.dialPaced(ctx, target("kafka-1.corp"), 0)
	if !failure.Is(err, failure.ProxyAuthRefused) || len(k.refused) != 1 {
		t.Errorf("error %v after %v", err, k.refused)
	}
	if n, bad := outcomes.counts(); len(failed) != 1 || n != 0 || bad != 1 {
		t.Errorf("reported %v, %d granted, %d failed", failed, n, bad)
	}
}

// TestTheSameTokenIsNotTriedTwice: while the cache returns the same token again,
// because it replaces a rejected one at most every 30 s, the dialer does not try it
// twice. The second connection would be granted.
func TestTheSameTokenIsNotTriedTwice(t *testing.T) {
	k := &tokens{stuck: true}
	d := &Dialer{Proxy: proxy(t, []byte{1, 0}, []byte{0}), Tokens: k}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := d.dialPaced(ctx, target("kafka-1.corp"), 0); !failure.Is(err, failure.ProxyAuthRefused) || len(k.refused) != 1 {
		t.Errorf("error %v after %v", err, k.refused)
	}
}

func TestTransientFailuresAreRetriedWithinTheHoldTime(t *testing.T) {
	d := &Dialer{Proxy: proxy(t, []byte{0}, []byte{3, 1, 0}), Tokens: &tokens{}}
	if err := reach(t, d, time.Minute); err != nil {
		t.Error(err)
	}
	d = &Dialer{Proxy: proxy(t, []byte{0}, []byte{3}), Tokens: &tokens{}}
	if err := reach(t, d, 50*time.Millisecond); !failure.Is(err, failure.ConnectorAway) {
		t.Errorf("after the hold time: %v", err)
	}
}

func TestFailuresOfOneAddressAreNotRetried(t *testing.T) {
	for reply, code := range map[byte]failure.Code{2: failure.AccessNotAllowed, 4: failure.BrokerUnreachable, 7: failure.CommandRefused, 8: failure.AddressUnsupported} {
		d := &Dialer{Proxy: proxy(t, []byte{0}, []byte{reply, 0}), Tokens: &tokens{}}
		err := reach(t, d, time.Minute)
		if !failure.Is(err, code) {
			t.Errorf("reply %d: %v, want %s", reply, err, code)
			continue
		}
		if f, _ := failure.As(err); code != failure.CommandRefused && f.Target != "kafka-1.corp:9092" {
			t.Errorf("reply %d names %q", reply, f.Target)
		}
	}
}

func TestBootstrapTriesTheNextAddress(t *testing.T) {
	d := &Dialer{Proxy: proxy(t, []byte{0}, []byte{4, 2, 0}), Tokens: &tokens{}}
	all := []hostport.Target{target("a"), target("b"), target("c")}
	before := d.Order(all)
	conn, got, err := d.DialAny(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if got != before[2] {
		t.Errorf("reached %v, want the third of %v", got, before)
	}
	if after := d.Order(all); after[0] != got || after[1] != before[0] || after[2] != before[1] {
		t.Errorf("order %v after %v", after, before)
	}
}

func TestRejectedCredentialsAreNotRetriedWithinADial(t *testing.T) {
	k := &tokens{err: failure.New(failure.TokenRejected, nil)}
	d := &Dialer{Proxy: proxy(t, []byte{0}, []byte{0}), Tokens: k}
	if err := reach(t, d, time.Minute); !failure.Is(err, failure.TokenRejected) {
		t.Errorf("error %v", err)
	}
}

func TestDirect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	d := &Dialer{}
	conn, err := d.Dial(t.Context(), hostport.Target{Host: "127.0.0.1", Port: port})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	_ = l.Close()
	_, err = d.Dial(t.Context(), hostport.Target{Host: "127.0.0.1", Port: port})
	if !failure.Is(err, failure.BrokerUnreachable) {
		t.Errorf("error %v", err)
	}
}

// TestAnExplainedFailureIsACopy: the caller gets what Explain returns, and the shared
// failure, which another caller may hold, stays unchanged.
func TestAnExplainedFailureIsACopy(t *testing.T) {
	shared := failure.New(failure.AccessNotAllowed, nil).With("reply 0x02")
	outcomes := &record{}
	d := &Dialer{
		Health:  outcomes,
		connect: func(context.Context, hostport.Target) (net.Conn, error) { return nil, shared },
		Explain: func(f *failure.Failure) *failure.Failure { return f.With(f.Detail + "; explained") },
	}
	_, err := d.Dial(t.Context(), target("a"))
	if f, _ := failure.As(err); f == nil || f.Detail != "reply 0x02; explained" || outcomes.outcomes[0].f != f {
		t.Errorf("the caller gets %v, the recorded failure is %v", err, outcomes.outcomes[0].f)
	}
	if shared.Detail != "reply 0x02" {
		t.Errorf("the shared failure has become %+v", shared)
	}
}
