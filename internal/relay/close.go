package relay

import (
	"net"
	"time"
)

// Abort closes conn with a reset.
func Abort(conn net.Conn) {
	switch conn := conn.(type) {
	case interface{ Abort() }: // TLS
		conn.Abort()
		return
	case interface{ SetLinger(sec int) error }:
		_ = conn.SetLinger(0)
	}
	_ = conn.Close()
}

// Close closes the source of the pump, if it has one, so that its peer sees what the
// other one did: with a reset, or with a FIN behind the last byte. Bytes that the kernel
// has received and that were not read would turn the FIN into a reset, which may destroy
// what was written before it: so they are read first.
func (p *Pump) Close(reset bool) {
	switch half, ok := p.src.(interface{ CloseWrite() error }); {
	case p.src == nil:
	case reset:
		Abort(p.src)
	case ok:
		_ = half.CloseWrite()
		p.discardUnread()
		_ = p.src.Close()
	default:
		_ = p.src.Close()
	}
}

// discardLimit bounds what is read from a connection that is being closed.
const discardLimit = 1 << 20

// discardUnread reads what has arrived already, without waiting for more than an instant.
func (p *Pump) discardUnread() {
	for total := 0; total < discardLimit; {
		p.Free()
		_ = p.src.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := p.reader.read(p)
		if n == 0 || err != nil {
			return
		}
		total += n
	}
}
