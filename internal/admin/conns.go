package admin

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// conns are the open connections of a server. A new connection is accepted even if there are
// enough: only its request shows whether it is a probe, on whose response the platform decides
// to kill the process. It replaces a connection that is not being served:
//
//	Accept ── fewer than maxConnections ──▶ served
//	   └── else close the oldest idle one, or the oldest without a whole request,
//	       or the one that has not read its response for the longest time
type conns struct {
	mu      sync.Mutex
	changed *sync.Cond // signals that there may be room, or another connection that can be closed
	open    map[*conn]struct{}
	idle    int
	ended   bool
}

func newConns() *conns {
	c := &conns{open: map[*conn]struct{}{}}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// A conn is an open connection. Its fields are guarded by the mutex of conns.
type conn struct {
	net.Conn
	conns *conns

	state   http.ConnState // new or idle until a whole request has been read, then active
	since   time.Time      // when state last changed
	writing time.Time      // since when a Write has been waiting; zero: no Write waits
}

// A listener accepts connections into conns.
type listener struct {
	net.Listener
	conns *conns
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, conns: l.conns, state: http.StateNew, since: time.Now()}
	if !l.conns.add(c) {
		_ = inner.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close implements [net.Listener].
func (l *listener) Close() error {
	l.conns.end()
	return l.Listener.Close()
}

// end makes add return false.
func (c *conns) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.changed.Broadcast()
}

// add waits until there is room. It returns false if the server has ended.
func (c *conns) add(one *conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.open) >= maxConnections {
		victim := c.victim()
		switch {
		case c.ended:
			return false
		case victim != nil:
			c.evict(victim)
		case len(c.open) < maxConnections+reserve:
			c.open[one] = struct{}{}
			return true
		default:
			c.changed.Wait()
		}
	}
	c.open[one] = struct{}{}
	return !c.ended
}

// victim returns the connection to close for a new one, or nil. It spares a response that has
// waited for its reader only briefly, as long as there is a reserve.
func (c *conns) victim() *conn {
	var best [3]*conn
	for one := range c.open {
		class, at := 0, one.since
		switch {
		case !one.writing.IsZero():
			class, at = 2, one.writing
			if time.Since(at) < writeGrace && len(c.open) < maxConnections+reserve {
				continue
			}
		case one.state == http.StateActive:
			continue
		case one.state == http.StateNew:
			class = 1
		}
		if first := best[class]; first == nil || at.Before(first.age(class)) {
			best[class] = one
		}
	}
	for _, one := range best {
		if one != nil {
			return one
		}
	}
	return nil
}

func (c *conn) age(class int) time.Time {
	if class == 2 {
		return c.writing
	}
	return c.since
}

// evict closes a connection. Its goroutine notices and ends.
func (c *conns) evict(one *conn) {
	c.forget(one)
	if tcp, ok := one.Conn.(*net.TCPConn); ok && !one.writing.IsZero() {
		_ = tcp.SetLinger(0) // the kernel does not keep bytes that the client does not read
	}
	_ = one.Conn.Close()
}

// forget removes a connection. It may be called more than once.
func (c *conns) forget(one *conn) {
	if _, open := c.open[one]; !open {
		return
	}
	if one.state == http.StateIdle {
		c.idle--
	}
	delete(c.open, one)
	c.changed.Broadcast()
}

// set records the state of a connection. If too many are idle, the oldest is closed.
func (c *conns) set(one *conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.open[one]; !open {
		return // it has been closed for another one
	}
	if one.state == http.StateIdle {
		c.idle--
	}
	one.state, one.since = state, time.Now()
	if state == http.StateIdle {
		c.idle++
	}
	// Idle connections are the first to be closed.
	for victim := c.victim(); c.idle > maxIdle && victim != nil && victim.state == http.StateIdle; victim = c.victim() {
		c.evict(victim)
	}
	c.changed.Broadcast()
}

// Write implements [net.Conn].
func (c *conn) Write(b []byte) (int, error) {
	c.setWriting(time.Now())
	defer c.setWriting(time.Time{})
	return c.Conn.Write(b)
}

func (c *conn) setWriting(at time.Time) {
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	c.writing = at
	c.conns.changed.Broadcast()
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.conns.mu.Lock()
	c.conns.forget(c)
	c.conns.mu.Unlock()
	return c.Conn.Close()
}
