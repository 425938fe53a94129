package session

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/budget"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// A pump moves bytes from src to dst through one buffer and lets its owner look
// at them on the way. Nothing is copied: what the owner passes stays where it was
// read and leaves with one write.
//
//	buf: | written | span: passed, not written yet | not looked at yet |  free  |
//	     0       start                            pos                 end     cap
//
// The owner calls peek to look, pass to let through, replace to put other bytes
// in the place of some. The span is written before the pump waits for more. What the
// owner has to see at once and the buffer has no room for is held: see hold.
type pump struct {
	src, dst net.Conn
	conn     *connection // the owner
	splicer  *splicer    // nil until there is a large span

	reader          reader
	active          atomic.Bool // bytes have come since the last check
	waiting         atomic.Bool // the owner waits for something else than bytes of src
	buf             []byte
	start, pos, end int
	held            *budget.Hold // the memory of buf; nil: it is one of buffers

	tee   *tap.Capture // who watches gets a copy of the frame; nil: nobody
	ahead int          // bytes behind pos that were copied already

	only   int  // the next read brings no more than this; 0: as much as it can
	large  bool // the span before went by the kernel's way; the next one may, too
	peeked bool // what the buffer holds is still in the socket, see take

	grace     time.Duration // how much longer than Handler.Stall src may take, see blocked
	mid       bool          // a frame was begun and is not complete
	wantRest  bool          // the pump was asked to rest and may, if nothing comes
	direction direction

	mu          sync.Mutex    // guards the read deadline of src and what follows
	until       time.Time     // the read deadline that fits the state of the pump
	finished    time.Duration // finish was called
	stopping    bool          // stop was called
	interrupted bool          // interrupt was called
	asked       bool          // askRest was called
	asleep      bool          // the pump rests in the dormitory
	admission   *budget.Hold  // held, or the one that the pump waits for
	restFD      int32         // the descriptor by which the dormitory knows it
}

// A direction is where the bytes of a pump come from.
type direction uint8

const (
	fromClient direction = iota
	fromBroker
)

// sides are the names of the two sides in errors, by direction: the source comes first.
var sides = [...][2]string{fromClient: {"client", "broker"}, fromBroker: {"broker", "client"}}

// init prepares a pump whose two sides are attached later.
func (p *pump) init(c *connection, from direction) { p.conn, p.direction = c, from }

func (p *pump) from() string { return sides[p.direction][0] }
func (p *pump) to() string   { return sides[p.direction][1] }

func (p *pump) count(n int) { p.conn.moved(p.direction, n) }

// errStalled is a frame that was begun and not continued in time.
var errStalled = errors.New("no more bytes came")

// errStopped is the end of a pump that was told to stop.
var errStopped = errors.New("stopped")

// errInterrupted is the end of one wait for bytes.
var errInterrupted = errors.New("interrupted")

// errResting is the end of a pump's goroutine; the pump goes on when bytes come.
var errResting = errors.New("resting")

// errAgain is a wait for bytes that is to be repeated.
var errAgain = errors.New("again")

// A sideError says on which side of a pump an error happened.
type sideError struct {
	side  string // "client" or "broker"
	write bool
	err   error
}

func (e *sideError) Error() string {
	if e.write {
		return fmt.Sprintf("to %s: %v", e.side, e.err)
	}
	return fmt.Sprintf("from %s: %v", e.side, e.err)
}

func (e *sideError) Unwrap() error { return e.err }

// peek returns at least n bytes that were not looked at yet, reading as needed.
// io.EOF means that the source ended before the first of them,
// io.ErrUnexpectedEOF that it ended after it.
func (p *pump) peek(n int) ([]byte, error) {
	for p.end-p.pos < n {
		if p.buf != nil && n > len(p.buf) {
			if err := p.hold(n, 0); err != nil {
				return nil, err
			}
		}
		if err := p.fill(); err != nil {
			if errors.Is(err, io.EOF) && p.end > p.pos {
				return nil, &sideError{p.from(), false, io.ErrUnexpectedEOF}
			}
			return nil, err
		}
	}
	return p.buf[p.pos:p.end], nil
}

