package listener

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func echo(_ context.Context, conn *Conn) {
	defer conn.Release()
	_, _ = io.Copy(conn, conn)
}

func address(host string, port uint16) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }

func TestBothLoopbacksAnswer(t *testing.T) {
	s := &Server{}
	defer s.Close()
	for _, host := range []string{"127.0.0.1", "localhost"} {
		p, err := s.Listen(t.Context(), host, 0, echo)
		if err != nil {
			t.Fatal(err)
		}
		hosts := []string{"127.0.0.1"}
		if len(p.listeners) == 2 {
			hosts = append(hosts, "::1")
		}
		for _, h := range hosts {
			conn, err := net.Dial("tcp", address(h, p.Number()))
			if err != nil {
				t.Fatalf("%s: %v", h, err)
			}
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
		}
		if !s.Owns(p.Number()) || s.Owns(1) {
			t.Error("Owns is wrong")
		}
	}
}

func TestAPortTakenOnTheOtherLoopbackIsTaken(t *testing.T) {
	other, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no [::1]")
	}
	defer func() { _ = other.Close() }()
	s := &Server{}
	defer s.Close()
	_, err = s.Listen(t.Context(), "127.0.0.1", uint16(other.Addr().(*net.TCPAddr).Port), echo)
	if !failure.Is(err, failure.PortTaken) {
		t.Fatalf("error %v, want port_taken", err)
	}
}

func TestCloseEndsHandlersAndWaits(t *testing.T) {
	s := &Server{}
	entered, left := make(chan struct{}), make(chan struct{})
	p, err := s.Listen(t.Context(), "127.0.0.1", 0, func(ctx context.Context, conn *Conn) {
		close(entered)
		go func() { // a handler may return before the connection ends
			<-ctx.Done()
			close(left)
			conn.Release()
		}()
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address("127.0.0.1", p.Number()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	<-entered
	if s.Connections(p.Number()) != 1 || s.Activity().Open != 1 {
		t.Error("the connection is not counted")
	}
	s.Close()
	select {
	case <-left:
	default:
		t.Error("Close did not wait for the handler")
	}
	if a := s.Activity(); a.Open != 0 || !a.Ever || a.LastOpen.IsZero() {
		t.Errorf("after Close: %+v", a)
	}
	if err := s.Alive(); err != nil {
		t.Errorf("Alive fails after Close: %v", err)
	}
}

// failing is a listener whose Accept fails a number of times.
type failing struct {
	net.Listener
	errs   []error
	calls  atomic.Int64
	closed chan struct{}
}

func (f *failing) Accept() (net.Conn, error) {
	f.calls.Add(1)
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, err
	}
	<-f.closed
	return nil, net.ErrClosed
}

func (f *failing) Close() error {
	close(f.closed)
	return nil
}

func TestAcceptErrorsPauseAndNeverEndTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counted atomic.Int64
		s := &Server{AcceptError: func(uint16, error) { counted.Add(1) }}
		l := &failing{closed: make(chan struct{})}
		for range 12 {
			l.errs = append(l.errs, syscall.EMFILE)
		}
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		s.loops.Go(func() { s.accept(ctx, &Port{server: s, handler: echo}, s.watch(ctx, 1, l)) })
		synctest.Wait()
		// 5+10+20+...+640 ms, then 1 s each: 1.275 s + 4 s.
		time.Sleep(5274 * time.Millisecond) // synctest
		synctest.Wait()
		if n := l.calls.Load(); n != 12 {
			t.Errorf("%d calls of Accept after %v, want 12", n, time.Since(start))
		}
		time.Sleep(2 * time.Millisecond) // synctest
		synctest.Wait()
		if l.calls.Load() != 13 || counted.Load() != 12 {
			t.Errorf("%d calls and %d counted errors, want 13 and 12", l.calls.Load(), counted.Load())
		}
		cancel()
		s.Close()
		if err := s.Alive(); err != nil {
			t.Errorf("Alive fails after a loop was ended by Close: %v", err)
		}
	})
}

func TestAnAcceptLoopThatEndsByItselfIsNoticed(t *testing.T) {
	s := &Server{}
	defer s.Close()
	l := &failing{errs: []error{net.ErrClosed}, closed: make(chan struct{})}
	s.accept(t.Context(), &Port{server: s, handler: echo}, s.watch(t.Context(), 1, l))
	select {
	case <-s.Failed():
	default:
		t.Error("Failed is not closed")
	}
	if err := s.Alive(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Alive() = %v", err)
	}
}
