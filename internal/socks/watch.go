package socks

import (
	"context"
	"net"
	"time"
)

// past is a deadline that ends all reads and writes at once.
var past = time.Unix(1, 0)

// A watcher aborts the reads and writes of a connection when ctx ends. It must be released.
type watcher struct {
	conn  net.Conn
	abort *abort      // nil: ctx never ends
	stop  func() bool // prevents abort from running
}

// watch applies ctx's deadline to conn and aborts its reads and writes when ctx is cancelled.
// The deadline is set before a cancellation can run, so it never replaces that of abort.
func watch(ctx context.Context, conn net.Conn) watcher {
	w := watcher{conn: conn}
	if deadline, ok := ctx.Deadline(); ok {
		// A connection that is already closed returns the error at the first write.
		_ = conn.SetDeadline(deadline)
	}
	if ctx.Done() != nil {
		w.abort = &abort{conn: conn, ended: make(chan struct{})}
		w.stop = context.AfterFunc(ctx, w.abort.run)
	}
	return w
}

// release detaches the connection from ctx and clears its deadline. It waits for an abort in
// progress, which otherwise could run after the deadline was cleared and break a connection in
// use.
func (w watcher) release() error {
	if w.abort != nil && !w.stop() {
		<-w.abort.ended
	}
	return w.conn.SetDeadline(time.Time{})
}

// An abort ends all reads and writes of a connection.
type abort struct {
	conn  net.Conn
	ended chan struct{} // closed when run has returned
}

// run is started when ctx ends, in a goroutine that release waits for.
func (a *abort) run() {
	defer close(a.ended)
	_ = a.conn.SetDeadline(past)
}
