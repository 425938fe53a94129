//go:build unix

package session

import (
	"io"
	"net"
	"syscall"
)

// reader reads from a connection. On unix a read waits for the socket to become
// readable without holding a buffer: the runtime's poller calls back when there
// is something to read, and only then the pump takes one.
type reader struct {
	raw syscall.RawConn // nil: not a kernel socket
	// The callback and its results live here so that a read allocates nothing.
	callback func(fd uintptr) bool
	n        int
	err      error
}

func (r *reader) init(p *pump) {
	tcp, ok := p.src.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	r.raw = raw
	r.callback = func(fd uintptr) bool {
		held := p.buf != nil
		p.acquire()
		for {
			r.n, r.err = syscall.Read(int(fd), p.buf[p.end:])
			if r.err != syscall.EINTR { //nolint:errorlint // a system call returns the bare number
				break
			}
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
		if p.mayRest() {
			r.err = errResting
			return true
		}
		return false
	}
}

// canRest reports whether others can see when there is something to read.
func (r *reader) canRest() bool { return r.raw != nil }

func (r *reader) read(p *pump) (int, error) {
	if r.raw == nil {
		p.acquire()
		return p.src.Read(p.buf[p.end:])
	}
	r.n, r.err = 0, nil
	if err := r.raw.Read(r.callback); err != nil {
		return 0, err
	}
	if r.err == errResting { //nolint:errorlint // set above
		return 0, errResting
	}
	if r.err != nil {
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: p.src.LocalAddr(), Addr: p.src.RemoteAddr(), Err: r.err}
	}
	if r.n == 0 {
		return 0, io.EOF
	}
	return r.n, nil
}
