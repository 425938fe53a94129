// Package listener owns the tunnel's local ports: it opens them, accepts
// connections within one limit for all of them, and knows how many are open.
//
//	server := &listener.Server{Limit: 8000}
//	port, err := server.Listen(ctx, "127.0.0.1", 9092, handle)
//	...
//	server.Close()       // every port and connection, and waits for all of them
//
// The address 127.0.0.1 (and the name localhost) means both loopbacks, 127.0.0.1
// and [::1], with the same port where [::1] exists: clients resolve localhost to
// either.
//
// An accept loop waits until fewer connections than the limit are open and only
// then accepts; what it does not accept stays in the kernel's queue. Errors of
// accept, such as a want of descriptors, make a loop pause for 5 ms to 1 s and
// never end it. The package neither reads nor writes connections.
package listener

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// A Handler serves one connection and returns when it is done with it. The
// server closes the connection afterwards if the handler has not. ctx ends when
// the server is closed.
type Handler func(ctx context.Context, conn net.Conn, port uint16)

// A Server owns ports. The zero value works. Set fields before the first Listen.
type Server struct {
	// Limit is how many connections may be open on all ports; 0: no limit.
	Limit int
	// AcceptError hears of each error of accept; nil: nobody.
	AcceptError func(error)
	Logger      *slog.Logger // nil: silent

	loops sync.WaitGroup // accept loops
	conns sync.WaitGroup // handlers

	mu       sync.Mutex
	open     int
	ever     bool          // there was a connection
	lastOpen time.Time     // when the last connection closed
	room     chan struct{} // closed and replaced when open falls below the limit
	ports    map[uint16]*Port
	dead     error // an accept loop ended that should not have
}

// A Port is one local port: one listening socket, or two on both loopbacks.
type Port struct {
	server    *Server
	number    uint16
	listeners []net.Listener
	handler   Handler
	cancel    context.CancelFunc
	open      int // guarded by server.mu
}

// Listen opens port on host, or any port for 0, and serves its connections until
// the server is closed. A port that is taken is the failure port_taken.
func (s *Server) Listen(ctx context.Context, host string, port uint16, handler Handler) (*Port, error) {
	listeners, number, err := Sockets(ctx, host, port)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Port{server: s, number: number, listeners: listeners, handler: handler, cancel: cancel}
	s.mu.Lock()
	if s.ports == nil {
		s.ports = map[uint16]*Port{}
	}
	s.ports[number] = p
	s.mu.Unlock()
	for _, l := range listeners {
		s.loops.Go(func() { s.accept(ctx, p, l) })
	}
	return p, nil
}

// Number returns the port's number.
func (p *Port) Number() uint16 { return p.number }

// Sockets opens the listening sockets of one port, any port for 0, and returns
// its number. The sockets are the caller's. A port that is taken is the failure
// port_taken.
func Sockets(ctx context.Context, host string, port uint16) ([]net.Listener, uint16, error) {
	both := host == "127.0.0.1" || host == "localhost"
	if both {
		host = "127.0.0.1"
	}
	// An ephemeral port that is free on one loopback may be taken on the other:
	// then another one is asked for.
	attempts := 1
	if port == 0 && both {
		attempts = 32
	}
	var err error
	for range attempts {
		var first, second net.Listener
		if first, err = listen(ctx, host, port); err != nil {
			break
		}
		number := uint16(first.Addr().(*net.TCPAddr).Port)
		if !both {
			return []net.Listener{first}, number, nil
		}
		second, err = listen(ctx, "::1", number)
		switch {
		case err == nil:
			return []net.Listener{first, second}, number, nil
		case absent(err):
			return []net.Listener{first}, number, nil
		}
		_ = first.Close()
	}
	return nil, 0, taken(host, port, err)
}

func listen(ctx context.Context, host string, port uint16) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
}

// absent reports whether an address does not exist on this machine, as [::1] in
// containers without IPv6.
func absent(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func taken(host string, port uint16, err error) error {
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	f := failure.New(failure.PortTaken, err).For(address, "")
	if errors.Is(err, syscall.EADDRINUSE) {
		if owner := portOwner(port); owner != "" {
			f = f.With("held by " + owner)
		}
	}
	return f
}

// accept is the loop of one listening socket.
func (s *Server) accept(ctx context.Context, p *Port, l net.Listener) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var pause time.Duration
	for s.waitForRoom(ctx) {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			if errors.Is(err, net.ErrClosed) {
				s.mu.Lock()
				s.dead = err
				s.mu.Unlock()
				s.logger().Error("an accept loop has ended", "port", p.number, "error", err)
				return
			}
			s.acceptFailed(p, err)
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
			continue
		}
		pause = 0
		s.opened(p)
		s.conns.Go(func() { s.serve(ctx, p, conn) })
	}
}

// waitForRoom returns when fewer connections than the limit are open; false when
// ctx ended first. Nothing is reserved: with several loops the limit may be
// passed by one connection a loop, which is cheaper than slots held by loops
// that only wait.
func (s *Server) waitForRoom(ctx context.Context) bool {
	for {
		s.mu.Lock()
		if s.Limit <= 0 || s.open < s.Limit {
			s.mu.Unlock()
			return ctx.Err() == nil
		}
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return false
		}
	}
}

func (s *Server) acceptFailed(p *Port, err error) {
	if s.AcceptError != nil {
		s.AcceptError(err)
	}
	s.logger().Warn("a connection could not be accepted; trying again", "port", p.number, "error", err)
}

// serve runs the handler of one connection.
func (s *Server) serve(ctx context.Context, p *Port, conn net.Conn) {
	defer s.closed(p)
	defer func() { _ = conn.Close() }()
	p.handler(ctx, conn, p.number)
}

func (s *Server) opened(p *Port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	s.ever = true
	p.open++
}

func (s *Server) closed(p *Port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	p.open--
	s.lastOpen = time.Now()
	if s.room != nil && s.open < s.Limit {
		close(s.room)
		s.room = nil
	}
}

// Connections returns how many connections are open on port.
func (s *Server) Connections(port uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.ports[port]; p != nil {
		return p.open
	}
	return 0
}

// Owns reports whether port is one of the server's.
func (s *Server) Owns(port uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ports[port] != nil
}

// Activity is what a drain needs to know.
type Activity struct {
	Open     int       // connections now
	Ever     bool      // there was one
	LastOpen time.Time // when the last one closed
}

// Activity returns the state of all ports together.
func (s *Server) Activity() Activity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Activity{Open: s.open, Ever: s.ever, LastOpen: s.lastOpen}
}

// Alive returns an error when an accept loop has ended although its port was not
// closed.
func (s *Server) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// Close closes every port, ends the context of every handler and waits for all
// of them.
func (s *Server) Close() {
	s.mu.Lock()
	for _, p := range s.ports {
		p.cancel()
	}
	s.mu.Unlock()
	s.loops.Wait()
	s.conns.Wait()
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}
