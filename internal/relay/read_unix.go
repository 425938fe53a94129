//go:build unix

package relay

import (
	"io"
	"net"
	"syscall"
)

// A ready source is one whose bytes are not those of its socket (TLS). ReadReady
// gives what can be made of those that have come; syscall.EAGAIN: nothing yet.
type ready interface {
	SyscallConn() (syscall.RawConn, error)
	ReadReady(fd uintptr, b []byte) (int, error)
}

// reader reads from a connection. On unix a read waits for the socket to become
// readable without holding a buffer: the runtime's poller calls back when there
// is something to read, and only then the pump takes one.
type reader struct {
	raw   syscall.RawConn // nil: not a kernel socket
	ready ready           // nil: its bytes are the socket's
	// The callback and its results live here so that a read allocates nothing.
	callback func(fd uintptr) bool
	n        int
	err      error
}

func (r *reader) init(p *Pump) {
	source, ok := p.src.(syscall.Conn)
	if _, plain := p.src.(*net.TCPConn); ok && !plain {
		r.ready, ok = p.src.(ready)
	}
	if !ok {
		return
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return
	}
	r.raw = raw
	r.callback = func(fd uintptr) bool { return r.attempt(p, fd) }
}

// attempt reads once. false: there is nothing to read.
func (r *reader) attempt(p *Pump, fd uintptr) bool {
	held := p.buf != nil
	p.acquire()
	if p.bulk && r.ready == nil { // deciphering is more than half of the work of TLS: it needs all processors
		p.group.bulk.enter()
		defer p.group.bulk.leave()
	}
	if p.large && p.end == 0 && p.readLimit == 0 && r.ready == nil {
		r.n, r.err = look(fd, p.buf)
		p.unconsumed = r.n > 0
	} else {
		r.n, r.err = r.now(fd, p.room())
	}
	if r.n > 0 {
		return true
	}
	if !held { // at once: thousands may end at the same time
		p.release()
	}
	if r.err != syscall.EAGAIN { //nolint:errorlint // a system call returns the bare number
		return true
	}
	if p.mayPark() {
		r.err = ErrParked
		return true
	}
	return false
}

func (r *reader) now(fd uintptr, b []byte) (int, error) {
	if r.ready != nil {
		return r.ready.ReadReady(fd, b)
	}
	for {
		n, err := syscall.Read(int(fd), b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// canPoll reports whether others can see when there is something to read.
func (r *reader) canPoll() bool { return r.raw != nil }

func (r *reader) read(p *Pump) (int, error) {
	if r.raw == nil {
		p.acquire()
		return p.src.Read(p.room())
	}
	r.n, r.err = 0, nil
	if err := r.raw.Read(r.callback); err != nil {
		return 0, err
	}
	if _, number := r.err.(syscall.Errno); r.err != nil && !number { //nolint:errorlint // a system call returns the bare number
		return 0, r.err
	}
	if r.err != nil {
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: p.src.LocalAddr(), Addr: p.src.RemoteAddr(), Err: r.err}
	}
	if r.n == 0 {
		return 0, io.EOF
	}
	return r.n, nil
}
