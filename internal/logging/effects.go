package logging

import (
	"log/slog"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// settle is how long an effect waits for its cause. Clients whose connections were reset
// come back within a second, and their attempts show what has happened.
const settle = 2 * time.Second

// An effect is a failure that often has a cause of its own, which is met a moment later:
// connections break, and then the proxy cannot be reached. It is logged after the cause
// and without asking for attention; without one it is a warning like any other.
//
// Effects are kept by kind, so that their number is bounded.
type effect struct {
	write func(level slog.Level, more int)
	more  int // of its kind
}

// isEffect reports whether a failure may be the effect of another one.
func isEffect(code failure.Code) bool { return code == failure.BrokerReset }

// isCause reports whether a failure explains why open connections have broken.
func isCause(e failure.Entry) bool {
	return e.Retry == failure.RetryGate || e.Code == failure.BrokerUnreachable
}

// level returns how a failure is logged: as a warning if an operator should act. What a
// client does with its own connection concerns the application.
func level(code failure.Code) slog.Level {
	switch code {
	case failure.ClientReset, failure.ClientGone:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// hold keeps an effect until its cause is known, and reports whether it did: false if the
// cause was logged a moment ago.
func (l *Failures) hold(k kind, write func(level slog.Level, more int), now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || now.Sub(l.caused) < settle {
		return false
	}
	if held := l.effects[k]; held != nil {
		held.more++
		return true
	}
	if len(l.effects) >= maxKinds {
		return false
	}
	if l.effects == nil {
		l.effects = map[kind]*effect{}
	}
	l.effects[k] = &effect{write: write}
	if l.timer == nil {
		l.timer = time.AfterFunc(settle, func() { l.release(slog.LevelWarn) })
	} else if len(l.effects) == 1 {
		l.timer.Reset(settle)
	}
	return true
}

// cause notes that a cause has been logged, and logs its effects after it.
func (l *Failures) cause(now time.Time) {
	l.mu.Lock()
	l.caused = now
	l.mu.Unlock()
	l.release(slog.LevelInfo)
}

// release logs the effects that wait.
func (l *Failures) release(level slog.Level) {
	l.mu.Lock()
	effects := l.effects
	l.effects = nil
	l.mu.Unlock()
	for _, e := range effects {
		e.write(level, e.more)
	}
}

// Close logs what waits for its cause. Nothing waits after that.
func (l *Failures) Close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.release(slog.LevelWarn)
}
