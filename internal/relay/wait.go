package relay

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
func (p *Pump) blocked(d time.Duration) {
	if d > slowWrite {
		p.grace = max(p.grace, min(d, maxGrace))
	}
}

// limit sets the read deadline that fits the state of the pump.
func (p *Pump) limit() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.state == stopped:
		return ErrStopped
	case p.state == interrupted:
		return ErrInterrupted
	case p.state == draining:
		p.until = time.Now().Add(p.patience + p.grace)
	case p.inFrame && p.group.Stall > 0:
		p.until = time.Now().Add(p.group.Stall + p.grace)
	case p.until.IsZero():
		return nil
	default:
		p.until = time.Time{}
	}
	return p.src.SetReadDeadline(p.until)
}

func (p *Pump) readError(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return p.expired()
	case errors.Is(err, ErrParked):
		return ErrParked
	}
	return p.ReadError(err)
}

// expired returns why a read deadline was set.
func (p *Pump) expired() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case stopped:
		return ErrStopped
	case interrupted:
		return ErrInterrupted
	case parking:
		p.state, p.wantPark = running, true
		_ = p.src.SetReadDeadline(p.until)
		return errAgain
	}
	return p.ReadError(ErrStalled)
}

// Interrupt ends a waiting read, and every further one until Resume.
func (p *Pump) Interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == running || p.state == parking {
		p.state = interrupted
		_ = p.src.SetReadDeadline(past)
	}
}

// Resume lets the pump read again after Interrupt.
func (p *Pump) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == interrupted {
		p.state, p.until = running, time.Time{}
		_ = p.src.SetReadDeadline(p.until)
	}
}

// Drain gives the source at most d of silence from now on. It wakes a waiting read.
func (p *Pump) Drain(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == stopped {
		return
	}
	before := p.state
	p.state, p.patience = draining, max(d, 1)
	p.until = time.Now().Add(p.patience)
	_ = p.src.SetReadDeadline(p.until)
	if before == parked {
		p.unpark()
	}
}

// Draining reports whether Drain was called.
func (p *Pump) Draining() bool { return p.is(draining) }

// Stop makes every read and write of the pump fail from now on.
func (p *Pump) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.state
	p.state = stopped
	if p.admission != nil {
		p.admission.Cancel()
	}
	p.halt()
	if before == parked {
		p.unpark()
	}
}

func (p *Pump) is(s state) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state == s
}

// Attach gives the pump one of its sides, or both.
func (p *Pump) Attach(src, dst net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if src != nil {
		p.src = src
		p.reader.init(p)
	}
	if dst != nil {
		p.dst = dst
	}
	if p.state == stopped {
		p.halt()
	}
}

// halt makes reads and writes fail. The caller holds mu.
func (p *Pump) halt() {
	if p.src != nil {
		_ = p.src.SetReadDeadline(past)
	}
	if p.dst != nil {
		_ = p.dst.SetWriteDeadline(past)
	}
}

// past is a deadline that has expired.
var past = time.Unix(1, 0)
