//go:build !unix

package relay

// reader reads from a connection. Where sockets cannot be polled a waiting read
// holds its buffer.
type reader struct{}

func (*reader) init(*Pump) {}

func (*reader) read(p *Pump) (int, error) {
	p.acquire()
	return p.src.Read(p.room())
}

func (*reader) canPoll() bool { return false }
