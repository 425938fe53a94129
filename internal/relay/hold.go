package relay

import (
	"errors"
	"net"
	"time"
)

// Most of what passes is never held: a pump looks at what its buffer has room for and
// passes the rest as it comes. What has to be seen as a whole and is larger than that is
// held, in memory that [Group.Memory] has admitted (R25):
//
//	Hold:       waits for the memory; the buffer is then one of exactly that size, so
//	            nothing behind the frame is read into it
//	ReplaceBy:  writes what takes its place in pieces, never a second copy
//	release:    gives the memory back, with the first read after that

// Hold exchanges the buffer for one of n bytes, which begins with what was not looked at
// yet. extra is what the owner will allocate besides.
func (p *Pump) Hold(n, extra int) error {
	p.Consume()
	if err := p.flushTimed(); err != nil {
		return err
	}
	if p.held != nil {
		return errors.New("a frame requires more memory than was reserved for it")
	}
	h, err := p.Admit(n + extra)
	if err != nil {
		return err
	}
	buf := h.Buffer(n)
	end := copy(buf, p.buf[p.pos:p.end])
	p.putBuffer(p.buf)
	p.buf, p.start, p.pos, p.end, p.held = buf, 0, 0, end, h
	return nil
}

// Admit waits until n bytes may be held. They are given back with GiveBack.
func (p *Pump) Admit(n int) (Admission, error) {
	var h Admission
	h, err := p.group.request(n, func() { p.holdStalled(h) })
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.admission = h
	if p.state == stopped {
		h.Cancel()
	}
	p.mu.Unlock()
	p.waiting.Store(true)
	defer p.waiting.Store(false)
	if h.Wait() != nil {
		return nil, ErrStopped
	}
	return h, nil
}

// holdStalled is called when others have waited for long for the memory of a hold that
// does not move.
func (p *Pump) holdStalled(h Admission) {
	p.mu.Lock()
	current := p.admission == h
	p.mu.Unlock()
	if current {
		p.owner.Stalled()
	}
}

// GiveBack gives back what Admit has returned.
func (p *Pump) GiveBack(h Admission) {
	p.mu.Lock()
	p.admission = nil
	p.mu.Unlock()
	h.Release()
}

// Pieces are bytes that are made one piece at a time, in buf.
type Pieces interface {
	Next(buf []byte) (piece []byte, more bool)
}

// ReplaceBy writes the span, prefix and all of with in the place of the next n buffered
// bytes, which with may refer to.
func (p *Pump) ReplaceBy(n int, prefix []byte, with Pieces) error {
	scratch := p.getBuffer()
	defer p.putBuffer(scratch)
	piece, more := with.Next(scratch)
	if err := p.Replace(n, prefix, piece); err != nil {
		return err
	}
	for more {
		piece, more = with.Next(scratch)
		if err := p.write(net.Buffers{piece}); err != nil {
			return err
		}
	}
	return nil
}

// write writes to the destination, and notes for how long it took nothing.
func (p *Pump) write(out net.Buffers) error {
	begin := time.Now()
	p.waiting.Store(true)
	n, err := out.WriteTo(p.dst)
	p.waiting.Store(false)
	p.blocked(time.Since(begin))
	p.count(int(n))
	if err != nil {
		return p.writeError(err)
	}
	if p.held != nil {
		p.held.Touch()
	}
	return nil
}