// buffered returns what was read and not looked at.
func (p *pump) buffered() []byte { return p.buf[p.pos:p.end] }

// room is where the next read may put bytes.
func (p *pump) room() []byte {
	room := p.buf[p.end:]
	if p.only > 0 && p.only < len(room) {
		room = room[:p.only]
	}
	return room
}

// step moves over the next n buffered bytes.
func (p *pump) step(n int) {
	if p.tee != nil {
		p.copyOut(n)
		p.ahead -= min(p.ahead, n)
	}
	p.pos += n
}

// copyOut gives who watches the next n buffered bytes, which may be rewritten where they
// stand afterwards.
func (p *pump) copyOut(n int) {
	if p.tee != nil && n > p.ahead {
		p.tee.Write(p.buf[p.pos+p.ahead : p.pos+n])
		p.ahead = n
	}
}

// forget drops what the buffer holds, which is still in the socket, and returns how
// much that was.
func (p *pump) forget() int64 {
	n := int64(p.end - p.start)
	p.start, p.pos, p.peeked = p.end, p.end, false
	p.release()
	return n
}

// watched reports whether the bytes that come have to be seen.
func (p *pump) watched() bool { return p.tee != nil && p.tee.Wants() }

// pass lets the next n bytes through, reading the rest of them as needed.
func (p *pump) pass(n int64) error {
	for {
		have := min(int64(p.end-p.pos), n)
		p.step(int(have))
		if n -= have; n == 0 {
			return nil
		}
		if p.peeked && n >= spliceMin && !p.watched() {
			n += p.forget() // the kernel moves that as well
		}
		moved, err := p.passByKernel(n)
		if n -= moved; err == nil && moved == 0 {
			p.large = false
			err = p.fill()
		}
		if err != nil {
			return unexpected(err, p.from())
		}
		if n == 0 {
			return nil
		}
	}
}

// drop reads and throws away the next n bytes.
func (p *pump) drop(n int64) error {
	for {
		p.take()
		if err := p.flush(); err != nil {
			return err
		}
		have := min(int64(p.end-p.pos), n)
		p.step(int(have))
		p.start = p.pos
		if n -= have; n == 0 {
			return nil
		}
		if err := p.fill(); err != nil {
			return unexpected(err, p.from())
		}
	}
}

// replace writes the span and then with, in the place of the next n buffered
// bytes.
func (p *pump) replace(n int, with ...[]byte) error {
	p.take()
	span := p.buf[p.start:p.pos]
	p.step(n)
	p.start = p.pos
	out := make(net.Buffers, 0, 1+len(with))
	if len(span) > 0 {
		out = append(out, span)
	}
	return p.write(append(out, with...))
}

// flush writes the span.
func (p *pump) flush() error {
	if p.start == p.pos {
		return nil
	}
	p.take()
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
func (p *pump) flushTimed() error {
	if p.start == p.pos {
		return nil
	}
	begin := time.Now()
	err := p.flush()
	p.blocked(time.Since(begin))
	return err
}

func (p *pump) writeError(err error) error {
	if p.isStopping() && !isReset(err) { // a reset came from the other side
		return errStopped
	}
	return &sideError{p.to(), true, err}
}

// fill writes the span and reads once.
func (p *pump) fill() error {
	p.take()
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
			p.only = 0
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
func (p *pump) release() {
	switch {
	case p.held != nil:
		p.giveBack(p.held)
	case p.buf != nil:
		p.putBuffer(p.buf)
	}
	p.buf, p.held = nil, nil
	p.start, p.pos, p.end = 0, 0, 0
}

// acquire takes a buffer when the pump holds none; the reader calls it when
// there is something to read.
func (p *pump) acquire() {
	if p.buf == nil {
		p.buf = p.getBuffer()
	}
}

// full reports whether the buffer has room for no more.
func (p *pump) full() bool { return p.buf != nil && p.pos == 0 && p.end == len(p.buf) }

func unexpected(err error, side string) error {
	if errors.Is(err, io.EOF) {
		return &sideError{side, false, io.ErrUnexpectedEOF}
	}
	return err
}

// discard gives the buffer back, whatever it holds.
func (p *pump) discard() {
	p.pos, p.peeked = p.end, false
	p.release()
}
