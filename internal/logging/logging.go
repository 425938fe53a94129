// Package logging makes the tunnel's logger and limits the size of its log.
//
//	record ─▶ handler ──line──▶ budget ─▶ queue ─▶ one goroutine ─▶ stdout
//	             │                 └─ above it: dropped and counted
//	             └─ conn=ID from the context
//
// [New] returns a [Log] in text or JSON. A goroutine of its own writes the lines: a stdout that
// is not read blocks only that goroutine. A Cloud Foundry instance shares its log budget with
// the application, so lines above 4 KB per second are dropped and counted; warnings have a
// reserve that other lines cannot use.
//
// [Failures] logs failures of the catalogue: equal ones, by code and target, once in thirty
// seconds, with the number of further ones.
//
// [WithConnection] puts the number of a client connection into a context; every line that is
// logged with that context has it as conn, like /status.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// A Log is the tunnel's log. [Log.Close] closes it.
type Log struct {
	*slog.Logger
	queue *queue
}

// New returns a log that writes to w. level is debug, info, warn or error; format
// is text or json.
func New(w io.Writer, level, format string) (*Log, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: use debug, info, warn or error", level)
	}
	f := &formatter{}
	opts := &slog.HandlerOptions{Level: l, ReplaceAttr: readable}
	var inner slog.Handler
	switch strings.ToLower(format) {
	case "json":
		inner = slog.NewJSONHandler(&f.line, opts)
	case "text", "":
		inner = slog.NewTextHandler(&f.line, opts)
	default:
		return nil, fmt.Errorf("log format %q: use text or json", format)
	}
	q := startQueue(w)
	return &Log{Logger: slog.New(Numbered(&handler{inner: inner, formatter: f, queue: q})), queue: q}, nil
}

// readable formats durations as text in JSON too: 1.5s, not 1500000000.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// Dropped returns how many lines were dropped.
func (l *Log) Dropped() uint64 { return l.queue.dropped.Load() }

// Close writes the queued lines and reports how many were dropped, unless the reader takes
// longer than a second. Later lines are dropped.
func (l *Log) Close() {
	if n := l.queue.unreported.Swap(0); n > 0 {
		l.Log(context.Background(), slog.LevelWarn, droppedText, "lines", n)
	}
	l.queue.close()
}
