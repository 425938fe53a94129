//go:build linux

package trouble

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// keptLog is how much of a log is kept from its beginning; the rest is only counted.
const keptLog = 1 << 20

// boundLine matches the log line with the addresses on which the tunnel listens.
var boundLine = regexp.MustCompile(`(?m) listen=(\S+) .*admin=(\S+)$`)

// A logReader reads the tunnel's log, or pauses.
type logReader struct {
	pipe *os.File
	done chan struct{}

	mu     sync.Mutex
	kept   []byte
	total  int64
	paused *halt // nil while it reads
}

// A halt is a pause of the reader.
type halt struct {
	reached chan struct{} // closed when the reader has paused
	over    chan struct{} // closed when it continues
}

// newLogReader returns a reader and the end of its pipe for the writer.
func newLogReader(small bool) (*logReader, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	if small {
		if _, err := unix.FcntlInt(r.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
			return nil, nil, errors.Join(err, r.Close(), w.Close())
		}
		// Fd has made the file blocking; only a non-blocking one has deadlines.
		if err := unix.SetNonblock(int(r.Fd()), true); err != nil {
			return nil, nil, errors.Join(err, r.Close(), w.Close())
		}
	}
	l := &logReader{pipe: r, done: make(chan struct{})}
	go l.read()
	return l, w, nil
}

// read is the goroutine that reads.
func (l *logReader) read() {
	defer close(l.done)
	buf := make([]byte, 32<<10)
	for {
		l.mu.Lock()
		paused := l.paused
		l.mu.Unlock()
		if paused != nil {
			close(paused.reached)
			<-paused.over
		}
		n, err := l.pipe.Read(buf)
		l.mu.Lock()
		l.total += int64(n)
		l.kept = append(l.kept, buf[:min(n, keptLog-len(l.kept))]...)
		l.mu.Unlock()
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// stall pauses the reader and fills the pipe, so that the next line finds no room.
func (l *logReader) stall() error {
	l.mu.Lock()
	halt := &halt{make(chan struct{}), make(chan struct{})}
	l.paused = halt
	_ = l.pipe.SetReadDeadline(time.Unix(1, 0))
	l.mu.Unlock()
	select {
	case <-halt.reached:
	case <-l.done:
		return errors.New("the log has ended")
	}
	// A separate file for the same pipe: non-blocking mode must not affect the other one.
	raw, err := l.pipe.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) { err = fill(int(fd)) })
	return errors.Join(failed, err)
}

// fill writes to the pipe behind fd until it is full.
func fill(fd int) error {
	w, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the log's pipe once more: %w", err)
	}
	defer func() { _ = unix.Close(w) }()
	line := append(bytes.Repeat([]byte("-"), 63), '\n')
	for {
		if _, err := unix.Write(w, line); errors.Is(err, unix.EAGAIN) {
			return nil
		} else if err != nil {
			return fmt.Errorf("filling the log's pipe: %w", err)
		}
	}
}

// resume continues reading.
func (l *logReader) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused != nil {
		_ = l.pipe.SetReadDeadline(time.Time{})
		close(l.paused.over)
		l.paused = nil
	}
}

// close ends the reader after the writer has closed the pipe.
func (l *logReader) close() {
	l.resume()
	<-l.done
	_ = l.pipe.Close()
}

// bytes returns how much was read.
func (l *logReader) bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// waiting returns how many bytes are in the pipe.
func (l *logReader) waiting() int {
	var n int
	raw, err := l.pipe.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}

// text returns the kept part of the log.
func (l *logReader) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kept)
}

// lines returns how many lines text has.
func (l *logReader) lines() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.kept, []byte("\n"))
}

// addresses returns the addresses that the tunnel has logged.
func (l *logReader) addresses() (listen, admin string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := boundLine.FindSubmatch(l.kept)
	if m == nil {
		return "", "", false
	}
	return string(m[1]), string(m[2]), true
}
