package relay

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Large spans do not have to be copied here: splice(2) moves the
// pages that hold them from one socket to the other. It needs a pipe between the two.
//
//	source socket ──splice──▶ pipe ──splice──▶ destination socket
//
// A pipe is taken when the source has bytes and given back when the destination has
// taken them, so a pump that waits for a slow source holds none. One that waits for a
// slow destination does, with what is in it: that is why there are few, and a pump that
// gets none copies.
const (
	spliceMin = 64 << 10 // shorter spans are copied
	pipeSize  = 1 << 20  // what a pipe may hold
	maxPipes  = 32
	pipeIdle  = 10 * time.Second // unused for so long, a pipe is closed
)

// A pipe is one of the kernel's, empty between two uses.
type pipe struct{ r, w int }

func (p *pipe) close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// pipes is the pool of pipes. The zero value works. Unused pipes are closed after a while,
// so that it need not be closed.
type pipes struct {
	mu     sync.Mutex
	open   int
	free   []*pipe // the one used last is the last one
	lowest int     // how many were free all the time since the last sweep
	timer  *time.Timer

	spliced atomic.Int64 // bytes
}

// get returns a pipe, or nil when none is available.
func (ps *pipes) get() *pipe {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if n := len(ps.free); n > 0 {
		p := ps.free[n-1]
		ps.free = ps.free[:n-1]
		ps.lowest = min(ps.lowest, n-1)
		return p
	}
	if ps.open >= maxPipes {
		return nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil // no descriptor: copying needs none
	}
	// A user's pipes share a budget (pipe(7)); beyond it this one stays as it is.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	ps.open++
	if ps.timer == nil {
		ps.timer = time.AfterFunc(pipeIdle, ps.sweep)
	}
	return &pipe{r: fds[0], w: fds[1]}
}

// put takes an empty pipe back.
func (ps *pipes) put(p *pipe) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.free = append(ps.free, p)
}

// drop closes a pipe that is not empty.
func (ps *pipes) drop(p *pipe) {
	p.close()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.open--
}

// sweep closes the pipes that were not used since the last sweep.
func (ps *pipes) sweep() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	unused := min(ps.lowest, len(ps.free))
	for _, p := range ps.free[:unused] {
		p.close()
	}
	ps.free = append(ps.free[:0], ps.free[unused:]...)
	ps.open -= unused
	ps.lowest = len(ps.free)
	if ps.open == 0 {
		ps.timer = nil
		return
	}
	ps.timer.Reset(pipeIdle)
}

// A splicer is what a pump needs to splice; most never do.
type splicer struct {
	src, dst syscall.RawConn // nil: not with these sockets
	in, out  func(fd uintptr) bool
	drop     func(fd uintptr) // see take
	pipe     *pipe
	limited  bool  // the destination's queue is bounded, see limitUnsent
	left     int64 // of the span
	held     int   // bytes in the pipe
	err      error
}

func newSplicer(p *Pump) *splicer {
	s := &splicer{}
	src, ok := p.src.(*net.TCPConn)
	dst, both := p.dst.(*net.TCPConn)
	if !ok || !both {
		return s
	}
	from, err := src.SyscallConn()
	to, failed := dst.SyscallConn()
	if err != nil || failed != nil {
		return s
	}
	s.src, s.dst = from, to
	s.in = func(fd uintptr) bool { return s.load(int(fd), &p.group.pipes) }
	s.out = func(fd uintptr) bool { return s.unload(int(fd)) }
	s.drop = p.dropLooked
	return s
}

// errNoPipe: the span has to be copied, this time.
var errNoPipe = errors.New("no free pipe")

// load moves bytes from the source into a pipe. false: there are none.
func (s *splicer) load(fd int, ps *pipes) bool {
	if s.pipe = ps.get(); s.pipe == nil {
		s.err = errNoPipe
		return true
	}
	s.held, s.err = move(fd, s.pipe.w, s.left)
	if s.held > 0 {
		return true
	}
	ps.put(s.pipe)
	s.pipe = nil
	return !errors.Is(s.err, unix.EAGAIN)
}

// unload moves all that is in the pipe to the destination. false: there is no room.
func (s *splicer) unload(fd int) bool {
	for s.held > 0 {
		n, err := move(s.pipe.r, fd, int64(s.held))
		switch {
		case n > 0:
			s.held -= n
		case errors.Is(err, unix.EAGAIN):
			return false
		default:
			s.err = err
			return true
		}
	}
	return true
}

