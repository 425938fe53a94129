package logging

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// rate and burst are the budget, in bytes per second and bytes (R24).
	rate  = 4 << 10
	burst = 32 << 10
	// reserve is the part of the burst that only warnings and errors may use.
	reserve = 8 << 10
	// depth is how many lines may wait for the writer. The burst fits.
	depth = 1024
	// drainTimeout is how long close waits for the writer.
	drainTimeout = time.Second
)

// A queue accepts lines without waiting and writes them one by one.
type queue struct {
	lines      chan []byte
	done       chan struct{}
	dropped    atomic.Uint64
	unreported atomic.Uint64 // dropped, and not yet reported in the log

	mu     sync.Mutex
	closed bool
	tokens float64 // bytes that may be written now
	at     time.Time
}

// startQueue starts the goroutine that writes to w; close ends it.
func startQueue(w io.Writer) *queue {
	q := &queue{lines: make(chan []byte, depth), done: make(chan struct{}), tokens: burst, at: time.Now()}
	go q.write(w)
	return q
}

// write is the loop of the writer. Lines that cannot be written are lost: there is no other
// place for them.
func (q *queue) write(w io.Writer) {
	defer close(q.done)
	for line := range q.lines {
		if _, err := w.Write(line); err != nil {
			q.drop()
		}
	}
}

// offer queues a line and reports whether it was accepted.
func (q *queue) offer(line []byte, important bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed && q.affordable(len(line), important) {
		select {
		case q.lines <- line:
			q.tokens -= float64(len(line))
			return true
		default:
		}
	}
	q.drop()
	return false
}

// affordable reports whether a line of n bytes is within the budget.
func (q *queue) affordable(n int, important bool) bool {
	now := time.Now()
	q.tokens = min(burst, q.tokens+rate*now.Sub(q.at).Seconds())
	q.at = now
	left := q.tokens - float64(n)
	return left >= reserve || important && left >= 0
}

func (q *queue) drop() {
	q.dropped.Add(1)
	q.unreported.Add(1)
}

// close closes the queue. It does not wait for a writer that is stuck: only the reader can
// release it, and the process is about to end.
func (q *queue) close() {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	q.closed = true
	close(q.lines)
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(drainTimeout):
	}
}
