package relay

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Pump moves bytes from a source to a destination through one buffer and lets its owner
// inspect them.
//
//	buf: | written | span: passed, not written yet | not looked at yet |  free  |
//	     0       start                            pos                 end     cap
//
// One goroutine at a time runs a pump: it calls all methods but those that end a wait.
// These may be called from any goroutine:
//
//	Interrupt    ends the present wait and every further one until Resume
//	Drain        gives the source a limited time from now on
//	Stop         makes every read and write fail from now on
//	RequestPark  asks an idle pump to park; Unpark wakes it
type Pump struct {
	src, dst net.Conn
	group    *Group
	owner    Owner
	splicer  *splicer // nil until there is a large span

	reader          reader
	active          atomic.Bool // bytes have come since the last RequestPark
	waiting         atomic.Bool // the pump waits for something other than bytes of src
	buf             []byte
	start, pos, end int
	held            Admission // the memory of buf; nil: it is one of the group's buffers

	capture  Capture // gets a copy of what passes; nil: none
	captured int     // bytes behind pos that it has got already

	readLimit  int           // the next read brings no more than this; 0: as much as it can
	grace      time.Duration // how much longer than Group.Stall src may take, see blocked
	bulk       bool          // the read before has filled the buffer: more is waiting in the socket
	large      bool          // the span before was spliced; the next one may be, too
	unconsumed bool          // what the buffer holds is still in the socket, see Consume
	inFrame    bool          // a frame was begun and is not complete
	wantPark   bool          // the pump was asked to park and may, if nothing comes
	from       Direction

	mu        sync.Mutex // guards the deadlines of src and dst, and what follows
	state     state
	fd        int32         // of src, while parked; guarded by poller.mu
	until     time.Time     // the read deadline that fits the state
	patience  time.Duration // of draining
	admission Admission     // held, or the one that the pump waits for
}

// A state is what ends the wait of a pump.
type state uint8

const (
	running     state = iota
	interrupted       // every wait ends with ErrInterrupted
	parking           // the wait is to end with ErrParked, if nothing comes
	parked            // there is no goroutine: the poller waits
	draining          // the source has the time of patience
	stopped           // every read and write ends with ErrStopped
)

// Init prepares a pump whose two sides are attached later.
func (p *Pump) Init(g *Group, owner Owner, from Direction) { p.group, p.owner, p.from = g, owner, from }

// From returns the direction.
func (p *Pump) From() Direction { return p.from }

func (p *Pump) count(n int) { p.owner.Moved(p.from, n) }

// Source returns the connection that the pump reads.
func (p *Pump) Source() net.Conn { return p.src }

// Captured returns what [Pump.Capture] was given.
func (p *Pump) Captured() Capture { return p.capture }

// Capture has c get a copy of what passes from now on; nil: nothing does.
func (p *Pump) Capture(c Capture) { p.capture, p.captured = c, 0 }

// InFrame sets whether a frame has begun and is not complete: then the source has
// Group.Stall for the next byte, and the pump does not park.
func (p *Pump) InFrame(begun bool) { p.inFrame = begun }

// Waiting sets whether the pump waits for something other than bytes of its source, so
// that nothing reads from it. It does so itself while it writes or waits for memory.
func (p *Pump) Waiting(waits bool) { p.waiting.Store(waits) }

// IsWaiting reports that. It may be called from any goroutine.
func (p *Pump) IsWaiting() bool { return p.waiting.Load() }

// Room returns how many bytes can be looked at without being held.
func (p *Pump) Room() int { return len(p.buf) }

// Holds reports whether the buffer is one that was admitted by Hold.
func (p *Pump) Holds() bool { return p.held != nil }

// HasSpan reports whether bytes were passed and not written yet.
func (p *Pump) HasSpan() bool { return p.start != p.pos }

// LimitRead bounds the next read to n bytes where what comes after them could be spliced.
func (p *Pump) LimitRead(n int64) {
	if p.large {
		p.readLimit = int(min(n, BufferSize))
	}
}

// Peek returns at least n bytes that were not looked at yet, reading as needed.
// io.EOF means that the source ended before the first of them,
// io.ErrUnexpectedEOF that it ended after it.
func (p *Pump) Peek(n int) ([]byte, error) {
	for p.end-p.pos < n {
		if p.buf != nil && n > len(p.buf) {
			if err := p.Hold(n, 0); err != nil {
				return nil, err
			}
		}
		if err := p.Fill(); err != nil {
			if errors.Is(err, io.EOF) && p.end > p.pos {
				return nil, p.ReadError(io.ErrUnexpectedEOF)
			}
			return nil, err
		}
	}
	return p.buf[p.pos:p.end], nil
}

// Buffered returns what was read and not looked at.
func (p *Pump) Buffered() []byte { return p.buf[p.pos:p.end] }

// room is where the next read may put bytes.
func (p *Pump) room() []byte {
	room := p.buf[p.end:]
	if p.readLimit > 0 && p.readLimit < len(room) {
		room = room[:p.readLimit]
	}
	return room
}

