package socks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// answerSteps is a proxy that answers the given number of steps correctly, then reads on and
// does not answer.
func answerSteps(conn net.Conn, steps int) {
	buf := make([]byte, 4096)
	for i := range steps {
		if _, err := conn.Read(buf); err != nil {
			return
		}
		answer := granted[2*i : 2*i+2]
		if i == 2 {
			answer = granted[4:]
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, conn)
}

// pipe returns a connection to a proxy that answers so many steps. Its end is
// waited for at the end of the test.
func pipe(t *testing.T, steps int) net.Conn {
	t.Helper()
	client, proxy := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() { answerSteps(proxy, steps) })
	t.Cleanup(func() {
		client.Close()
		proxy.Close()
		wg.Wait()
	})
	return client
}

func TestSilentProxy(t *testing.T) {
	for steps, detail := range []string{
		"reading the response to the greeting", "reading the response to the token", "reading the reply to CONNECT " + testTarget,
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
			defer cancel()
			start := time.Now()
			err := Connect(ctx, pipe(t, steps), testRequest())
			code, target := failure.ProxySilent, testProxy
			if steps == 2 {
				code, target = failure.ConnectSilent, testTarget
			}
			f := wantFailure(t, err, code)
			if took := time.Since(start); took != 9*time.Second {
				t.Errorf("gave up after %s, want 9s", took)
			}
			if !errors.Is(err, context.DeadlineExceeded) || f.Detail != detail || f.Target != target {
				t.Errorf("%v with detail %q at %q", err, f.Detail, f.Target)
			}
		})
	}
}

func TestAProxyThatStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, proxy := net.Pipe() // the other end does not read
		defer client.Close()
		defer proxy.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f := wantFailure(t, Connect(ctx, client, testRequest()), failure.ProxySilent)
		if f.Detail != "sending the greeting" {
			t.Errorf("detail %q", f.Detail)
		}
	})
}

func TestTheEarlierDeadlineOfTheConnection(t *testing.T) {
	// The connection's clock may be ahead of the context's by a moment.
	conn := &script{answers: granted[:2], end: os.ErrDeadlineExceeded}
	wantFailure(t, Connect(t.Context(), conn, testRequest()), failure.ProxySilent)
}

func TestCancelEndsTheHandshakeAtOnce(t *testing.T) {
	for steps := range 3 {
		synctest.Test(t, func(t *testing.T) {
			conn := pipe(t, steps)
			left := errors.New("the client went away")
			ctx, cancel := context.WithCancelCause(t.Context())
			start := time.Now()
			time.AfterFunc(3*time.Second, func() { cancel(left) })
			err := Connect(ctx, conn, testRequest())
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("returned after %s, want 3s", took)
			}
			if _, ok := failure.As(err); ok || !errors.Is(err, context.Canceled) || !errors.Is(err, left) {
				t.Errorf("error %v, want the cause of the cancellation and no failure of the proxy", err)
			}
			noSecret(t, err.Error())
		})
	}
}

func TestContextThatHasEndedAlready(t *testing.T) {
	conn := &script{answers: granted}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Connect(ctx, conn, testRequest()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	wantFailure(t, Connect(ctx, conn, testRequest()), failure.ProxySilent)
	if len(conn.writes) != 0 {
		t.Errorf("sent % x", conn.writes)
	}
}

func TestClosedByTheCallerAfterCancel(t *testing.T) {
	for _, end := range []error{net.ErrClosed, io.ErrClosedPipe} {
		ctx, cancel := context.WithCancel(t.Context())
		conn := &script{answers: granted[:2], end: end}
		conn.onRead = cancel
		err := Connect(ctx, conn, testRequest())
		if _, ok := failure.As(err); ok || !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
	}
}

// A refusal that has arrived is reported, whatever became of ctx meanwhile.
func TestARefusalWinsOverACancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	conn := &script{answers: []byte{5, 0x80, 1, 0, 5, 3}, onRead: cancel}
	wantFailure(t, Connect(ctx, conn, testRequest()), failure.ConnectorAway)
}

func TestTheDeadlineIsSetAndCleared(t *testing.T) {
	deadline := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	conn := &script{answers: granted}
	if err := Connect(ctx, conn, testRequest()); err != nil {
		t.Fatal(err)
	}
	if len(conn.deadlines) != 2 || !conn.deadlines[0].Equal(deadline) || !conn.deadlines[1].IsZero() {
		t.Errorf("deadlines %v, want %v and then none", conn.deadlines, deadline)
	}
}

func TestTheConnectionOutlivesItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		conn := pipe(t, 3)
		if err := Connect(ctx, conn, testRequest()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour) // virtual; ctx ends meanwhile
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// ctx ends while the last byte is on its way: whatever Connect returns, it must
// not leave a deadline on a connection that it calls good, nor set one later.
func TestCancelAtTheLastByte(t *testing.T) {
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		conn := &script{answers: granted, onRead: cancel}
		if err := Connect(ctx, conn, testRequest()); err != nil {
			t.Fatalf("all answers had come: %v", err)
		}
		if d := conn.lastDeadline(); !d.IsZero() {
			t.Fatalf("the connection is left with deadline %v", d)
		}
	}
}

// The goroutine that aborts may be slow: a connection is not good before it is
// known that nothing more is done to it.
func TestASlowAbortIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		conn := &script{answers: granted, slowPast: time.Second}
		conn.onRead = func() {
			cancel()
			synctest.Wait() // until the abort is under way
		}
		if err := Connect(ctx, conn, testRequest()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if d := conn.lastDeadline(); !d.IsZero() {
			t.Errorf("the connection got deadline %v later", d)
		}
	})
}

func TestCancelRacesWithSuccess(t *testing.T) {
	const rounds = 300
	for i := range rounds {
		client, proxy := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { answerSteps(proxy, 3) })
		wg.Go(func() {
			for range i { // a little later each time
				_ = ctx.Err()
			}
			cancel()
		})
		if Connect(ctx, client, testRequest()) == nil {
			wg.Go(cancel)
			if _, err := client.Write([]byte("x")); err != nil {
				t.Errorf("round %d: a connection called good fails: %v", i, err)
			}
		}
		client.Close()
		proxy.Close()
		wg.Wait()
	}
}

// The real thing: bytes one by one over TCP, the payload right behind the reply.
func TestByteAtATimeOverTCP(t *testing.T) {
	for _, atOnce := range []int{1, len(granted) + 100} {
		t.Run(fmt.Sprint(atOnce), func(t *testing.T) {
			payload := bytes.Repeat([]byte("payload "), 8)
			conn := dialProxy(t, func(proxy net.Conn) {
				buf := make([]byte, 4096)
				send := func(answer []byte) {
					for len(answer) > 0 {
						n := min(atOnce, len(answer))
						_, _ = proxy.Write(answer[:n])
						answer = answer[n:]
					}
				}
				for _, size := range []int{3, 1 + 4 + len(secretToken) + 1 + 8, 7 + len("kafka-1.corp")} {
					if _, err := io.ReadFull(proxy, buf[:size]); err != nil {
						t.Errorf("a step of %d bytes: %v", size, err)
						return
					}
					switch size {
					case 3:
						send(granted[:2])
					case 7 + len("kafka-1.corp"):
						send(append(bytes.Clone(granted[4:]), payload...))
					default:
						send(granted[2:4])
					}
				}
			})
			if err := Connect(t.Context(), conn, testRequest()); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(conn); err != nil || !bytes.Equal(rest, payload) {
				t.Errorf("left to read: %q, %v, want %q", rest, err, payload)
			}
		})
	}
}

func TestResetOverTCP(t *testing.T) {
	for steps, code := range map[int]failure.Code{
		0: failure.ProxyUnreachable, 1: failure.ProxyAuthRefused, 2: failure.ProxyGeneralFailure,
	} {
		conn := dialProxy(t, func(proxy net.Conn) {
			buf := make([]byte, 4096)
			for i := range steps {
				_, _ = proxy.Read(buf)
				_, _ = proxy.Write(granted[2*i : 2*i+2])
			}
			_, _ = proxy.Read(buf)
			_ = proxy.(*net.TCPConn).SetLinger(0) // close resets
		})
		wantFailure(t, Connect(t.Context(), conn, testRequest()), code)
	}
}

// dialProxy returns a TCP connection whose other end serve handles and closes.
func dialProxy(t *testing.T, serve func(net.Conn)) net.Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		proxy, err := listener.Accept()
		if err != nil {
			return
		}
		defer proxy.Close()
		serve(proxy)
	})
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		listener.Close()
		wg.Wait()
	})
	return conn
}
