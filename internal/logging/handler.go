package logging

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// droppedText is the line that reports dropped lines.
const droppedText = "log lines were dropped: the log is limited to 4 KB/s, and its reader may be slow"

// A formatter is the buffer for one line at a time.
type formatter struct {
	mu   sync.Mutex
	line bytes.Buffer
}

// A handler formats lines and offers them to the queue. It never waits for a writer.
type handler struct {
	inner     slog.Handler // writes to formatter.line
	formatter *formatter
	queue     *queue
}

// Enabled implements [slog.Handler].
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	important := r.Level >= slog.LevelWarn
	line, err := h.format(ctx, r)
	if err != nil {
		return err
	}
	missing := h.queue.unreported.Load()
	if h.queue.offer(line, important) && missing > 0 {
		h.reportDropped(ctx, r)
	}
	return nil
}

// reportDropped logs how many lines were dropped, after the first one that was not.
func (h *handler) reportDropped(ctx context.Context, after slog.Record) {
	n := h.queue.unreported.Swap(0)
	if n == 0 {
		return
	}
	r := slog.NewRecord(after.Time, slog.LevelWarn, droppedText, 0)
	r.AddAttrs(slog.Uint64("lines", n))
	if line, err := h.format(ctx, r); err == nil && !h.queue.offer(line, true) {
		h.queue.unreported.Add(n)
	}
}

func (h *handler) format(ctx context.Context, r slog.Record) ([]byte, error) {
	h.formatter.mu.Lock()
	defer h.formatter.mu.Unlock()
	h.formatter.line.Reset()
	if err := h.inner.Handle(ctx, r); err != nil {
		return nil, err
	}
	return bytes.Clone(h.formatter.line.Bytes()), nil
}

// WithAttrs implements [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.inner.WithAttrs(attrs), h.formatter, h.queue}
}

// WithGroup implements [slog.Handler].
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.inner.WithGroup(name), h.formatter, h.queue}
}
