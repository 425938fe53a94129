package session

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// waits are the places where the request pump waits for something other than the
// client. Each function brings a session there, with a broker that is stuck.
func waits() map[string]func(t *testing.T, b *bench) {
	return map[string]func(t *testing.T, b *bench){
		"room in the queue": func(t *testing.T, b *bench) {
			for id := range int32(queueCapacity + 1) {
				write(t, b.client, request(heartbeat, 0, id, ""))
			}
		},
		"the answer to a handshake": func(t *testing.T, b *bench) {
			write(t, b.client, request(kafka.KeySaslHandshake, 0, 1, "\x00\x05PLAIN"))
		},
		"a broker that accepts no more bytes": func(t *testing.T, b *bench) {
			fillUpstream(t, b, strings.Repeat(string(request(heartbeat, 0, 1, strings.Repeat("x", 16<<10))), 1000))
		},
		"a broker that accepts no more bytes, spliced": func(t *testing.T, b *bench) {
			fillUpstream(t, b, string(request(heartbeat, 0, 1, strings.Repeat("x", 16<<20))))
		},
		"a broker that accepts no more bytes, and unread bytes of the client": func(t *testing.T, b *bench) {
			fillUpstream(t, b, strings.Repeat(string(request(heartbeat, 0, 1, strings.Repeat("x", 16<<10))), 1000))
			write(t, b.client, request(heartbeat, 0, 2, ""))
		},
	}
}

// fillUpstream sends bytes until the broker's side accepts no more. Afterwards the
// session has nothing left to read from the client.
func fillUpstream(t *testing.T, b *bench, bytes string) {
	t.Helper()
	_ = b.upstream.SetWriteBuffer(64 << 10)
	_ = b.broker.SetReadBuffer(64 << 10)
	c := onlyConnection(b.handler)
	for len(bytes) > 0 {
		n := min(len(bytes), 16<<10)
		write(t, b.client, []byte(bytes[:n]))
		bytes = bytes[n:]
		if stuck(c) {
			return
		}
	}
	t.Fatal("the broker's side accepts every byte")
}

// stuck returns false when the session has read all that was sent, and true when the
// request pump waits for the broker and no byte has moved for a while. That while is
// longer than the kernel's retry interval (200 ms), because a retry may make room for
// more bytes.
func stuck(c *connection) bool {
	moved, still := c.toBroker.Load(), 0
	for still < 400 {
		<-time.After(time.Millisecond)
		switch now := c.toBroker.Load(); {
		case !c.requests.IsWaiting() && relay.UnreadBytes(c.client()) == 0:
			return false
		case now == moved && c.requests.IsWaiting():
			still++
		default:
			moved, still = now, 0
		}
	}
	return true
}

// onlyConnection returns the only connection of a handler.
func onlyConnection(h *Handler) *connection {
	for {
		var one *connection
		h.open.Each(func(c *connection) { one = c })
		if one != nil {
			return one
		}
		<-time.After(time.Millisecond)
	}
}

// TestAClientThatLeavesIsNoticed: wherever the request pump waits, a FIN or a reset
// from the client closes the connection and releases everything that it held (R13).
func TestAClientThatLeavesIsNoticed(t *testing.T) {
	t.Parallel() // it mostly waits
	if 2*roundEvery >= 5*time.Second {
		t.Errorf("two rounds take %v; the tunnel must notice within 5 s that a client left", 2*roundEvery)
	}
	ends := map[string]struct {
		end    func(conn *net.TCPConn)
		result Result
	}{
		"reset": {resetClient, Failed},
		"end":   {func(conn *net.TCPConn) { _ = conn.CloseWrite() }, ClientClosed},
	}
	for place, wait := range waits() {
		for name, end := range ends {
			t.Run(name+" while it waits for "+place, func(t *testing.T) {
				t.Parallel()
				b := start(t, func(h *Handler) { h.Stall = time.Minute }, nil)
				h := b.handler
				wait(t, b)
				waitUntilWaiting(h)
				begin := time.Now()
				end.end(b.client)
				s := <-b.over
				t.Logf("noticed after %v", time.Since(begin).Round(time.Millisecond))
				if s.Result != end.result || s.Err != nil && !failure.Is(s.Err, failure.ClientReset) {
					t.Errorf("summary %+v", s)
				}
				if raw, err := b.upstream.SyscallConn(); err == nil && raw.Control(func(uintptr) {}) == nil {
					t.Error("the upstream connection is open")
				}
				if held := h.group.PipesInUse(); held != 0 {
					t.Errorf("%d pipes are held", held)
				}
			})
		}
	}
}

