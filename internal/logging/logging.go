// Package logging makes the tunnel's logger and keeps its log short.
//
//	record ─▶ handler ──line──▶ budget ─▶ queue ─▶ one goroutine ─▶ stdout
//	             │                 └─ over it: dropped and counted
//	             └─ conn=ID from the context
//
// [New] returns a [Log] in text or JSON. What is logged is written by a goroutine
// of its own: a stdout that nobody reads stops that goroutine and nobody else.
// The log budget of a Cloud Foundry instance is shared with the application, so
// what is above 4 KB a second is dropped and counted; warnings have a reserve that
// other lines cannot use up.
//
// [Failures] logs failures of the catalogue: equal ones, by code and target, once
// in thirty seconds, and then how many more there were.
//
// [WithConnection] puts the number of a client connection into a context; every
// line that is logged with that context carries it as conn, as /status does.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// A Log is the tunnel's log. [Log.Close] ends it.
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

// readable writes durations as text in JSON too: 1.5s, not 1500000000.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// Dropped returns how many lines were dropped.
func (l *Log) Dropped() uint64 { return l.queue.dropped.Load() }

// Close writes what is queued, and says how much was dropped, unless the reader
// takes longer than a second. Lines that come later are dropped.
func (l *Log) Close() {
	if n := l.queue.unsaid.Swap(0); n > 0 {
		l.Log(context.Background(), slog.LevelWarn, droppedText, "lines", n)
	}
	l.queue.close()
}
