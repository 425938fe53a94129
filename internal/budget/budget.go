// Package budget limits the memory that is held for clients and brokers (R25).
//
// Data that must be held before it can be passed on, such as a response that is rewritten as a
// whole, is admitted first. Requests that do not fit wait in order:
//
//	hold := b.Request(size, onStall)
//	if err := hold.Wait(); err != nil { ... }   // ErrTooLarge, ErrCanceled
//	buf := hold.Buffer(size)                    // outside the Go heap
//	...
//	hold.Release()
//
// Large and small requests have separate queues, so neither starves:
//
//	|<------------------ limit ------------------->|
//	|      large: three quarters      |   small    |
//	|<- small, while no large request waits ------>|
//
// A holder that makes no progress while others wait is asked to end: its client may not read,
// or its broker may send a byte a minute, and others need the memory.
//
// The zero value of [Budget] and nil have no limit.
package budget

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A Budget is the memory of one process. It is safe for concurrent use.
type Budget struct {
	limit   int64 // bytes for requests; 0: no limit
	buffers int64 // bytes for read buffers; 0: no limit

	lent atomic.Int64 // bytes of read buffers in use

	mu           sync.Mutex // guards what follows, and the fields of holds
	small, large int64      // bytes admitted
	queues       [2]queue   // by size class
	holds        map[*Hold]struct{}
	timer        *time.Timer // checks for stalled holds; runs while a request waits
	ticking      bool
}

// The errors of [Hold.Wait].
var (
	ErrTooLarge = errors.New("larger than the memory budget")
	ErrCanceled = errors.New("canceled while waiting for memory")
)

// New returns the budget of a process that may hold limit bytes: three quarters of it for
// requests, one quarter for read buffers. 0: no limit.
func New(limit int64) *Budget {
	return &Budget{limit: limit - limit/4, buffers: limit / 4}
}

// Largest returns the size of the largest request that can be admitted; 0: no limit.
func (b *Budget) Largest() int64 {
	if b == nil {
		return 0
	}
	return b.limit - b.limit/4
}

// smallest part of the limit that makes a request a large one.
const largePart = 16

// LendBuffer reports whether a read buffer of n bytes may be allocated now. Its bytes are
// returned with [Budget.ReturnBuffer]. It never waits and takes no lock: a caller that gets no
// large buffer uses a small one.
func (b *Budget) LendBuffer(n int) bool {
	if b == nil || b.buffers == 0 {
		return true
	}
	if b.lent.Add(int64(n)) > b.buffers {
		b.lent.Add(-int64(n))
		return false
	}
	return true
}

// ReturnBuffer returns the bytes of a read buffer.
func (b *Budget) ReturnBuffer(n int) {
	if b != nil && b.buffers > 0 {
		b.lent.Add(-int64(n))
	}
}

// TryAcquire admits n bytes if they fit now and no request waits for them. They are returned
// with [Budget.Release].
func (b *Budget) TryAcquire(n int) bool {
	if b == nil || b.limit == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queues[smallClass].waiting) > 0 || !b.fits(smallClass, int64(n)) {
		return false
	}
	b.small += int64(n)
	return true
}

// Release returns n bytes of TryAcquire.
func (b *Budget) Release(n int) {
	if b == nil || b.limit == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.small -= int64(n)
	b.admit()
}

// Held returns how many bytes are held, and how many requests wait.
func (b *Budget) Held() (bytes int64, waiting int) {
	if b == nil {
		return 0, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.small + b.large + b.lent.Load(), len(b.queues[smallClass].waiting) + len(b.queues[largeClass].waiting)
}

// A class is the size class of a request.
type class uint8

const (
	smallClass class = iota
	largeClass
)

// A queue has the waiting requests of one class, in order.
type queue struct{ waiting []*Hold }

// fits reports whether n more bytes of a class may be admitted. The caller holds mu.
func (b *Budget) fits(c class, n int64) bool {
	if b.small+b.large+n > b.limit {
		return false
	}
	if c == largeClass {
		return b.large+n <= b.Largest()
	}
	return len(b.queues[largeClass].waiting) == 0 || b.small+n <= b.limit-b.Largest()
}

// admit admits the requests at the head of each queue that fit. The caller holds mu.
func (b *Budget) admit() {
	for c := range b.queues {
		q := &b.queues[c]
		for len(q.waiting) > 0 && b.fits(class(c), q.waiting[0].size) {
			h := q.waiting[0]
			q.waiting[0] = nil
			q.waiting = q.waiting[1:]
			b.grant(h)
			close(h.done)
		}
	}
}

// grant admits a request. The caller holds mu.
func (b *Budget) grant(h *Hold) {
	if h.class == largeClass {
		b.large += h.size
	} else {
		b.small += h.size
	}
	now := time.Now()
	h.admitted = now
	h.moved.Store(now.UnixNano())
	if b.holds == nil {
		b.holds = map[*Hold]struct{}{}
	}
	b.holds[h] = struct{}{}
}
