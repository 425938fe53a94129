package logging

import (
	"context"
	"log/slog"
)

// connectionKey is the key of a connection's number in a context.
type connectionKey struct{}

// WithConnection returns a context whose log lines have the number of a client connection.
func WithConnection(ctx context.Context, number uint64) context.Context {
	return context.WithValue(ctx, connectionKey{}, number)
}

// Numbered returns a handler that adds the number of [WithConnection] to each line and passes
// it to h.
func Numbered(h slog.Handler) slog.Handler { return numbered{h} }

type numbered struct{ slog.Handler }

// Handle implements [slog.Handler].
func (n numbered) Handle(ctx context.Context, r slog.Record) error {
	if number, ok := ctx.Value(connectionKey{}).(uint64); ok {
		r = r.Clone()
		r.AddAttrs(slog.Uint64("conn", number))
	}
	return n.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (n numbered) WithAttrs(attrs []slog.Attr) slog.Handler {
	return numbered{n.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (n numbered) WithGroup(name string) slog.Handler { return numbered{n.Handler.WithGroup(name)} }
