package session

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// dormitory is where pumps rest that have waited for long. They need no goroutine
// there: one for all of them waits, with an epoll instance of its own, until one of
// their sources has something to say. It runs while anybody rests.
type dormitory struct {
	mu sync.Mutex
	on *epoll // nil: nobody rests
}

// An epoll is one instance and the pumps that rest with it, by descriptor.
type epoll struct {
	file    *os.File
	raw     syscall.RawConn
	fd      int
	resting map[int32]*pump
}

// enter lets a pump rest until its source can be read or has ended; then, or after
// leave, its run is called in a goroutine. The caller holds the pump's mu. false: it
// cannot rest.
func (d *dormitory) enter(p *pump) bool {
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
		p.restFD = int32(fd)
		// Level-triggered: what has come before counts.
		err = unix.EpollCtl(d.on.fd, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: p.restFD})
	})
	ok := failed == nil && err == nil
	if ok {
		d.on.resting[p.restFD] = p
	}
	d.closeIfEmpty()
	return ok
}

// leave takes a pump out; false when it has left already.
func (d *dormitory) leave(p *pump) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on == nil || d.on.resting[p.restFD] != p {
		return false
	}
	d.on.remove(p.restFD)
	d.closeIfEmpty()
	return true
}

// closeIfEmpty ends the instance, and with it its goroutine, when nobody rests.
func (d *dormitory) closeIfEmpty() {
	if len(d.on.resting) == 0 {
		_ = d.on.file.Close()
		d.on = nil
	}
}

// watch wakes who rests with one instance, until nobody does.
func (d *dormitory) watch(on *epoll) {
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

func (d *dormitory) wake(on *epoll, events []unix.EpollEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on != on {
		return
	}
	for _, event := range events {
		if p := on.resting[event.Fd]; p != nil {
			on.remove(event.Fd)
			go p.wakeUp()
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
	return &epoll{file: file, raw: raw, fd: fd, resting: map[int32]*pump{}}, nil
}

func (on *epoll) remove(fd int32) {
	delete(on.resting, fd)
	_ = unix.EpollCtl(on.fd, unix.EPOLL_CTL_DEL, int(fd), nil)
}
