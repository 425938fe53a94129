package relay

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A poller waits for parked pumps: one goroutine, with an epoll instance of its own, for
// all of them. It runs while a pump is parked.
type poller struct {
	mu sync.Mutex // guards on, and fd of all pumps
	on *epoll     // nil: no pump is parked
}

// An epoll is one instance and the pumps that are parked with it, by descriptor.
type epoll struct {
	file   *os.File
	raw    syscall.RawConn
	fd     int
	parked map[int32]*Pump
}

// park lets a pump wait until its source can be read or has ended; then, or after
// unpark, its wake is called in a goroutine. The caller holds the pump's mu. false: it
// cannot be parked.
func (d *poller) park(p *Pump) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on == nil {
		on, err := newEpoll()
		if err != nil {
			return false // no descriptor: it can wait as it did
		}
		d.on = on
		go d.watch(on)
	}
	var err error
	failed := p.reader.raw.Control(func(fd uintptr) {
		p.fd = int32(fd)
		// Level-triggered: what has come before counts.
		err = unix.EpollCtl(d.on.fd, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: p.fd})
	})
	ok := failed == nil && err == nil
	if ok {
		d.on.parked[p.fd] = p
	}
	d.closeIfEmpty()
	return ok
}

// unpark takes a pump out; false when it was woken already.
func (d *poller) unpark(p *Pump) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on == nil || d.on.parked[p.fd] != p {
		return false
	}
	d.on.remove(p.fd)
	d.closeIfEmpty()
	return true
}

// closeIfEmpty ends the instance, and with it its goroutine, when no pump is parked.
func (d *poller) closeIfEmpty() {
	if len(d.on.parked) == 0 {
		_ = d.on.file.Close()
		d.on = nil
	}
}

// watch wakes the pumps that are parked with one instance, until there are none.
func (d *poller) watch(on *epoll) {
	var events [64]unix.EpollEvent
	for {
		n := 0
		err := on.raw.Read(func(fd uintptr) bool {
			var err error
			if n, err = unix.EpollWait(int(fd), events[:], 0); errors.Is(err, unix.EINTR) {
				n = 0
				return true
			}
			return n != 0
		})
		if err != nil {
			return // closed
		}
		if n > 0 {
			d.wake(on, events[:n])
		}
	}
}

func (d *poller) wake(on *epoll, events []unix.EpollEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on != on {
		return
	}
	for _, event := range events {
		if p := on.parked[event.Fd]; p != nil {
			on.remove(event.Fd)
			go p.wake()
		}
	}
	d.closeIfEmpty()
}

func newEpoll() (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime's poller takes it
		_ = unix.Close(fd)
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &epoll{file: file, raw: raw, fd: fd, parked: map[int32]*Pump{}}, nil
}

func (on *epoll) remove(fd int32) {
	delete(on.parked, fd)
	_ = unix.EpollCtl(on.fd, unix.EPOLL_CTL_DEL, int(fd), nil)
}
