//go:build !unix

package session

// reader reads from a connection. Where sockets cannot be polled a waiting read
// holds its buffer.
type reader struct{}

func (*reader) init(*pump) {}

func (*reader) read(p *pump) (int, error) {
	p.acquire()
	return p.src.Read(p.room())
}

func (*reader) canRest() bool { return false }
