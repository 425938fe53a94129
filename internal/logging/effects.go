package logging

import (
	"log/slog"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// settle is how long an effect waits for its cause. Clients whose connections were reset
// reconnect within a second, and their attempts show the cause.
const settle = 2 * time.Second

// An effect is a failure that often has a cause which shows a moment later: connections break,
// and then the proxy cannot be reached. It is logged after the cause, below the level warning;
// without a cause it is a warning.
//
// Effects are kept by kind, which limits their number.
type effect struct {
	write func(level slog.Level, more int)
	more  int // further failures of the same kind
}

// isEffect reports whether a failure may be the effect of another one.
func isEffect(code failure.Code) bool { return code == failure.BrokerReset }

// isCause reports whether a failure explains why open connections broke.
func isCause(e failure.Entry) bool {
	return e.Retry == failure.RetryGate || e.Code == failure.BrokerUnreachable
}

// level returns the level of a failure: warning if an operator should act, lower if it concerns
// only the application's own connection.
func level(code failure.Code) slog.Level {
	switch code {
	case failure.ClientReset, failure.ClientGone:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// hold keeps an effect until its cause is known, and reports whether it did: false if the cause
// was logged a moment ago.
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

// cause records that a cause has been logged, and logs its effects after it.
func (l *Failures) cause(now time.Time) {
	l.mu.Lock()
	l.caused = now
	l.mu.Unlock()
	l.release(slog.LevelInfo)
}

// release logs the waiting effects.
func (l *Failures) release(level slog.Level) {
	l.mu.Lock()
	effects := l.effects
	l.effects = nil
	l.mu.Unlock()
	for _, e := range effects {
		e.write(level, e.more)
	}
}

// Close logs the failures that wait for their cause. Nothing waits after that.
func (l *Failures) Close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.release(slog.LevelWarn)
}