// waitUntilWaiting returns when the request pump of the only connection waits.
func waitUntilWaiting(h *Handler) {
	for c := onlyConnection(h); !c.requests.IsWaiting(); {
		<-time.After(time.Millisecond)
	}
}

func resetClient(conn *net.TCPConn) { relay.Abort(conn) }

// TestAClientThatLeavesADialIsNoticed: a client that leaves during the dial cancels it,
// even if the buffer is full and the session reads nothing. Records sent with acks=0
// are delivered all the same.
func TestAClientThatLeavesADialIsNoticed(t *testing.T) {
	heartbeats := strings.Repeat(string(request(heartbeat, 0, 1, strings.Repeat("x", 1000))), 60)
	records := string(produce(1, 0, "app")) + heartbeats
	for name, test := range map[string]struct {
		sent   string
		end    func(conn *net.TCPConn)
		goesOn bool
	}{
		"reset":              {heartbeats[:patience+2000], resetClient, false},
		"reset with records": {records[:patience+2000], resetClient, false},
		"end":                {heartbeats[:relay.BufferSize], func(conn *net.TCPConn) { _ = conn.CloseWrite() }, false},
		"end with records":   {records[:relay.BufferSize], func(conn *net.TCPConn) { _ = conn.CloseWrite() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proceed, canceled := make(chan struct{}), make(chan struct{})
			_, upstream := testutil.Pair(t)
			b := start(t, func(h *Handler) { h.every = time.Millisecond }, func(ctx context.Context) (net.Conn, string, error) {
				select {
				case <-proceed:
					return upstream, "kafka-1.corp:9092", nil
				case <-ctx.Done():
					close(canceled)
					return nil, "kafka-1.corp:9092", failure.New(failure.ConnectorAway, ctx.Err())
				}
			})
			write(t, b.client, []byte(test.sent))
			waitUntilWaiting(b.handler)
			test.end(b.client)
			if !test.goesOn {
				<-canceled
				if s := <-b.over; s.Result != NotReached || !failure.Is(s.Err, failure.ClientGone) {
					t.Errorf("summary %+v", s)
				}
				return
			}
			select {
			case <-canceled:
				t.Error("the dial was cancelled")
			case <-time.After(50 * time.Millisecond): // fifty rounds
				close(proceed)
			}
		})
	}
}

// TestASlowBrokerKeepsItsClient: a client that has closed its write side is not
// disconnected while bytes still move, nor is one that left bytes to read.
func TestASlowBrokerKeepsItsClient(t *testing.T) {
	b := start(t, func(h *Handler) { h.every, h.Stall = time.Millisecond, time.Minute }, nil)
	frame := request(heartbeat, 0, 1, strings.Repeat("x", 8<<20))
	sent := make(chan error, 1)
	go func() {
		_, err := b.client.Write(frame)
		if err == nil {
			err = b.client.CloseWrite()
		}
		sent <- err
	}()
	for at := 0; at < len(frame); at += 1 << 20 {
		expect(t, b.broker, frame[at:min(at+1<<20, len(frame))])
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	write(t, b.broker, response(1, "late"))
	expect(t, b.client, response(1, "late"))
}
