package tap

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// A Filter says which frames are shown, and what of them.
type Filter struct {
	APIs  []int16 // keys; empty: all, and SASL tokens
	Nodes []string
	Conns []uint64
	// Errors shows only responses with an error code, or which cannot be read.
	Errors bool
	Bodies bool // as JSON
	// Records shows in bodies what is hidden otherwise: records, SASL tokens, passwords.
	Records bool
}

// wants reports whether a frame may be shown. Errors are not known yet.
func (f *Filter) wants(one *Frame) bool {
	return (len(f.APIs) == 0 || !one.Token && slices.Contains(f.APIs, one.Key)) &&
		(len(f.Nodes) == 0 || slices.Contains(f.Nodes, one.Connection.Node)) &&
		(len(f.Conns) == 0 || slices.Contains(f.Conns, one.Connection.Number)) &&
		(!f.Errors || !one.Request && !one.Token)
}

// keeps returns how many bytes of a frame are needed.
func (f *Filter) keeps(one *Frame) int {
	switch {
	case one.Token && !f.Records, one.Request && !f.Bodies:
		return 0
	}
	return min(one.Size, MaxBytes)
}

// ErrReplaced ends a viewer when another one has begun.
var ErrReplaced = errors.New("somebody else watches now")

// ErrClosed ends a viewer that was closed, or whose tunnel was.
var ErrClosed = errors.New("closed")

// A Viewer is who watches.
type Viewer struct {
	tap     *Tap
	filter  Filter
	queue   chan *Frame
	dropped atomic.Uint64

	mu    sync.Mutex
	held  int  // guarded by mu: bytes that frames have room for, until Next is called after them
	ended bool // guarded by mu: nothing is held any more
	last  int  // of the frame that Next returned; owned by the caller of Next

	once sync.Once
	over chan struct{}
	why  error // set before over is closed
}

// Over is closed when nothing more will come.
func (v *Viewer) Over() <-chan struct{} { return v.over }

// Waiting reports whether frames are there that Next has not returned.
func (v *Viewer) Waiting() bool { return len(v.queue) > 0 }

// Next waits for a frame, which is held until the next call. It is nil when frames were dropped
// and none has come since; then, dropped says how many. The error is [ErrReplaced], [ErrClosed]
// or that of ctx.
func (v *Viewer) Next(ctx context.Context) (f *Frame, dropped uint64, err error) {
	v.release(v.last)
	v.last = 0
	select {
	case f = <-v.queue:
		return v.taken(f), f.Dropped, nil
	default:
	}
	if n := v.dropped.Swap(0); n > 0 {
		return nil, n, nil
	}
	select {
	case f = <-v.queue:
		return v.taken(f), f.Dropped, nil
	case <-v.over:
		return nil, 0, v.why
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

func (v *Viewer) taken(f *Frame) *Frame {
	v.last = cap(f.Bytes)
	return f
}

// admit reports whether n bytes more may be held.
func (v *Viewer) admit(n int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended || v.held+n > maxHeld || v.tap.Admit != nil && !v.tap.Admit(n) {
		return false
	}
	v.held += n
	return true
}

// release returns n bytes that were admitted. Those of a viewer that has ended were returned
// already.
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

// show puts a frame into the queue, or counts it.
func (v *Viewer) show(f *Frame) {
	f.Dropped = v.dropped.Swap(0)
	select {
	case v.queue <- f:
	default:
		v.release(cap(f.Bytes))
		v.dropped.Add(f.Dropped + 1)
	}
}

// Close ends it.
func (v *Viewer) Close() {
	v.tap.viewer.CompareAndSwap(v, nil)
	v.end(ErrClosed)
}

func (v *Viewer) end(why error) {
	v.once.Do(func() {
		// Frames that pumps are still copying, and those in the queue, find no reader.
		v.mu.Lock()
		v.ended = true
		if v.held > 0 && v.tap.Release != nil {
			v.tap.Release(v.held)
		}
		v.held = 0
		v.mu.Unlock()
		v.why = why
		close(v.over)
	})
}

// Begin notes that a frame has begun to pass; nil: it is not shown.
func (v *Viewer) Begin(f Frame) *Capture {
	if !v.filter.wants(&f) {
		return nil
	}
	if len(v.queue) == cap(v.queue) {
		v.dropped.Add(1)
		return nil
	}
	return &Capture{viewer: v, frame: f, left: v.filter.keeps(&f)}
}
