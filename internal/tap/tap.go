// Package tap copies the frames that pass through connections to a viewer, as tcpdump does with
// packets. It decodes nothing: the viewer is another process, which receives the bytes.
//
//	            a pump                           the admin endpoint         kafka-tunnel tap
//	read ──▶ pass on ──▶ write                    Next ──▶ Writer ────────▶ Reader ──▶ decode
//	             │ Begin, Write, End                ▲
//	             └────────▶ queue, bounded ─────────┘
//
// For each frame a pump checks whether there is a viewer, which is one load of a pointer. If
// there is, it copies the bytes that the viewer's query selects, up to [MaxBytes]. A pump never
// waits: frames for which the queue has no room are dropped and counted, and the viewer
// receives the count.
//
// # What does not leave the process
//
// The API key of a frame decides (withhold.go). No query returns SASL tokens or the bodies of
// APIs that carry credentials or configurations. Records are sent only if the query requests
// them.
//
//	t := &tap.Tap{}                                   // shared by all connections
//	v := t.Watch(tap.Filter{APIs: []int16{1}})        // replaces the previous viewer
//	defer v.Close()
//	frame, dropped, err := v.Next(ctx)
package tap

import (
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// The limits of what waits for a viewer.
const (
	MaxBytes    = 1 << 20 // of one frame
	maxHeld     = 8 << 20 // of all frames together
	queueLength = 4096    // frames
)

// A Connection is the connection on which a frame passes.
type Connection struct {
	Number                uint64 // as in log lines
	Cluster, Node, Client string // Node: an id, or bootstrap; Client: its address
}

// A Frame is a request or a response as it arrived, before addresses were replaced.
type Frame struct {
	Time          time.Time // of its first bytes
	Connection    *Connection
	Target        string // the broker's virtual address
	Software      string // name and version of the client library, "" if it does not send them
	Request       bool   // else a response
	Token         bool   // a SASL token without a header: its contents are unknown
	Local         bool   // a response by the tunnel itself
	Key, Version  int16
	CorrelationID int32
	Size          int           // bytes, from the size field before it
	Latency       time.Duration // of a response, since its request was forwarded
	Addresses     int           // replaced or left out in a response

	Bytes    []byte       // the first ones after the size that were kept, without Gaps
	Gaps     []kafka.Span // records that were left out of Bytes; a Reader fills them with zeros
	Withheld Withheld     // why bytes are missing although there was room for them
	AllCodes bool         // no error code follows Bytes, although the frame continues
	Cut      bool         // the connection ended within it
	Dropped  uint64       // frames that were dropped before this one
}

// A Tap is where connections pass their frames to the viewer. The zero value is ready to use,
// and so is nil, which never has a viewer.
type Tap struct {
	// Admit reports whether n bytes of frames may be held for the viewer; Release is called
	// once for admitted bytes, in the same or other portions. Pumps call both, so they must not
	// wait. Nil: only the tap's own limit applies.
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

// Watch starts a viewer and ends the previous one.
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
