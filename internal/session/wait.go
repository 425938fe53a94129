package session

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// Times of the limit on silence.
const (
	slowWrite = 100 * time.Millisecond // a write that lasts longer has kept the source waiting
	waited    = 10 * time.Millisecond  // a read that lasts longer has waited for bytes
	maxGrace  = 2 * time.Minute        // longest interval between two tries of a kernel
)

// blocked notes that a write has kept the pump from reading for so long. A source
// whose window was shut, or whose bytes were dropped because there was no room for
// them, tries again at intervals that double (RFC 9293, section 3.8.6.1; RFC 6298,
// section 5.5): it may need as long again to notice that it can send.
func (p *pump) blocked(d time.Duration) {
	if d > slowWrite {
		p.grace = max(p.grace, min(d, maxGrace))
	}
}

// limit sets the read deadline that fits the state of the pump.
func (p *pump) limit() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopping:
		return errStopped
	case p.interrupted:
		return errInterrupted
	case p.finished > 0:
		p.until = time.Now().Add(p.finished + p.grace)
	case p.mid && p.conn.h.Stall > 0:
		p.until = time.Now().Add(p.conn.h.Stall + p.grace)
	case p.until.IsZero():
		return nil
	default:
		p.until = time.Time{}
	}
	return p.src.SetReadDeadline(p.until)
}

func (p *pump) readError(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return p.expired()
	case errors.Is(err, errResting):
		return errResting
	}
	return &sideError{p.from(), false, err}
}

// expired says why a read deadline was set.
func (p *pump) expired() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopping:
		return errStopped
	case p.interrupted:
		return errInterrupted
	case p.asked:
		p.asked, p.wantRest = false, true
		_ = p.src.SetReadDeadline(p.until)
		return errAgain
	}
	return &sideError{p.from(), false, errStalled}
}

// interrupt ends a waiting read, and every further one until resume.
func (p *pump) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupted = true
	_ = p.src.SetReadDeadline(past)
}

// resume lets the pump read again after an interrupt.
func (p *pump) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupted = false
	if !p.stopping {
		p.until = time.Time{}
		_ = p.src.SetReadDeadline(p.until)
	}
}

// finish gives the source at most d of silence from now on and wakes a waiting
// read.
func (p *pump) finish(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = max(d, 1)
	p.until = time.Now().Add(p.finished)
	_ = p.src.SetReadDeadline(p.until)
	p.rouse()
}

func (p *pump) finishing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished > 0
}

// stop makes every read and write of the pump fail from now on.
func (p *pump) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopping = true
	if p.admission != nil {
		p.admission.Cancel()
	}
	p.halt()
	p.rouse()
}

// attach gives the pump one of its sides, or both.
func (p *pump) attach(src, dst net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if src != nil {
		p.src = src
		p.reader.init(p)
	}
	if dst != nil {
		p.dst = dst
	}
	if p.stopping {
		p.halt()
	}
}

// halt makes reads and writes fail. The caller holds mu.
func (p *pump) halt() {
	if p.src != nil {
		_ = p.src.SetReadDeadline(past)
	}
	if p.dst != nil {
		_ = p.dst.SetWriteDeadline(past)
	}
}

func (p *pump) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping
}

// past is a deadline that has expired.
var past = time.Unix(1, 0)
