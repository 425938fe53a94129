// Package tap shows the frames that pass through connections to somebody who watches, as
// tcpdump does with packets.
//
//	            a pump                                           who watches
//	read ──▶ pass on ──▶ write                     Next ──▶ Describe ──▶ JSON, a line a frame
//	             │ Begin, Write, End                 ▲
//	             └────────▶ queue, bounded ──────────┘
//
// A pump asks for each frame whether somebody watches, which is one load of a pointer. If so,
// the frame's bytes are copied as they come, up to [MaxBytes]. A pump never waits: what the
// queue has no room for is dropped and counted, and the count is told to who watches.
// Frames are decoded by who watches.
//
//	t := &tap.Tap{}                                   // shared by all connections
//	v := t.Watch(tap.Filter{APIs: []int16{1}})        // takes the place of who watched before
//	defer v.Close()
//	frame, dropped, err := v.Next(ctx)
package tap

import (
	"context"
	"sync/atomic"
	"time"
)

// The bounds of what waits for who watches.
const (
	MaxBytes    = 1 << 20 // of one frame
	maxHeld     = 8 << 20 // of all frames together
	queueLength = 4096    // frames
)

// A Connection is where a frame passes.
type Connection struct {
	Number                uint64 // as in log lines
	Cluster, Node, Client string // Node: an id, or bootstrap; Client: its address
}

type key struct{}

// WithConnection returns a context that says which connection it is about.
func WithConnection(ctx context.Context, c *Connection) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// ConnectionOf returns which connection a context is about, or nil.
func ConnectionOf(ctx context.Context) *Connection {
	c, _ := ctx.Value(key{}).(*Connection)
	return c
}

// A Frame is a request or a response as it came, before addresses were replaced.
type Frame struct {
	Time          time.Time // of its first bytes
	Connection    *Connection
	Target        string // the broker's virtual address
	Software      string // how the client calls itself, "" if it does not
	Request       bool   // else a response
	Token         bool   // a SASL token without a header, of which nothing else is known
	Local         bool   // a response that the tunnel gave itself
	Key, Version  int16
	CorrelationID int32
	Size          int           // bytes, as they stand before it
	Latency       time.Duration // of a response, since its request was passed on
	Addresses     int           // of a response, that were replaced or left out

	Bytes   []byte // after the size, as many as were kept
	Cut     bool   // the connection ended inside it
	Dropped uint64 // frames that should have been shown before this one
}

// A Tap is where connections show their frames. The zero value works, and so does nil, which
// no viewer can watch.
type Tap struct {
	// Admit reports whether n bytes of frames may be held for the viewer, and Release is called
	// once for what was admitted, in the same or other portions. Both are called by pumps and
	// must not wait. Nil: the tap's own bound alone.
	Admit   func(n int) bool
	Release func(n int)

	viewer atomic.Pointer[Viewer]
}

// Viewer returns who watches, or nil.
func (t *Tap) Viewer() *Viewer {
	if t == nil {
		return nil
	}
	return t.viewer.Load()
}

// State is empty for nil, else "on", or "watched" while somebody watches.
func (t *Tap) State() string {
	switch {
	case t == nil:
		return ""
	case t.Viewer() == nil:
		return "on"
	}
	return "watched"
}

// Watch begins to show frames. Whoever watched before is told to end.
func (t *Tap) Watch(f Filter) *Viewer {
	v := &Viewer{tap: t, filter: f, queue: make(chan *Frame, queueLength), over: make(chan struct{})}
	if before := t.viewer.Swap(v); before != nil {
		before.end(ErrReplaced)
	}
	return v
}

// Close tells who watches to end.
func (t *Tap) Close() {
	if v := t.Viewer(); v != nil {
		v.Close()
	}
}
