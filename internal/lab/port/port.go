// Package port is a listening TCP port that can be closed and opened again.
//
// The lab's parts must be able to go down ("connection refused") and to return on the same
// address, with thousands of other connections at the same time. A [Port] keeps its number
// while it is down, knows its open connections and resets them when it goes down:
//
//	p, err := port.Listen("127.0.0.1:0")
//	go serve(p)          // loops over p.AcceptTCP until net.ErrClosed
//	p.SetDown(true)      // refused from now on; Accept waits
//	p.SetDown(false)     // the same address serves again
//	p.Close()
//
// It does not serve connections itself and imports nothing of ours.
package port

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A Port is a net.Listener that can be closed temporarily.
type Port struct {
	addr *net.TCPAddr
	hold io.Closer // keeps the number while no socket listens; may be nil
	done chan struct{}

	mu     sync.Mutex
	ln     *net.TCPListener // nil while down
	up     chan struct{}    // closed when the port is up again; nil while up
	closed bool
	conns  map[*net.TCPConn]struct{}
}

// Listen opens a port on a "host:port" address; port 0 takes a free one.
func Listen(address string) (*Port, error) {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	addr, keep, err := hold(addr)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	ln, err := net.ListenTCP("tcp", addr)
	if err != nil {
		if keep != nil {
			keep.Close()
		}
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return &Port{
		addr:  ln.Addr().(*net.TCPAddr),
		hold:  keep,
		done:  make(chan struct{}),
		ln:    ln,
		conns: make(map[*net.TCPConn]struct{}),
	}, nil
}

// Addr returns the address with the assigned number.
func (p *Port) Addr() net.Addr { return p.addr }

// String returns the address as "host:port".
func (p *Port) String() string { return p.addr.String() }

// AcceptTCP returns the next connection; while the port is down it waits. After Close it
// returns net.ErrClosed. The port owns the connection and resets it when it goes down, until
// [Port.Release].
func (p *Port) AcceptTCP() (*net.TCPConn, error) {
	pause := 5 * time.Millisecond
	for {
		ln, up, err := p.listener()
		if err != nil {
			return nil, err
		}
		if ln == nil {
			select {
			case <-up:
			case <-p.done:
			}
			continue
		}
		conn, err := ln.AcceptTCP()
		switch {
		case err == nil:
			if p.take(conn, ln) {
				return conn, nil
			}
		case errors.Is(err, net.ErrClosed):
			// The port is down or closed: the next iteration checks which.
		default:
			// Probably no file descriptor is free: try again with increasing pauses.
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-p.done:
				timer.Stop()
			}
			pause = min(2*pause, time.Second)
		}
	}
}

// Accept is AcceptTCP for users of net.Listener: closing the connection
// releases it.
func (p *Port) Accept() (net.Conn, error) {
	conn, err := p.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return &owned{TCPConn: conn, port: p}, nil
}

// Release removes a connection from the port's ownership; the caller closes it.
func (p *Port) Release(conn *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// Open returns the number of open connections that the port owns.
func (p *Port) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// SetDown closes the port (connections are refused, open ones reset) or opens it again on the
// same address.
func (p *Port) SetDown(down bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed || down == (p.ln == nil):
		return nil
	case down:
		p.ln.Close()
		p.ln, p.up = nil, make(chan struct{})
		p.resetAll()
		return nil
	}
	ln, err := relisten(p.addr)
	if err != nil {
		return fmt.Errorf("listening on %s again: %w", p.addr, err)
	}
	p.ln = ln
	close(p.up)
	p.up = nil
	return nil
}

// Reset resets all open connections; the port remains up or down.
func (p *Port) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetAll()
}

// Close closes the port for good and resets its connections.
func (p *Port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	close(p.done)
	if p.ln != nil {
		p.ln.Close()
		p.ln = nil
	}
	p.resetAll()
	if p.hold != nil {
		p.hold.Close()
	}
	return nil
}

// listener returns the listener or, while the port is down, the channel that is closed when it
// is up again.
func (p *Port) listener() (*net.TCPListener, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, net.ErrClosed
	}
	return p.ln, p.up, nil
}

// take adds a connection to those that the port owns. It resets one from a listener that was
// closed in the meantime.
func (p *Port) take(conn *net.TCPConn, from *net.TCPListener) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.ln != from {
		Reset(conn)
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

// resetAll resets all connections. The caller holds the lock.
func (p *Port) resetAll() {
	for conn := range p.conns {
		Reset(conn)
	}
	clear(p.conns)
}

// Reset closes a connection with RST instead of FIN.
func Reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}

// owned is a connection that leaves the port's ownership when it is closed.
type owned struct {
	*net.TCPConn
	port *Port
}

// Close closes the connection.
func (c *owned) Close() error {
	c.port.Release(c.TCPConn)
	return c.TCPConn.Close()
}

// relisten opens a port again. If the number could not be held, it may be in use for a moment
// as the source port of another connection.
func relisten(addr *net.TCPAddr) (ln *net.TCPListener, err error) {
	for pause := time.Millisecond; pause < 2*time.Second; pause *= 2 {
		if ln, err = net.ListenTCP("tcp", addr); err == nil {
			return ln, nil
		}
		<-time.After(pause)
	}
	return nil, err
}
