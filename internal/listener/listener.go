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
// never end it. A watchdog looks whether each loop still turns. The package
// neither reads nor writes connections.
//
// The server owns one goroutine for each listening socket, one for each connection until
// it is released, and the watchdog; Close waits for all. Its lock is the innermost
// one: nothing is called with it held.
package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// A Handler serves one connection, in a goroutine of its own. The connection is the
// handler's until it calls [Conn.Release]: before it returns or later, from another
// goroutine. ctx ends when the server is closed.
type Handler func(ctx context.Context, conn *Conn)

// A Conn is an accepted connection. It counts as open until Release.
type Conn struct {
	net.Conn
	port *Port
}

// Port returns the number of the local port that accepted the connection.
func (c *Conn) Port() uint16 { return c.port.number }

// Release closes the connection if that has not been done, and gives its place to
// another one. It is called once; nothing that belongs to the connection may run
// afterwards, because [Server.Close] no longer waits for it.
func (c *Conn) Release() {
	_ = c.Close()
	c.port.server.closed(c.port)
	c.port.server.conns.Done()
}

// A Server owns ports. The zero value works. Set fields before the first Listen.
type Server struct {
	// Limit is how many connections may be open on all ports; 0: no limit.
	Limit int
	// Full is called by an accept loop that has to wait because Limit is reached, once per
	// episode. An episode lasts until a tenth of the limit is free again, so that clients
	// that come and go at the limit are one. nil: not called.
	Full func()
	// AcceptError is called with each error of accept at a port; nil: it is not.
	AcceptError func(port uint16, err error)
	// Beat is the time between two beats of the watchdog; 0: 10 s.
	Beat time.Duration

	loops sync.WaitGroup // accept loops and the watchdog
	conns sync.WaitGroup // connections that have not been released
	local interfaces

	// mu guards what follows. It is held for moments only: no system call and no callback
	// is made under it, so that callers may hold locks of their own.
	mu       sync.Mutex
	open     int
	full     time.Time     // when the present episode of a full limit began; zero: there is none
	ever     bool          // there was a connection
	lastOpen time.Time     // when the last connection closed
	room     chan struct{} // closed and replaced when open falls below the limit
	ports    map[uint16]*Port
	claimed  []net.Listener
	watchdog watchdog
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
// the server is closed. A port that is taken is the failure port_taken; [WithOwner]
// adds the process that holds it.
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
		loop := s.watch(ctx, number, l)
		s.loops.Go(func() { s.accept(ctx, p, loop) })
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
	lc := listenConfig()
	return lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
}

// absent reports whether an address does not exist on this machine, as [::1] in
// containers without IPv6.
func absent(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func taken(host string, port uint16, err error) error {
	return failure.New(failure.PortTaken, err).For(net.JoinHostPort(host, strconv.Itoa(int(port))), "")
}

// accept is the loop of one listening socket.
func (s *Server) accept(ctx context.Context, p *Port, loop *loop) {
	stop := context.AfterFunc(ctx, func() { _ = loop.listener.Close() })
	defer stop()
	var pause time.Duration
	for s.waitForRoom(ctx, loop) {
		conn, err := loop.listener.Accept()
		switch {
		case err == nil:
			pause = 0
			s.opened(p)
			s.conns.Add(1)
			go p.handler(ctx, &Conn{Conn: conn, port: p})
		case ctx.Err() != nil:
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			loop.answer()
		case isFatal(err):
			s.markFailed(fmt.Errorf("the listener of port %d stopped accepting: %w", p.number, err))
			return
		default:
			if s.AcceptError != nil {
				s.AcceptError(p.number, err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		}
	}
}

// isFatal reports whether an error of accept will not go away: the socket is no
// longer one that listens.
func isFatal(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.ENOTSOCK)
}

// waitForRoom returns when fewer connections than the limit are open; false when
// ctx ended first. Nothing is reserved: with several loops the limit may be
// passed by one connection a loop, which is cheaper than slots held by loops
// that only wait.
func (s *Server) waitForRoom(ctx context.Context, loop *loop) bool {
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
		first := s.full.IsZero()
		if first {
			s.full = time.Now()
		}
		s.mu.Unlock()
		if first && s.Full != nil {
			s.Full()
		}
		select {
		case <-room:
		case <-loop.beat:
			loop.answer()
		case <-ctx.Done():
			return false
		}
	}
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
	if 10*s.open <= 9*s.Limit {
		s.full = time.Time{}
	}
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

// Activity is what a drain needs to know.
type Activity struct {
	Open     int       // connections now
	Ever     bool      // there was one
	LastOpen time.Time // when the last one closed
	Full     time.Time // since when the limit has been reached, see Server.Full; zero: it is not
}

// Activity returns the state of all ports together.
func (s *Server) Activity() Activity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Activity{Open: s.open, Ever: s.ever, LastOpen: s.lastOpen, Full: s.full}
}

// Close closes every port, ends the context of every handler and waits for all
// of them.
func (s *Server) Close() {
	s.mu.Lock()
	for _, p := range s.ports {
		p.cancel()
	}
	if s.watchdog.stop != nil {
		s.watchdog.stop()
	}
	s.mu.Unlock()
	s.loops.Wait()
	s.conns.Wait()
}
