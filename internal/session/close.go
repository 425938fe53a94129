package session

import (
	"errors"
	"net"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
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
	// A broker that refuses the tunnel's handshake behind its end was not reached
	// either.
	reset := isReset(err) || failure.Is(err, failure.TLSRefused)
	side, _ := errors.AsType[*sideError](err)
	for _, p := range []*pump{&c.requests, &c.responses} {
		if p.src == nil {
			continue
		}
		mine := side != nil && side.side == p.from()
		if reset && !mine || c.undelivered.Load() && p == &c.responses {
			abort(p.src)
			continue
		}
		hangUp(p)
	}
}

// abort closes conn with a reset.
func abort(conn net.Conn) {
	switch conn := conn.(type) {
	case *net.TCPConn:
		_ = conn.SetLinger(0)
	case interface{ Abort() }: // TLS
		conn.Abort()
		return
	}
	_ = conn.Close()
}

// hangUp closes the source of a pump with a FIN. Bytes that the kernel has received
// and nobody has read would turn it into a reset, and a reset may destroy what was
// written before it: so they are read first.
func hangUp(p *pump) {
	if half, ok := p.src.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		p.drain()
	}
	_ = p.src.Close()
}

// drainLimit bounds what is read from a connection that is being closed.
const drainLimit = 1 << 20

// drain reads what has arrived already, without waiting for more than an instant.
func (p *pump) drain() {
	for total := 0; total < drainLimit; {
		p.discard()
		_ = p.src.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := p.reader.read(p)
		if n == 0 || err != nil {
			return
		}
		total += n
	}
}
