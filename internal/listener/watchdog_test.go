package listener

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// idle is a listener without connections: its Accept returns only at a deadline or, if
// it is stuck, not even then.
type idle struct {
	net.Listener
	stuck    bool
	mu       sync.Mutex
	deadline chan time.Time
	closed   chan struct{}
}

func newIdle(stuck bool) *idle {
	return &idle{stuck: stuck, deadline: make(chan time.Time, 1), closed: make(chan struct{})}
}

func (p *idle) Accept() (net.Conn, error) {
	for {
		select {
		case at := <-p.deadline:
			if !p.stuck && !at.IsZero() {
				return nil, os.ErrDeadlineExceeded
			}
		case <-p.closed:
			return nil, net.ErrClosed
		}
	}
}

func (p *idle) SetDeadline(at time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.deadline: // only the last deadline counts
	default:
	}
	p.deadline <- at
	return nil
}

func (p *idle) Close() error {
	close(p.closed)
	return nil
}

func TestTheWatchdog(t *testing.T) {
	for name, tt := range map[string]struct {
		stuck, full bool
		dead        bool
	}{
		"a loop that accepts":         {},
		"a loop that waits for room":  {full: true},
		"a loop that does not answer": {stuck: true, dead: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Server{Limit: 1}
				if tt.full {
					s.open = 1
				}
				ctx, cancel := context.WithCancel(t.Context())
				loops := []*idle{newIdle(false), newIdle(tt.stuck)}
				for i, l := range loops {
					port := &Port{server: s, number: uint16(i + 1), handler: echo, cancel: cancel}
					watched := s.watch(ctx, port.number, l)
					s.loops.Go(func() { s.accept(ctx, port, watched) })
				}
				time.Sleep(3*defaultBeat + time.Second) // synctest
				if err := s.Alive(); err != nil {
					t.Errorf("after three beats: %v", err)
				}
				time.Sleep(time.Hour) // synctest
				err := s.Alive()
				if (err != nil) != tt.dead {
					t.Errorf("after an hour: %v", err)
				}
				if tt.dead {
					<-s.Failed()
					if !strings.Contains(err.Error(), "port 2") {
						t.Errorf("the port is missing: %v", err)
					}
				}
				cancel()
				s.Close()
			})
		})
	}
}

// TestAPortThatWasClosedIsNotWatched: the watchdog does not report the loop of a closed
// port, which ends without an answer.
func TestAPortThatWasClosedIsNotWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		ctx, cancel := context.WithCancel(t.Context())
		l := newIdle(false)
		watched := s.watch(ctx, 1, l)
		s.loops.Go(func() { s.accept(ctx, &Port{server: s, handler: echo}, watched) })
		cancel()
		time.Sleep(time.Hour) // synctest
		if err := s.Alive(); err != nil {
			t.Error(err)
		}
		s.Close()
	})
}

// TestBeatsDoNotDisturbConnections: with real sockets and a beat every millisecond each
// connection is served.
func TestBeatsDoNotDisturbConnections(t *testing.T) {
	s := &Server{Limit: 2, Beat: time.Millisecond}
	defer s.Close()
	p, err := s.Listen(t.Context(), "127.0.0.1", 0, func(_ context.Context, conn *Conn) {
		defer conn.Release()
		_, _ = conn.Write([]byte("x"))
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		conn, err := net.Dial("tcp", address("127.0.0.1", p.Number()))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 1 {
			t.Fatalf("not served: %v", err)
		}
		_ = conn.Close()
	}
}
