package listener

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimitLeavesConnectionsInTheKernelsQueue(t *testing.T) {
	s := &Server{Limit: 1}
	defer s.Close()
	served := make(chan net.Conn)
	release := make(chan struct{})
	p, err := s.Listen(t.Context(), "127.0.0.1", 0, func(ctx context.Context, conn *Conn) {
		defer conn.Release()
		select {
		case served <- conn:
		case <-ctx.Done():
		}
		select {
		case <-release:
		case <-ctx.Done():
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		conn, err := net.Dial("tcp", address("127.0.0.1", p.Number()))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	<-served
	if n := s.Activity().Open; n != 1 {
		t.Errorf("%d connections are open at a limit of 1", n)
	}
	release <- struct{}{}
	<-served // the second connection, only now
	release <- struct{}{}
}

// TestFull: Full is called once per episode, however many loops wait and however often
// a connection is replaced by another one.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		s := &Server{Limit: 20, Full: func() { calls.Add(1) }}
		ctx, cancel := context.WithCancel(t.Context())
		port := &Port{server: s, handler: echo}
		fill := func(n int) {
			for range n {
				s.opened(port)
			}
		}
		drop := func(n int) {
			for range n {
				s.closed(port)
			}
		}
		expect := func(want int64, full bool, when string) {
			t.Helper()
			synctest.Wait()
			if got := calls.Load(); got != want || s.Activity().Full.IsZero() == full {
				t.Errorf("%s: %d calls, full since %v; want %d and %v", when, got, s.Activity().Full, want, full)
			}
		}
		wait := func() {
			for range 3 { // accept loops
				s.loops.Go(func() { s.waitForRoom(ctx, &loop{beat: make(chan struct{})}) })
			}
		}
		fill(19)
		wait()
		expect(0, false, "below the limit")
		fill(1)
		wait()
		expect(1, true, "at the limit")
		begin := s.Activity().Full
		for range 5 {
			time.Sleep(time.Second) // synctest
			drop(1)
			fill(1)
			wait()
		}
		expect(1, true, "with clients that come and go")
		if !s.Activity().Full.Equal(begin) {
			t.Error("the start of the episode has changed")
		}
		drop(2)
		expect(1, false, "with a tenth free")
		fill(2)
		wait()
		expect(2, true, "full again")
		cancel()
		drop(20)
		s.Close()
	})
}

func TestDefaultLimit(t *testing.T) {
	for _, tt := range []struct{ descriptors, sockets, want int }{
		{0, 200, 0}, {16384, 204, 7962}, {1024, 204, 282}, {512, 204, 26}, {256, 204, 1},
	} {
		if got := DefaultLimit(tt.descriptors, tt.sockets); got != tt.want {
			t.Errorf("DefaultLimit(%d, %d) = %d, want %d", tt.descriptors, tt.sockets, got, tt.want)
		}
	}
}
