// Package tap copies the frames that pass through connections to a viewer, as tcpdump does with
// packets. It decodes nothing: the viewer is another process, which gets the bytes.
//
//	            a pump                           the admin endpoint         kafka-tunnel tap
//	read ──▶ pass on ──▶ write                    Next ──▶ Writer ────────▶ Reader ──▶ decode
//	             │ Begin, Write, End                ▲
//	             └────────▶ queue, bounded ─────────┘
//
// A pump asks for each frame whether there is a viewer, which is one load of a pointer. If so,
// the bytes that its query asks for are copied as they come, up to [MaxBytes]. A pump never
// waits: frames that the queue has no room for are dropped and counted, and the viewer is sent
// the count.
//
// # What does not leave the process
//
// The API key of a frame decides (withhold.go). No query gets SASL tokens or the bodies of APIs
// that carry credentials or configurations. Records are sent only where the query asks for them.
//
//	t := &tap.Tap{}                                   // shared by all connections
//	v := t.Watch(tap.Filter{APIs: []int16{1}})        // replaces the viewer before it
//	defer v.Close()
//	frame, dropped, err := v.Next(ctx)
package tap

import (
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// The bounds of what waits for a viewer.
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

// A Frame is a request or a response as it came, before addresses were replaced.
type Frame struct {
	Time          time.Time // of its first bytes
	Connection    *Connection
	Target        string // the broker's virtual address
	Software      string // name and version of the client library, "" if it does not send them
	Request       bool   // else a response
	Token         bool   // a SASL token without a header, of which nothing else is known
	Local         bool   // a response of the tunnel's own
	Key, Version  int16
	CorrelationID int32
	Size          int           // bytes, as in the four bytes before it
	Latency       time.Duration // of a response, since its request was passed on
	Addresses     int           // of a response, that were replaced or left out

	Bytes    []byte       // the first ones after the size, as many as are kept, without Gaps
	Gaps     []kafka.Span // records that were left out of Bytes; a Reader fills them with zeros
	Withheld Withheld     // why bytes are missing that there would have been room for
	AllCodes bool         // no error code follows Bytes, though the frame continues
	Cut      bool         // the connection ended inside it
	Dropped  uint64       // frames that were dropped before this one
}

// A Tap is where connections show their frames. The zero value works, and so does nil, which
// has no viewer.
type Tap struct {
	// Admit reports whether n bytes of frames may be held for the viewer, and Release is called
	// once for what was admitted, in the same or other portions. Both are called by pumps and
	// must not wait. Nil: the tap's own bound alone.
	Admit   func(n int) bool
	Release func(n int)

	viewer atomic.Pointer[Viewer]
}

// Viewer returns the viewer, or nil.
func (t *Tap) Viewer() *Viewer {
	if t == nil {
		return nil
	}
	return t.viewer.Load()
}

// State is empty for nil, else "on", or "watched" while there is a viewer.
func (t *Tap) State() string {
	switch {
	case t == nil:
		return ""
	case t.Viewer() == nil:
		return "on"
	}
	return "watched"
}

// Watch begins to show frames to a viewer, and ends the one before it.
func (t *Tap) Watch(f Filter) *Viewer {
	v := &Viewer{tap: t, filter: f, queue: make(chan *Frame, queueLength), done: make(chan struct{})}
	if before := t.viewer.Swap(v); before != nil {
		before.end(ErrReplaced)
	}
	return v
}

// Close ends the viewer.
func (t *Tap) Close() {
	if v := t.Viewer(); v != nil {
		v.Close()
	}
}
