package session

import (
	"errors"
	"net"
	"time"
)

// close ends both connections so that each peer sees what the other one did: a
// reset on one side becomes a reset on the other, everything else a FIN behind
// the last byte (R14).
//
// A client whose broker was not reached gets a reset too. It stands where a direct
// client would find the connection refused, and clients tell it from an end in
// good order: franz-go takes that, as the first thing it reads, for a refused
// authentication and fails the records that it holds.
func (c *connection) close(result Result, err error) {
	if result == NotReached {
		abort(c.client)
		return
	}
	reset := isReset(err)
	side, _ := errors.AsType[*sideError](err)
	for _, conn := range []net.Conn{c.client, c.up} {
		if conn == nil {
			continue
		}
		mine := side != nil && (side.side == "client") == (conn == c.client)
		if reset && !mine {
			abort(conn)
			continue
		}
		hangUp(conn)
	}
}

// abort closes conn with a reset.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// hangUp closes conn with a FIN. Bytes that the kernel has received and nobody
// has read would turn it into a reset, and a reset may destroy what was written
// before it: so they are read first.
func hangUp(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		drain(conn)
	}
	_ = conn.Close()
}

// drainLimit bounds what is read from a connection that is being closed.
const drainLimit = 1 << 20

// drain reads what has arrived already, without waiting for more than an instant.
func drain(conn net.Conn) {
	buf := make([]byte, 16<<10)
	for total := 0; total < drainLimit; {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		total += n
	}
}
