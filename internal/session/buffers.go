package session

import "sync"

// bufferSize is how much a pump reads at once. Everything that one read brought
// leaves in one write, so it is also the largest write. On loopback a segment holds
// 65483 bytes: a write of 64 KiB would be one and a tiny second one, which nearly
// doubles the processor time (measured, docs/performance.md).
const bufferSize = 48 << 10

// smallBuffer is what a pump reads with when the budget has no large buffer left. That
// happens when many destinations do not take what was read for them: then it matters
// more how much each of them holds than how fast it is.
const smallBuffer = 4 << 10

// buffers is where pumps take their buffers from. A pump that waits for bytes
// holds none.
type buffers struct{ large, small sync.Pool }

func (p *pump) getBuffer() []byte {
	if p.conn.h.Budget.LendBuffer(bufferSize) {
		if b, ok := p.conn.h.buffers.large.Get().(*[bufferSize]byte); ok {
			return b[:]
		}
		return new([bufferSize]byte)[:]
	}
	if b, ok := p.conn.h.buffers.small.Get().(*[smallBuffer]byte); ok {
		return b[:]
	}
	return new([smallBuffer]byte)[:]
}

// putBuffer takes a buffer back that getBuffer has given.
func (p *pump) putBuffer(buf []byte) {
	if cap(buf) == smallBuffer {
		p.conn.h.buffers.small.Put((*[smallBuffer]byte)(buf[:smallBuffer]))
		return
	}
	p.conn.h.Budget.ReturnBuffer(bufferSize)
	p.conn.h.buffers.large.Put((*[bufferSize]byte)(buf[:bufferSize]))
}