func move(from, to int, n int64) (int, error) {
	for {
		moved, err := unix.Splice(from, nil, to, nil, int(min(n, 1<<20)), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if !errors.Is(err, unix.EINTR) {
			return int(moved), err
		}
	}
}

// The head of a frame must be looked at before the frame can be spliced, and bytes that
// were read cannot be. So behind a large span the next head is only looked at (MSG_PEEK).
// If the frame is large again, all of it is spliced; otherwise the head is taken out of
// the socket.
//
//	socket:  | head | records ...               look:  head ──▶ buffer
//	         |<──────── splice ───────▶|        or take: head leaves the socket
const headLook = 1 << 10

// look reads without taking.
func look(fd uintptr, b []byte) (int, error) {
	return receive(fd, b[:min(len(b), headLook)], unix.MSG_PEEK|unix.MSG_DONTWAIT)
}

// receive is recv(2); that of package unix allocates an address.
func receive(fd uintptr, b []byte, flags int) (int, error) {
	for {
		n, _, number := unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0)
		switch number {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, number
		}
	}
}

// Consume takes what was only looked at out of the socket. The buffer holds it already,
// perhaps rewritten, so the kernel drops it (MSG_TRUNC, tcp(7)).
func (p *Pump) Consume() {
	if !p.unconsumed {
		return
	}
	p.unconsumed, p.large = false, false
	_ = p.splicer.src.Control(p.splicer.drop)
}

func (p *Pump) dropLooked(fd uintptr) {
	for left := p.end; left > 0; {
		n, err := receive(fd, p.buf[:left], unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		if n == 0 || err != nil {
			return // a reset has emptied the socket: the next read returns it
		}
		left -= n
	}
}

// passByKernel lets some of the next n bytes through, none of which were read yet. It
// returns 0 without an error when they have to be read.
func (p *Pump) passByKernel(n int64) (int64, error) {
	if n < spliceMin || p.watched() {
		return 0, nil
	}
	if p.splicer == nil {
		p.splicer = newSplicer(p)
	}
	s := p.splicer
	if s.src == nil {
		return 0, nil
	}
	if err := p.flushTimed(); err != nil {
		return 0, err
	}
	p.release()
	if err := p.limit(); err != nil {
		return 0, err
	}
	s.left, s.err = n, nil
	for {
		err := s.src.Read(s.in)
		if err == nil {
			break
		}
		if err = p.readError(err); !errors.Is(err, errAgain) {
			return 0, err
		}
	}
	switch {
	case s.pipe == nil && s.err == nil:
		return 0, io.EOF
	case errors.Is(s.err, errNoPipe):
		s.limitUnsent(true)
		return 0, nil
	case errors.Is(s.err, unix.EINVAL) || errors.Is(s.err, unix.ENOSYS):
		s.src = nil // not with these sockets, not on this system
		return 0, nil
	case s.pipe == nil:
		return 0, p.readError(s.err)
	}
	p.active.Store(true)
	p.large = true
	s.limitUnsent(false)
	return p.unload(s)
}

// unsentLimit is what the kernel takes for a destination that does not read, in addition to
// what that one has room for itself, when there are more large spans than pipes.
const unsentLimit = 256 << 10

// limitUnsent bounds the queue of the destination (tcp(7), TCP_NOTSENT_LOWAT), or lets it
// grow again. By itself the kernel takes several MiB, which is what makes a few large
// spans cheap; hundreds that are not read would exhaust the kernel's memory for all sockets.
func (s *splicer) limitUnsent(limit bool) {
	if s.limited == limit {
		return
	}
	s.limited = limit
	bound := 0 // as the system has it
	if limit {
		bound = unsentLimit
	}
	_ = s.dst.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bound) })
}

// unload writes what the pipe holds.
func (p *Pump) unload(s *splicer) (int64, error) {
	loaded, begin := s.held, time.Now()
	p.waiting.Store(true)
	err := s.dst.Write(s.out)
	p.waiting.Store(false)
	if err == nil {
		err = s.err
	}
	p.blocked(time.Since(begin))
	moved := loaded - s.held
	p.count(moved)
	p.group.pipes.spliced.Add(int64(moved))
	if s.held > 0 {
		p.group.pipes.drop(s.pipe)
	} else {
		p.group.pipes.put(s.pipe)
	}
	s.pipe = nil
	if err != nil {
		return int64(moved), p.writeError(err)
	}
	return int64(moved), nil
}

// PipesInUse returns how many pipes pumps hold.
func (g *Group) PipesInUse() int {
	g.pipes.mu.Lock()
	defer g.pipes.mu.Unlock()
	return g.pipes.open - len(g.pipes.free)
}
