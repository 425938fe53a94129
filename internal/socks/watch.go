package socks

import (
	"context"
	"net"
	"time"
)

// past is a deadline that ends all reads and writes at once.
var past = time.Unix(1, 0)

// A watcher lets ctx end what happens on a connection. It must be released.
type watcher struct {
	conn  net.Conn
	abort *abort      // nil: ctx never ends
	stop  func() bool // keeps abort from running
}

// watch applies ctx's deadline to conn and aborts what happens there when ctx is
// cancelled. The deadline is set before anything can cancel, so that it never
// replaces that of abort.
func watch(ctx context.Context, conn net.Conn) watcher {
	w := watcher{conn: conn}
	if deadline, ok := ctx.Deadline(); ok {
		// A connection that is closed already says so at the first write.
		_ = conn.SetDeadline(deadline)
	}
	if ctx.Done() != nil {
		w.abort = &abort{conn: conn, ended: make(chan struct{})}
		w.stop = context.AfterFunc(ctx, w.abort.run)
	}
	return w
}

// release takes the connection out of ctx's hands and leaves it without a
// deadline. It waits for an abort under way: otherwise that could come after the
// deadline was cleared and kill a connection that is long in use.
func (w watcher) release() error {
	if w.abort != nil && !w.stop() {
		<-w.abort.ended
	}
	return w.conn.SetDeadline(time.Time{})
}

// An abort ends all reads and writes of a connection.
type abort struct {
	conn  net.Conn
	ended chan struct{} // closed when run is through
}

// run is started when ctx ends, in a goroutine that release waits for.
func (a *abort) run() {
	defer close(a.ended)
	_ = a.conn.SetDeadline(past)
}
