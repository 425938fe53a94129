package session

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// defaultLost is how long the broker's side may leave everything without
// acknowledgement before it counts as lost.
const defaultLost = 60 * time.Second

// errLost is the end of a connection whose other side does not answer any more,
// not even to its kernel.
var errLost = errors.New("the other side acknowledges nothing")

// A sentry looks from time to time whether the upstream connection still has
// another side (R13). TCP_USER_TIMEOUT would be the kernel's way, but it also cuts
// a connection whose reader is only slow: it counts the time that bytes wait for
// the window to open, although the other side acknowledges each probe of it.
type sentry struct {
	conn   net.Conn
	after  time.Duration
	every  time.Duration // between two looks
	looked func()        // hears of each look that found nothing wrong
	gone   func()        // hears that the other side is lost, before the connection is cut

	mu    sync.Mutex
	over  bool
	lost  bool
	owes  time.Time // the first look at which an acknowledgement was owed, zero when none is
	timer *time.Timer
}

// start makes the sentry look; stop ends that.
func (s *sentry) start(conn net.Conn, after, every time.Duration, looked, gone func()) {
	if after <= 0 {
		after = defaultLost
	}
	if every <= 0 {
		every = after / 3
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.after, s.every, s.looked, s.gone = conn, after, every, looked, gone
	s.timer = time.AfterFunc(every, s.look)
}

func (s *sentry) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.lost = s.judge(time.Now())
	if !s.lost {
		s.looked()
		s.timer.Reset(s.every)
		return
	}
	s.over = true
	s.gone()
	abort(s.conn)
}

// judge reports whether the other side has owed an acknowledgement for too long:
// since a look that saw the debt, and none has come since.
func (s *sentry) judge(now time.Time) bool {
	silent, owes := unacknowledged(s.conn)
	switch {
	case !owes:
		s.owes = time.Time{}
	case s.owes.IsZero() || now.Add(-silent).After(s.owes):
		s.owes = now
	}
	return owes && now.Sub(s.owes) >= s.after
}

// stop ends the sentry and waits for a look that is being taken.
func (s *sentry) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.timer.Stop()
}

// err returns why the sentry has cut the connection, nil if it has not.
func (s *sentry) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lost {
		return nil
	}
	return fmt.Errorf("%w for %v", errLost, s.after)
}
