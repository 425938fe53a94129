// Package forward relays plain TCP between a client and the other end of a forward:
// nothing is looked at and nothing is changed.
//
//	upstream, early, err := forward.Reach(ctx, client, dial)
//	sent, received, err := forward.Relay(ctx, client, upstream, early)
//
// Each direction ends by itself: an end in good order of one side is passed on to the
// other, which may go on sending. A reset is passed on as a reset. Between TCP
// connections the bytes stay in the kernel ([io.Copy] uses splice there).
package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
)

// Relay relays until both directions have ended, or ctx; then both connections are
// closed. early are bytes of the client that [Reach] has read. sent is what went to upstream, received what came from there. The error says
// what ended the relay, if that was not an end in good order of both sides; after the
// end of ctx it is ctx's cause.
func Relay(ctx context.Context, client, upstream net.Conn, early []byte) (sent, received int64, err error) {
	r := flow{client: client, upstream: upstream}
	defer r.close()
	stop := context.AfterFunc(ctx, r.abort)
	defer stop()
	defer r.watch()()
	var both sync.WaitGroup
	both.Go(func() { sent = r.pass(upstream, client, early, "from the client") })
	both.Go(func() { received = r.pass(client, upstream, nil, "from the other end") })
	both.Wait()
	if ctx.Err() != nil {
		return sent, received, context.Cause(ctx)
	}
	return sent, received, r.err
}

// A flow is one at work.
type flow struct {
	client, upstream net.Conn

	mu  sync.Mutex
	err error // the first one
}

// A halfCloser is a connection one direction of which can be ended.
type halfCloser interface{ CloseWrite() error }

// pass moves what has come early and what comes until it ends, and passes the end on.
func (r *flow) pass(to, from net.Conn, early []byte, direction string) int64 {
	first, err := to.Write(early)
	n := int64(first)
	if err == nil {
		var more int64
		more, err = io.Copy(to, from)
		n += more
	}
	if err != nil {
		r.failed(&net.OpError{Op: "relay " + direction, Net: "tcp", Err: err})
		return n
	}
	if half, ok := to.(halfCloser); !ok || half.CloseWrite() != nil {
		r.abort()
	}
	return n
}

// checkEvery is the time between two checks of both ends.
const checkEvery = 2 * time.Second

// watch ends the relay when one side has reset its connection while nothing reads from it,
// because the other side takes no more (R13). The returned function ends the watch.
func (r *flow) watch() (stop func()) {
	var mu sync.Mutex // guards timer, and ended
	var timer *time.Timer
	ended := false
	check := func() {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			return
		}
		for _, conn := range []net.Conn{r.client, r.upstream} {
			if relay.StateOf(conn) == relay.Reset {
				r.failed(&net.OpError{Op: "relay", Net: "tcp", Err: syscall.ECONNRESET})
				return
			}
		}
		timer.Reset(checkEvery)
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(checkEvery, check)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
		timer.Stop()
	}
}

// failed notes the first error and ends both directions.
func (r *flow) failed(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.abort()
}

// abort resets both connections.
func (r *flow) abort() {
	for _, conn := range []net.Conn{r.client, r.upstream} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

func (r *flow) close() {
	_ = r.client.Close()
	_ = r.upstream.Close()
}

// Reset reports whether an error of Relay is that one side has reset its connection.
func Reset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
