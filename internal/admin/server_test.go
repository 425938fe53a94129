package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeListener is an in-memory network, for tests in virtual time.
type pipeListener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return l.addr }

// dial returns the client's end, once the server has accepted the other.
func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// virtual runs a server in virtual time.
func virtual(t *testing.T, s *Server, body func(l *pipeListener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newPipeListener()
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		body(l)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestHeadersInTimeOrNotAtAll(t *testing.T) {
	virtual(t, &Server{Source: trouble()}, func(l *pipeListener) {
		c := l.dial()
		defer c.Close()
		start := time.Now()
		go io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ")
		io.Copy(io.Discard, c)
		if took := time.Since(start); took != headerTimeout {
			t.Errorf("closed after %v, want %v", took, headerTimeout)
		}
	})
}

func TestIdleConnectionsEnd(t *testing.T) {
	virtual(t, &Server{Source: trouble()}, func(l *pipeListener) {
		c := l.dial()
		defer c.Close()
		io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		r := bufio.NewReader(c)
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		start := time.Now()
		io.Copy(io.Discard, r)
		if took := time.Since(start); took != idleTimeout {
			t.Errorf("closed after %v, want %v", took, idleTimeout)
		}
	})
}

func TestStopWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newPipeListener()
		done := make(chan error, 1)
		go func() { done <- (&Server{Source: trouble()}).Serve(ctx, l) }()
		c := l.dial() // says nothing
		defer c.Close()
		synctest.Wait()
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != stopTimeout {
			t.Errorf("took %v", took)
		}
	})
}

func TestHeadersAreBounded(t *testing.T) {
	base := serve(t, &Server{Source: trouble()})
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go fmt.Fprintf(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 4*maxHeaderBytes))
	line, _ := bufio.NewReader(c).ReadString('\n')
	if !strings.Contains(line, "431") {
		t.Errorf("got %q", line)
	}
}

// A brokenListener fails at once.
type brokenListener struct{ *pipeListener }

func (brokenListener) Accept() (net.Conn, error) { return nil, errors.New("broken") }

func TestOneBrokenListenerEndsAll(t *testing.T) {
	healthy := newPipeListener()
	err := (&Server{Source: trouble()}).Serve(t.Context(), healthy, brokenListener{newPipeListener()})
	if err == nil || err.Error() != "broken" {
		t.Errorf("got %v", err)
	}
	select {
	case <-healthy.closed:
	default:
		t.Error("the other listener is still open")
	}
}

func TestWithoutListenersServeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		if err := (&Server{Source: trouble()}).Serve(ctx); err != nil || time.Since(start) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestLoopbackIsDecidedByTheListener(t *testing.T) {
	cases := []struct {
		addr net.Addr
		want bool
	}{
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, true},
		{&net.TCPAddr{IP: net.IPv4(127, 9, 9, 9)}, true},
		{&net.TCPAddr{IP: net.IPv6loopback}, true},
		{&net.TCPAddr{IP: net.IPv4zero}, false},
		{&net.TCPAddr{IP: net.IPv6zero}, false},
		{&net.TCPAddr{}, false},
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 7)}, false},
		{&net.UnixAddr{Name: "x"}, true},
		{&net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, false},
	}
	for _, c := range cases {
		if got := isLocal(c.addr); got != c.want {
			t.Errorf("%v: %v", c.addr, got)
		}
	}
}
