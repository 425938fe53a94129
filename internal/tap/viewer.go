package tap

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// A Filter selects the frames that are shown, and which bytes of them are sent.
type Filter struct {
	APIs  []int16 // keys; empty: all, and SASL tokens
	Nodes []string
	Conns []uint64
	// Errors selects responses with an error code, or that cannot be decoded. The tap only
	// leaves out requests and tokens; the viewer, which decodes, filters the rest.
	Errors  bool
	Bodies  bool // including those of requests
	Records bool // records within bodies
}

// matches reports whether a frame may be shown. It cannot check for error codes.
func (f *Filter) matches(one *Frame) bool {
	return (len(f.APIs) == 0 || !one.Token && slices.Contains(f.APIs, one.Key)) &&
		(len(f.Nodes) == 0 || slices.Contains(f.Nodes, one.Connection.Node)) &&
		(len(f.Conns) == 0 || slices.Contains(f.Conns, one.Connection.Number)) &&
		(!f.Errors || !one.Request && !one.Token)
}

// ErrReplaced ends a viewer when another one starts.
var ErrReplaced = errors.New("another viewer has started")

// ErrClosed ends a viewer that was closed, or whose tunnel was.
var ErrClosed = errors.New("closed")

// A Viewer receives frames.
type Viewer struct {
	tap     *Tap
	filter  Filter
	queue   chan *Frame
	dropped atomic.Uint64

	mu    sync.Mutex
	held  int  // guarded by mu: bytes admitted for frames, until the call of Next after they were returned
	ended bool // guarded by mu: no more bytes are held
	last  int  // size of the frame that Next returned; owned by the caller of Next

	once sync.Once
	done chan struct{}
	err  error // why it ended; set before done is closed
}

// Done is closed when no more frames follow.
func (v *Viewer) Done() <-chan struct{} { return v.done }

// Waiting reports whether there are frames that Next has not returned yet.
func (v *Viewer) Waiting() bool { return len(v.queue) > 0 }

// Next waits for a frame, which is held until the next call. The frame does not contain what
// must not leave the process. It is nil if frames were dropped and none has arrived since;
// dropped is then their number. The error is [ErrReplaced], [ErrClosed] or that of ctx.
func (v *Viewer) Next(ctx context.Context) (f *Frame, dropped uint64, err error) {
	v.release(v.last)
	v.last = 0
	select {
	case f = <-v.queue:
		return v.take(f), f.Dropped, nil
	default:
	}
	if n := v.dropped.Swap(0); n > 0 {
		return nil, n, nil
	}
	select {
	case f = <-v.queue:
		return v.take(f), f.Dropped, nil
	case <-v.done:
		return nil, 0, v.err
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

func (v *Viewer) take(f *Frame) *Frame {
	v.last = cap(f.Bytes)
	v.filter.withhold(f)
	return f
}

// admit reports whether n more bytes may be held.
func (v *Viewer) admit(n int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended || v.held+n > maxHeld || v.tap.Admit != nil && !v.tap.Admit(n) {
		return false
	}
	v.held += n
	return true
}

// release returns n bytes that were admitted. Those of a viewer that has ended have been
// returned already.
func (v *Viewer) release(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended || n == 0 {
		return
	}
	v.held -= n
	if v.tap.Release != nil {
		v.tap.Release(n)
	}
}

// show adds a frame to the queue, or counts it as dropped.
func (v *Viewer) show(f *Frame) {
	f.Dropped = v.dropped.Swap(0)
	select {
	case v.queue <- f:
	default:
		v.release(cap(f.Bytes))
		v.dropped.Add(f.Dropped + 1)
	}
}

// Close ends the viewer.
func (v *Viewer) Close() {
	v.tap.viewer.CompareAndSwap(v, nil)
	v.end(ErrClosed)
}

func (v *Viewer) end(err error) {
	v.once.Do(func() {
		// Frames that pumps are still copying, and those in the queue, are never read.
		v.mu.Lock()
		v.ended = true
		if v.held > 0 && v.tap.Release != nil {
			v.tap.Release(v.held)
		}
		v.held = 0
		v.mu.Unlock()
		v.err = err
		close(v.done)
	})
}

// Begin returns a capture for a frame that begins to pass; nil: it is not shown.
func (v *Viewer) Begin(f Frame) *Capture {
	if !v.filter.matches(&f) {
		return nil
	}
	if len(v.queue) == cap(v.queue) {
		v.dropped.Add(1)
		return nil
	}
	return &Capture{viewer: v, frame: f, left: v.filter.keeps(&f)}
}