// Advance moves over the next n buffered bytes.
func (p *Pump) Advance(n int) {
	if p.capture != nil {
		p.CopyOut(n)
		p.captured -= min(p.captured, n)
	}
	p.pos += n
}

// CopyOut gives the capture the next n buffered bytes, which may be rewritten in
// place afterwards.
func (p *Pump) CopyOut(n int) {
	if p.capture != nil && n > p.captured {
		p.capture.Write(p.buf[p.pos+p.captured : p.pos+n])
		p.captured = n
	}
}

// forget drops what the buffer holds, which is still in the socket, and returns how
// much that was.
func (p *Pump) forget() int64 {
	n := int64(p.end - p.start)
	p.start, p.pos, p.unconsumed = p.end, p.end, false
	p.release()
	return n
}

// watched reports whether the bytes that come have to be seen.
func (p *Pump) watched() bool { return p.capture != nil && p.capture.Wants() }

// Pass lets the next n bytes through, reading the rest of them as needed.
func (p *Pump) Pass(n int64) error {
	for {
		have := min(int64(p.end-p.pos), n)
		p.Advance(int(have))
		if n -= have; n == 0 {
			return nil
		}
		if p.unconsumed && n >= spliceMin && !p.watched() {
			n += p.forget() // the kernel moves that as well
		}
		moved, err := p.passByKernel(n)
		if n -= moved; err == nil && moved == 0 {
			p.large = false
			err = p.Fill()
		}
		if err != nil {
			return p.Unexpected(err)
		}
		if n == 0 {
			return nil
		}
	}
}

// Drop reads and throws away the next n bytes.
func (p *Pump) Drop(n int64) error {
	for {
		p.Consume()
		if err := p.Flush(); err != nil {
			return err
		}
		have := min(int64(p.end-p.pos), n)
		p.Advance(int(have))
		p.start = p.pos
		if n -= have; n == 0 {
			return nil
		}
		if err := p.Fill(); err != nil {
			return p.Unexpected(err)
		}
	}
}

// Replace writes the span and then with, in the place of the next n buffered
// bytes.
func (p *Pump) Replace(n int, with ...[]byte) error {
	p.Consume()
	span := p.buf[p.start:p.pos]
	p.Advance(n)
	p.start = p.pos
	out := make(net.Buffers, 0, 1+len(with))
	if len(span) > 0 {
		out = append(out, span)
	}
	return p.write(append(out, with...))
}

// Flush writes the span.
func (p *Pump) Flush() error {
	if p.start == p.pos {
		return nil
	}
	p.Consume()
	p.waiting.Store(true)
	n, err := p.dst.Write(p.buf[p.start:p.pos])
	p.waiting.Store(false)
	p.start += n
	p.count(n)
	if err != nil {
		return p.writeError(err)
	}
	return nil
}

// flushTimed is a flush that notes for how long the destination took nothing.
func (p *Pump) flushTimed() error {
	if p.start == p.pos {
		return nil
	}
	begin := time.Now()
	err := p.Flush()
	p.blocked(time.Since(begin))
	return err
}

func (p *Pump) writeError(err error) error {
	if p.is(stopped) && !IsReset(err) { // a reset came from the other side
		return ErrStopped
	}
	return p.WriteError(err)
}

// Fill writes the span and reads once.
func (p *Pump) Fill() error {
	p.Consume()
	if err := p.flushTimed(); err != nil {
		return err
	}
	switch {
	case p.pos == p.end:
		p.release()
	case p.end == len(p.buf):
		p.end = copy(p.buf, p.buf[p.pos:p.end])
		p.start, p.pos = 0, 0
	}
	if err := p.limit(); err != nil {
		return err
	}
	var asked time.Time
	if p.grace > 0 {
		asked = time.Now()
	}
	for {
		n, err := p.reader.read(p)
		if n > 0 {
			p.end += n
			p.readLimit = 0
			p.bulk = p.end == len(p.buf)
			if p.held != nil {
				p.held.Touch()
			}
			if !p.active.Load() {
				p.active.Store(true)
			}
			if p.grace > 0 && time.Since(asked) > waited {
				p.grace = 0 // it has noticed that it may send again
			}
			return nil
		}
		if err = p.readError(err); !errors.Is(err, errAgain) {
			return err
		}
	}
}

// release gives the buffer back; only valid when it holds nothing.
func (p *Pump) release() {
	switch {
	case p.held != nil:
		p.GiveBack(p.held)
	case p.buf != nil:
		p.putBuffer(p.buf)
	}
	p.buf, p.held = nil, nil
	p.start, p.pos, p.end = 0, 0, 0
}

// acquire takes a buffer when the pump holds none; the reader calls it when
// there is something to read.
func (p *Pump) acquire() {
	if p.buf == nil {
		p.buf = p.getBuffer()
	}
}

// Full reports whether the buffer has room for no more.
func (p *Pump) Full() bool { return p.buf != nil && p.pos == 0 && p.end == len(p.buf) }

// Free gives the buffer back, whatever it holds.
func (p *Pump) Free() {
	p.pos, p.unconsumed = p.end, false
	p.release()
}
