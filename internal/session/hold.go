package session

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/budget"
)

// Most of what passes is never held: a pump looks at what its buffer has room for and
// passes the rest as it comes. What has to be seen as a whole and is larger than that is
// held, in memory that the budget of the process has admitted (R25):
//
//	hold:       waits for the memory; the buffer is then one of exactly that size, so
//	            nothing behind the frame is read into it
//	replaceBy:  writes what takes its place in pieces, never a second copy
//	release:    gives the memory back, with the first read after that

// A tooLargeError is a part of a frame that the budget cannot hold.
type tooLargeError struct{ size, largest int64 }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("%d bytes must be held at once, and the memory limit allows %d", e.size, e.largest)
}

// hold exchanges the buffer for one of n bytes, which begins with what was not looked at
// yet. extra is what the owner will allocate besides.
func (p *pump) hold(n, extra int) error {
	p.take()
	if err := p.flushTimed(); err != nil {
		return err
	}
	if p.held != nil {
		return errors.New("a frame needs more than was held for it")
	}
	h, err := p.admit(n + extra)
	if err != nil {
		return err
	}
	buf := h.Buffer(n)
	end := copy(buf, p.buf[p.pos:p.end])
	p.putBuffer(p.buf)
	p.buf, p.start, p.pos, p.end, p.held = buf, 0, 0, end, h
	return nil
}

// admit waits until n bytes may be held.
func (p *pump) admit(n int) (*budget.Hold, error) {
	var h *budget.Hold
	h = p.conn.h.Budget.Request(n, func() { p.holdStalled(h) })
	p.mu.Lock()
	p.admission = h
	if p.stopping {
		h.Cancel()
	}
	p.mu.Unlock()
	p.waiting.Store(true)
	err := h.Wait()
	p.waiting.Store(false)
	switch {
	case err == nil:
		return h, nil
	case errors.Is(err, budget.ErrTooLarge):
		return nil, &tooLargeError{int64(n), p.conn.h.Budget.Largest()}
	}
	return nil, errStopped
}

// holdStalled is called when others have waited for long for the memory of a hold that
// does not move.
func (p *pump) holdStalled(h *budget.Hold) {
	p.mu.Lock()
	current := p.admission == h
	p.mu.Unlock()
	if current {
		p.conn.holdStalled()
	}
}

// giveBack releases a hold.
func (p *pump) giveBack(h *budget.Hold) {
	p.mu.Lock()
	p.admission = nil
	p.mu.Unlock()
	h.Release()
}

// A source of bytes gives them in pieces that it makes in buf.
type source interface {
	Next(buf []byte) (piece []byte, more bool)
}

// replaceBy writes the span, prefix and all of with in the place of the next n buffered
// bytes, which with may refer to.
func (p *pump) replaceBy(n int, prefix []byte, with source) error {
	scratch := p.getBuffer()
	defer p.putBuffer(scratch)
	piece, more := with.Next(scratch)
	if err := p.replace(n, prefix, piece); err != nil {
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
func (p *pump) write(out net.Buffers) error {
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
