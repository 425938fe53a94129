package admin

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// conns are the open connections of a server. A new connection is accepted even when there
// are enough: what it is for, perhaps a probe on whose answer the platform kills the process,
// is only known once its request has been read. So a connection that is not being served
// gives way to it.
//
//	Accept ── fewer than maxConnections ──▶ served
//	   └── else close the oldest idle one, or the oldest without a whole request,
//	       or the one whose answer has not been read for the longest time
type conns struct {
	mu      sync.Mutex
	changed *sync.Cond // there may be room, or another connection that can give way
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
	since   time.Time      // of the state
	writing time.Time      // since when a Write has been waiting; zero: none is
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

// end makes add return.
func (c *conns) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.changed.Broadcast()
}

// add waits until there is room. It reports false if the server has ended.
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

// victim returns the connection that gives way, or nil. An answer that has been waiting for
// its reader only for a moment does not as long as there is a reserve.
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
		_ = tcp.SetLinger(0) // the kernel does not keep what its client does not read
	}
	_ = one.Conn.Close()
}

// forget makes room. It may be called again.
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

// set notes the state of a connection. Too many that are idle are closed, the oldest first.
func (c *conns) set(one *conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.open[one]; !open {
		return // it has given way
	}
	if one.state == http.StateIdle {
		c.idle--
	}
	one.state, one.since = state, time.Now()
	if state == http.StateIdle {
		c.idle++
	}
	// An idle one is the first to give way.
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
