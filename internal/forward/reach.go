package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// ErrGone says that the client has left before the other end was reached.
var ErrGone = errors.New("the client has left")

// maxEarly is how much of what the client says meanwhile is kept (R10).
const maxEarly = 16 << 10

// Reach opens the other end with dial and listens to the client meanwhile: when it
// leaves, by a reset or by an end before it has said anything, the dial is cancelled and
// the error is [ErrGone]. What it says is returned for [Relay]. An end behind that
// is the client's own way to say that no more comes, and left to be read again.
func Reach(ctx context.Context, client net.Conn, dial func(context.Context) (net.Conn, error)) (upstream net.Conn, early []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	heard := make(chan []byte, 1)
	go func() { heard <- listen(client, cancel) }()
	upstream, err = dial(ctx)
	// The listener sits in a read, which only a deadline ends without harm.
	_ = client.SetReadDeadline(time.Unix(1, 0))
	early = <-heard
	_ = client.SetReadDeadline(time.Time{})
	if cause := context.Cause(ctx); errors.Is(cause, ErrGone) {
		if upstream != nil {
			_ = upstream.Close()
		}
		return nil, nil, cause
	}
	return upstream, early, err
}

// listen reads until there is enough, the client ends or the deadline is set.
func listen(client net.Conn, gone context.CancelCauseFunc) []byte {
	var buf [maxEarly]byte
	n := 0
	for n < len(buf) {
		got, err := client.Read(buf[n:])
		n += got
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.EOF) && n > 0:
			return append([]byte(nil), buf[:n]...)
		default:
			gone(fmt.Errorf("%w: %w", ErrGone, err))
			return nil
		}
	}
	return append([]byte(nil), buf[:n]...)
}
