package relay

import "sync"

// BufferSize is how much a pump reads at once. Everything that one read brought
// leaves in one write, so it is also the largest write. On loopback a segment holds
// 65483 bytes: a write of 64 KiB would be one and a tiny second one, which nearly
// doubles the processor time (measured, docs/performance.md).
const BufferSize = 48 << 10

// SmallBuffer is what a pump reads with when [Group.Memory] lends no large buffer. That
// happens when many destinations do not take what was read for them: then it matters
// more how much each of them holds than how fast it is.
const SmallBuffer = 4 << 10

// buffers is where pumps take their buffers from. A pump that waits for bytes
// holds none.
type buffers struct{ large, small sync.Pool }

func (p *Pump) getBuffer() []byte {
	if p.group.lend(BufferSize) {
		if b, ok := p.group.buffers.large.Get().(*[BufferSize]byte); ok {
			return b[:]
		}
		return new([BufferSize]byte)[:]
	}
	if b, ok := p.group.buffers.small.Get().(*[SmallBuffer]byte); ok {
		return b[:]
	}
	return new([SmallBuffer]byte)[:]
}

// putBuffer takes a buffer back that getBuffer has given.
func (p *Pump) putBuffer(buf []byte) {
	if cap(buf) == SmallBuffer {
		p.group.buffers.small.Put((*[SmallBuffer]byte)(buf[:SmallBuffer]))
		return
	}
	p.group.takeBack(BufferSize)
	p.group.buffers.large.Put((*[BufferSize]byte)(buf[:BufferSize]))
}
