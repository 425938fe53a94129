package listener

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// missedBeats is how many beats in a row a loop may leave unanswered.
const missedBeats = 3

// defaultBeat is the time between two beats.
const defaultBeat = 10 * time.Second

// A watchdog looks at every beat whether each accept loop still turns (R22). It
// wakes a loop from its accept and the loop answers. Only beats are counted, not
// time: a process that was suspended has missed none.
type watchdog struct {
	stop   context.CancelFunc
	loops  []*loop
	dead   error         // why the server is no longer alive
	failed chan struct{} // closed when it is not
}

// A loop is one accept loop as the watchdog sees it.
type loop struct {
	port     uint16
	listener net.Listener
	done     <-chan struct{} // the port was closed
	beat     chan struct{}   // wakes a loop that waits for room
	missed   atomic.Int32
}

// answer answers a beat.
func (l *loop) answer() {
	l.missed.Store(0)
	if d, ok := l.listener.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(time.Time{})
	}
}

// wake asks for an answer.
func (l *loop) wake() {
	select {
	case l.beat <- struct{}{}:
	default:
	}
	if d, ok := l.listener.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(time.Unix(1, 0))
	}
}

// watch adds a loop, and starts the watchdog with the first one.
func (s *Server) watch(ctx context.Context, port uint16, l net.Listener) *loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &loop{port: port, listener: l, done: ctx.Done(), beat: make(chan struct{}, 1)}
	s.watchdog.loops = append(s.watchdog.loops, one)
	if s.watchdog.stop == nil {
		ctx, s.watchdog.stop = context.WithCancel(context.WithoutCancel(ctx))
		s.loops.Go(func() { s.beat(ctx) })
	}
	return one
}

// beat is the loop of the watchdog.
func (s *Server) beat(ctx context.Context) {
	every := s.Beat
	if every <= 0 {
		every = defaultBeat
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.inspect()
		case <-ctx.Done():
			return
		}
	}
}

// inspect is one beat.
func (s *Server) inspect() {
	for _, l := range s.watched() {
		if l.missed.Add(1) > missedBeats {
			s.markFailed(fmt.Errorf("the accept loop of port %d has missed %d beats of the watchdog", l.port, missedBeats))
			return
		}
		l.wake()
	}
}

// watched returns the loops of ports that are open.
func (s *Server) watched() []*loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.watchdog.loops[:0]
	for _, l := range s.watchdog.loops {
		select {
		case <-l.done:
		default:
			kept = append(kept, l)
		}
	}
	s.watchdog.loops = kept
	return append([]*loop(nil), kept...)
}

// markFailed makes Alive report an error from now on.
func (s *Server) markFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchdog.dead == nil {
		s.watchdog.dead = err
		close(s.failure())
	}
}

// failure returns the channel that is closed when the server is not alive. The
// caller holds s.mu.
func (s *Server) failure() chan struct{} {
	if s.watchdog.failed == nil {
		s.watchdog.failed = make(chan struct{})
	}
	return s.watchdog.failed
}

// Failed returns a channel that is closed when an accept loop has ended although
// its port was not closed, or stopped accepting; [Server.Alive] returns which one.
func (s *Server) Failed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure()
}

// Alive returns an error when an accept loop has ended although its port was not
// closed, or has missed three beats of the watchdog.
func (s *Server) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watchdog.dead
}
