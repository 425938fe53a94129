// Package relay moves bytes between two connections. It knows no protocol.
//
// A [Pump] is one direction. It is like a bufio.Reader with only Peek and Discard, except
// that what is discarded is passed on: the owner looks at the bytes with Peek, lets them
// through with Pass, and puts others in their place with Replace. Nothing is copied, and
// everything that one read has brought leaves in one write.
//
//	var g relay.Group                        // what many pumps share
//	p.Init(&g, owner, relay.FromClient)
//	p.Attach(client, broker)
//	for {
//		head, err := p.Peek(4)           // io.EOF: the source has ended
//		...
//		err = p.Pass(size)               // any size: what is not buffered streams
//	}
//
// # How bytes move
//
// Small spans are collected in the buffer and written before the pump waits for more.
// Large ones between TCP connections stay in the kernel (splice(2), Linux). What the owner
// has to see at once and the buffer has no room for is held in memory of its own, which
// [Group.Memory] admits.
//
// # What an idle pump costs
//
// A pump that waits holds no buffer. One that has waited for long is parked (Linux): its
// goroutine ends, with the stack that has grown, and one goroutine of the group polls the
// sockets of all parked pumps. Parking is an explicit hand-over: Peek returns [ErrParked],
// the owner unwinds and calls [Pump.Park], and a new goroutine calls [Owner.Run] when
// there is something to do.
//
// # Ends
//
// Interrupt, Drain and Stop end a wait from another goroutine; see [Pump]. [Pump.Close]
// closes the source so that its peer sees what the other one did. The package also asks
// the kernel about peers that have gone without a word: [StateOf] and [AckMonitor].
package relay

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// A Group is what the pumps of many connections share: buffers, pipes, and the poller
// that waits for parked pumps. Set its fields before the first Init; the zero value works.
type Group struct {
	Memory Memory        // admits what is held; nil: no limit
	Stall  time.Duration // how long a source may leave a frame unfinished; 0: forever
	Server string        // name of the side that is not the client, in errors; "": "server"

	buffers buffers
	pipes   pipes
	poller  poller
	bulk    bulk
}

// An Owner is what a pump belongs to. Its methods are called by the pump's goroutine and
// must not block, except Run.
type Owner interface {
	// Run is a new goroutine of a pump that was parked. It goes on where the owner has
	// unwound because of [ErrParked].
	Run(from Direction)
	// Moved is called with the number of bytes that were written to the destination.
	Moved(from Direction, n int)
	// Stalled is called when the pump holds memory that others have waited for too long,
	// and nothing moves. It may be called from any goroutine.
	Stalled()
}

// A Direction is named by the source.
type Direction uint8

// The directions.
const (
	FromClient Direction = iota
	FromServer
)

// client is the name of the client in errors.
const client = "client"

// source and destination return the names of the two sides in errors.
func (p *Pump) source() string      { return p.group.side(p.from == FromClient) }
func (p *Pump) destination() string { return p.group.side(p.from != FromClient) }

func (g *Group) side(isClient bool) string {
	switch {
	case isClient:
		return client
	case g.Server != "":
		return g.Server
	default:
		return "server"
	}
}

// A Memory admits what is held (R25).
type Memory interface {
	// LendBuffer reports whether a read buffer of n bytes may be taken. It never waits.
	LendBuffer(n int) bool
	// ReturnBuffer gives n bytes of LendBuffer back.
	ReturnBuffer(n int)
	// Request asks for n bytes. stalled is called when others have waited for too long
	// for bytes that were granted and are not in motion.
	Request(n int, stalled func()) Admission
	// Largest is how many bytes one request may ask for; 0: any number.
	Largest() int64
}

// An Admission is a request for memory, or the memory that was granted.
type Admission interface {
	Wait() error         // returns nil when the bytes are granted
	Cancel()             // ends Wait
	Buffer(n int) []byte // of the bytes that were granted
	Touch()              // the bytes are in motion
	Release()            // gives them back
}

// A Capture gets a copy of what passes.
type Capture interface {
	Write(b []byte)
	Wants() bool // reports whether it takes more
}

// The ends of a wait for bytes. All but the first end it because of what another goroutine
// has called.
var (
	// ErrStalled is a frame that was begun and not continued in time.
	ErrStalled     = errors.New("no more bytes arrived")
	ErrStopped     = errors.New("stopped")
	ErrInterrupted = errors.New("interrupted")
	// ErrParked asks the owner to unwind and to call [Pump.Park].
	ErrParked = errors.New("parked")
	// errAgain is a wait that is to be repeated.
	errAgain = errors.New("again")
)

// An Error reports on which side of a pump an error happened.
type Error struct {
	Side   string // its name
	Client bool   // it is the client
	Write  bool
	Err    error
}

func (e *Error) Error() string {
	if e.Write {
		return fmt.Sprintf("to %s: %v", e.Side, e.Err)
	}
	return fmt.Sprintf("from %s: %v", e.Side, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// A TooLargeError is a part of a frame that [Group.Memory] can never admit.
type TooLargeError struct{ Size, Largest int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%d bytes must be held at once, but the memory limit allows only %d", e.Size, e.Largest)
}

// IsReset reports whether err is a connection that was reset by its peer, or lost.
func IsReset(err error) bool {
	return errors.Is(err, ErrLost) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Unexpected makes an error of an end of the source where more had to come.
func (p *Pump) Unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return p.ReadError(io.ErrUnexpectedEOF)
	}
	return err
}

// ReadError returns an error of the source.
func (p *Pump) ReadError(err error) error {
	return &Error{Side: p.source(), Client: p.from == FromClient, Err: err}
}

// WriteError returns an error of the destination.
func (p *Pump) WriteError(err error) error {
	return &Error{Side: p.destination(), Client: p.from != FromClient, Write: true, Err: err}
}

// lend reports whether a read buffer may be taken.
func (g *Group) lend(n int) bool { return g.Memory == nil || g.Memory.LendBuffer(n) }

func (g *Group) takeBack(n int) {
	if g.Memory != nil {
		g.Memory.ReturnBuffer(n)
	}
}

// request asks for memory that is to be held.
func (g *Group) request(n int, stalled func()) (Admission, error) {
	if g.Memory == nil {
		return unlimited{}, nil
	}
	if largest := g.Memory.Largest(); largest > 0 && int64(n) > largest {
		return nil, &TooLargeError{int64(n), largest}
	}
	return g.Memory.Request(n, stalled), nil
}

// unlimited is an admission where there is no limit.
type unlimited struct{}

func (unlimited) Wait() error         { return nil }
func (unlimited) Cancel()             {}
func (unlimited) Buffer(n int) []byte { return make([]byte, n) }
func (unlimited) Touch()              {}
func (unlimited) Release()            {}
