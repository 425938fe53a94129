package budget

import (
	"slices"
	"sync/atomic"
	"time"
)

// A Hold is one request for memory, and the memory once it is admitted. Wait, Buffer, Touch and
// Release belong to one goroutine; any goroutine may call Cancel.
type Hold struct {
	budget  *Budget // nil: no limit
	size    int64
	class   class
	onStall func()
	asked   time.Time
	done    chan struct{} // closed when it is admitted, refused or canceled; nil: it did not wait
	err     error         // why it was not admitted; guarded by done

	admitted time.Time    // guarded by budget.mu
	stalled  bool         // onStall was called; guarded by budget.mu
	released bool         // guarded by budget.mu
	moved    atomic.Int64 // last progress, Unix nanoseconds
	buf      []byte
}

// Request requests size bytes. onStall is called once, from another goroutine, if the hold
// makes no progress and others wait for its memory; it must not block. With nil nothing happens
// then.
func (b *Budget) Request(size int, onStall func()) *Hold {
	h := &Hold{size: int64(size), onStall: onStall}
	if b == nil || b.limit == 0 {
		return h
	}
	h.budget = b
	if h.size > b.limit/largePart {
		h.class = largeClass
	}
	if h.class == largeClass && h.size > b.Largest() {
		h.budget, h.err = nil, ErrTooLarge
		return h
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	q := &b.queues[h.class]
	if len(q.waiting) == 0 && b.fits(h.class, h.size) {
		b.grant(h)
		return h
	}
	h.asked, h.done = time.Now(), make(chan struct{})
	q.waiting = append(q.waiting, h)
	b.startTimer()
	return h
}

// Wait returns when the memory is admitted. The error is ErrTooLarge or ErrCanceled.
func (h *Hold) Wait() error {
	if h.done != nil {
		<-h.done
	}
	return h.err
}

// Cancel ends a wait. It has no effect on memory that is already admitted.
func (h *Hold) Cancel() {
	b := h.budget
	if b == nil || h.done == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	q := &b.queues[h.class]
	if i := slices.Index(q.waiting, h); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		h.err = ErrCanceled
		close(h.done)
		b.admit() // the requests after it may fit
	}
}

// Buffer returns a buffer of n zero bytes, valid until Release. n must not exceed the requested
// size.
func (h *Hold) Buffer(n int) []byte {
	h.buf = allocate(n)
	return h.buf
}

// Touch records progress of the holder: bytes were received or sent.
func (h *Hold) Touch() {
	if h.budget != nil {
		h.moved.Store(time.Now().UnixNano())
	}
}

// Release frees the buffer and returns the memory. A second call does nothing.
func (h *Hold) Release() {
	free(h.buf)
	h.buf = nil
	b := h.budget
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.released {
		return
	}
	h.released = true
	delete(b.holds, h)
	if h.class == largeClass {
		b.large -= h.size
	} else {
		b.small -= h.size
	}
	b.admit()
}

// A hold counts as stalled if a request has waited for patience, and the hold either has made
// no progress for still or has lasted for longest. The first is a client that does not read or
// a broker that has stopped; the second one that sends a byte from time to time.
const (
	patience = 10 * time.Second
	still    = 10 * time.Second
	longest  = time.Minute
	every    = time.Second
)

// startTimer starts the timer for findStalled. The caller holds mu.
func (b *Budget) startTimer() {
	if b.ticking {
		return
	}
	b.ticking = true
	if b.timer == nil {
		b.timer = time.AfterFunc(every, b.findStalled)
		return
	}
	b.timer.Reset(every)
}

// findStalled asks one stalled holder to end, the one without progress for the longest time, if
// a request has waited long enough.
func (b *Budget) findStalled() {
	if h := b.mostStalled(time.Now()); h != nil {
		h.onStall()
	}
}

func (b *Budget) mostStalled(now time.Time) (found *Hold) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waits, impatient := false, false
	for _, q := range b.queues {
		if len(q.waiting) > 0 {
			waits = true
			impatient = impatient || now.Sub(q.waiting[0].asked) >= patience
		}
	}
	if !waits {
		b.ticking = false
		return nil
	}
	b.timer.Reset(every)
	if !impatient {
		return nil
	}
	for h := range b.holds {
		overdue := now.UnixNano()-h.moved.Load() >= int64(still) || now.Sub(h.admitted) >= longest
		if !overdue || h.stalled || h.onStall == nil {
			continue
		}
		if found == nil || h.moved.Load() < found.moved.Load() {
			found = h
		}
	}
	if found != nil {
		found.stalled = true
	}
	return found
}
