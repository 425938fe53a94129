package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// window is how long equal failures are counted instead of logged.
const window = 30 * time.Second

// maxKinds limits the (code, target) pairs that are remembered.
const maxKinds = 1000

// Failures logs failures. It is safe for concurrent use.
type Failures struct {
	logger *slog.Logger

	mu      sync.Mutex // guards what follows
	seen    map[kind]*repeat
	effects map[kind]*effect // effects that wait for their cause
	timer   *time.Timer      // logs effects without a cause; nil: no effect yet
	caused  time.Time        // when a cause was last logged
	closed  bool
}

type kind struct {
	code             failure.Code
	target, location string
}

type repeat struct {
	logged time.Time
	more   int
}

// NewFailures returns a log of failures on top of logger.
func NewFailures(logger *slog.Logger) *Failures {
	return &Failures{logger: logger, seen: map[kind]*repeat{}}
}

// Log logs f, or counts it if an equal one was logged shortly before. Causes are logged before
// their effects. args are further attributes, as in slog.Logger.Warn.
func (l *Failures) Log(ctx context.Context, f *failure.Failure, args ...any) {
	now := time.Now()
	write := func(level slog.Level, more int) { l.write(ctx, level, f, more, args) }
	if isEffect(f.Code) {
		if !l.hold(kindOf(f), write, now) {
			write(slog.LevelInfo, 0)
		}
		return
	}
	write(level(f.Code), 0)
	if isCause(f.Entry()) {
		l.cause(now)
	}
}

// write logs f and the number of further failures of its kind, unless one was logged shortly
// before.
func (l *Failures) write(ctx context.Context, level slog.Level, f *failure.Failure, more int, args []any) {
	earlier, ok := l.admit(kindOf(f), more, time.Now())
	if !ok {
		return
	}
	args = Attributes(f, args...)
	if more += earlier; more > 0 {
		args = append(args, "more", more)
	}
	l.logger.Log(ctx, level, f.Error(), args...)
}

func kindOf(f *failure.Failure) kind { return kind{f.Code, f.Target, f.LocationID} }

// Attributes returns the attributes with which a failure is logged, including args.
func Attributes(f *failure.Failure, args ...any) []any {
	args = append([]any{"code", string(f.Code), "hop", string(f.Entry().Hop)}, args...)
	if f.Target != "" {
		args = append(args, "target", f.Target)
	}
	if f.LocationID != "" {
		args = append(args, "location_id", f.LocationID)
	}
	return append(args, "advice", f.Advice())
}

// admit reports whether a failure may be logged now and how many equal ones were not. If it may
// not, admit counts the failure and the further ones of its kind.
func (l *Failures) admit(k kind, with int, now time.Time) (more int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.seen[k]
	if r == nil {
		if len(l.seen) >= maxKinds {
			l.forget(now)
		}
		l.seen[k] = &repeat{logged: now}
		return 0, true
	}
	if now.Sub(r.logged) < window {
		r.more += 1 + with
		return 0, false
	}
	more = r.more
	r.logged, r.more = now, 0
	return more, true
}

// forget drops the oldest entries: all whose window has passed, or everything if there is none.
func (l *Failures) forget(now time.Time) {
	for k, r := range l.seen {
		if now.Sub(r.logged) >= window {
			delete(l.seen, k)
		}
	}
	if len(l.seen) >= maxKinds {
		clear(l.seen)
	}
}
