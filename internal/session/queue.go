package session

import (
	"encoding/binary"
	"sync"
	"time"
)

// kind is whose response an entry of the queue waits for.
type kind uint8

const (
	// client: the broker answers a request of the client.
	client kind = iota
	// local: the tunnel answers itself; the entry holds the place in the order.
	local
	// token: a SASL token without a header, after a handshake in version 0. The
	// broker answers it with at most one token.
	token
)

// inFlight is one request whose response has not been passed on yet.
type inFlight struct {
	sent        time.Duration // since the start of the connection
	correlation int32
	key         int16
	version     int16
	kind        kind
	wait        uint32 // how long the broker may leave it unanswered on purpose, milliseconds
}

// queueCapacity bounds the requests in flight on one connection. Kafka's own
// clients send 5, pipelining ones some dozens; when it is full the client is not
// read, as a slow broker would not read it.
const queueCapacity = 1024

// queue holds the requests in flight in the order in which their responses must
// come. The request pump pushes, the response pump takes; both may end it.
type queue struct {
	mu      sync.Mutex
	room    sync.Cond
	ring    []inFlight // its length is a power of two
	head, n int        // entries not taken yet
	taken   int        // entries taken whose response has not been written yet
	ended   bool       // no entry will be taken any more
	closed  bool       // no entry will be pushed any more
}

func (q *queue) init() {
	q.room.L = &q.mu
}

// full reports whether a push would wait.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n >= queueCapacity
}

// push appends an entry and waits for room; false when the queue has ended.
func (q *queue) push(e inFlight) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.add(e)
}

func (q *queue) add(e inFlight) bool {
	for q.n >= queueCapacity && !q.ended {
		q.room.Wait()
	}
	if q.ended {
		return false
	}
	if q.n == len(q.ring) {
		bigger := make([]inFlight, max(4, 2*len(q.ring)))
		for i := range q.n {
			bigger[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = bigger, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = e
	q.n++
	return true
}

// pushLocal appends a local answer, unless nothing at all is in flight: then it
// returns now=true and the caller, who alone can add requests, writes the answer
// at once.
func (q *queue) pushLocal(e inFlight) (now, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 && q.taken == 0 {
		return true, !q.ended
	}
	return false, q.add(e)
}

// take removes the entry to which a response has come; false when there is no
// such request. frame begins after the size: its correlation id is needed only where
// tokens are in flight. A token need not be answered (GSSAPI ends so), so a
// response that fits the first request behind tokens is the response to that one.
func (q *queue) take(frame []byte) (inFlight, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	tokens := 0
	for tokens < q.n && q.at(tokens).kind == token {
		tokens++
	}
	next := tokens < q.n && q.at(tokens).answeredBy(frame)
	if tokens > 0 && !next {
		q.taken++
		return q.pop(), true
	}
	for range tokens {
		q.pop()
	}
	if q.n == 0 || q.at(0).kind != client {
		return inFlight{}, false
	}
	q.taken++
	return q.pop(), true
}

func (q *queue) at(i int) *inFlight { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

// answeredBy reports whether a response carries the entry's correlation id.
func (e *inFlight) answeredBy(frame []byte) bool {
	return e.kind == client && len(frame) >= 4 && int32(binary.BigEndian.Uint32(frame)) == e.correlation
}

// takeLocal removes the head if it is a local answer, whose turn it is when
// everything before it was taken.
func (q *queue) takeLocal() (inFlight, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 || q.at(0).kind != local {
		return inFlight{}, false
	}
	q.taken++
	return q.pop(), true
}

func (q *queue) pop() inFlight {
	e := q.ring[q.head]
	q.ring[q.head] = inFlight{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	q.room.Signal()
	return e
}

// markFlushed is called when the responses of all taken entries have reached the client's
// socket. Afterwards a local answer may be at the head: more reports it.
func (q *queue) markFlushed() (more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken = 0
	if q.n == 0 {
		q.room.Broadcast() // for a caller that waits until it is empty
	}
	return q.n > 0 && q.at(0).kind == local
}

// empty waits until nothing is in flight; false when the queue has ended first.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for (q.n > 0 || q.taken > 0) && !q.ended {
		q.room.Wait()
	}
	return !q.ended
}

// close notes that no request will follow. It reports whether nothing is in flight: a
// response that was taken is, until all of it has been written.
func (q *queue) close() (idle bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	return q.n == 0 && q.taken == 0
}

// isClosed reports whether the client has ended its side.
func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// drained reports whether no response will follow the ones that were taken.
func (q *queue) drained() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && q.n == 0
}

// abort wakes a waiting push and refuses further ones.
func (q *queue) abort() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.room.Broadcast()
}
