package forward

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A path is a running relay, with the test at both ends.
type path struct {
	client, server *net.TCPConn
	over           chan outcome
	cancel         context.CancelCauseFunc
}

type outcome struct {
	sent, received int64
	err            error
}

// start starts a relay.
func start(t *testing.T) *path {
	t.Helper()
	w := &path{over: make(chan outcome, 1)}
	var inner, upstream *net.TCPConn
	w.client, inner = testutil.Pair(t)
	w.server, upstream = testutil.Pair(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	w.cancel = cancel
	go func() {
		c := NewGroup(nil).New(inner)
		if err := c.Reach(ctx, func(context.Context) (net.Conn, error) { return upstream, nil }); err != nil {
			t.Error(err)
		}
		sent, received, err := c.Relay(ctx)
		w.over <- outcome{sent, received, err}
	}()
	return w
}

func (w *path) write(t *testing.T, conn *net.TCPConn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func (w *path) expect(t *testing.T, conn *net.TCPConn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("%q %v, want %q", got, err, text)
	}
}

// TestTheServerSpeaksFirst: the server can send before the client does, and after the
// client has closed its write side.
func TestTheServerSpeaksFirst(t *testing.T) {
	w := start(t)
	w.write(t, w.server, "220 ready\r\n")
	w.expect(t, w.client, "220 ready\r\n")
	w.write(t, w.client, "the question")
	_ = w.client.CloseWrite()
	if got, err := io.ReadAll(w.server); string(got) != "the question" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	w.write(t, w.server, "the answer")
	_ = w.server.CloseWrite()
	if got, err := io.ReadAll(w.client); string(got) != "the answer" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	if o := <-w.over; o.sent != 12 || o.received != 21 || o.err != nil {
		t.Errorf("%+v", o)
	}
}

func TestEveryByteBothWays(t *testing.T) {
	w := start(t)
	text := strings.Repeat("0123456789abcdef", 1<<18)
	for _, conn := range []*net.TCPConn{w.client, w.server} {
		go func() {
			_, _ = io.WriteString(conn, text)
			_ = conn.CloseWrite()
		}()
	}
	done := make(chan []byte, 1)
	go func() {
		got, _ := io.ReadAll(w.server)
		done <- got
	}()
	got, _ := io.ReadAll(w.client)
	if !bytes.Equal(got, []byte(text)) || !bytes.Equal(<-done, []byte(text)) {
		t.Error("the bytes that arrived differ")
	}
	if o := <-w.over; o.sent != int64(len(text)) || o.received != int64(len(text)) || o.err != nil {
		t.Errorf("%+v", o)
	}
}

func TestAResetIsPassedOn(t *testing.T) {
	for _, byClient := range []bool{true, false} {
		w := start(t)
		w.write(t, w.client, "x")
		w.expect(t, w.server, "x")
		from, to := w.server, w.client
		if byClient {
			from, to = to, from
		}
		_ = from.SetLinger(0)
		_ = from.Close()
		if _, err := to.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("by the client %v: the other side sees %v", byClient, err)
		}
		if o := <-w.over; !relay.IsReset(o.err) {
			t.Errorf("by the client %v: %v", byClient, o.err)
		}
	}
}

func TestTheEndOfTheContextEndsTheRelay(t *testing.T) {
	w := start(t)
	why := errors.New("the tunnel stops")
	w.cancel(why)
	if o := <-w.over; !errors.Is(o.err, why) {
		t.Errorf("%v", o.err)
	}
	if _, err := w.client.Read(make([]byte, 1)); err == nil {
		t.Error("the client's connection is open")
	}
}
