package session

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// TestOldestUnanswered: a request is late only beyond the wait that it allowed the
// broker itself. Time spent behind a long poll does not count.
func TestOldestUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &connection{start: time.Now(), owner: &owner{}}
		c.queue.init()
		request := func(correlation int32, wait time.Duration) {
			c.queue.push(inFlight{key: kafka.KeyFetch, correlation: correlation, sent: time.Since(c.start), wait: uint32(wait.Milliseconds())})
		}
		response := func(correlation int32) {
			e, ok := c.queue.take([]byte{0, 0, 0, byte(correlation)})
			if !ok {
				t.Fatalf("no request %d", correlation)
			}
			c.answered(e, time.Since(c.start)-e.sent)
		}
		want := func(n int, oldest time.Duration) {
			t.Helper()
			if gotN, got := c.InFlight(); gotN != n || got != oldest {
				t.Errorf("after %v: %d in flight, the oldest for %v; want %d, %v", time.Since(c.start), gotN, got, n, oldest)
			}
		}
		want(0, 0)
		request(1, time.Minute)      // a long poll
		request(2, 0)                // behind it
		time.Sleep(59 * time.Second) // synctest
		want(2, 0)
		time.Sleep(5 * time.Second) // synctest
		want(2, 4*time.Second)
		response(1)
		want(1, 0)                  // request 2 could not have been answered before
		time.Sleep(3 * time.Second) // synctest
		want(1, 3*time.Second)
		response(2)
		want(0, 0)
		request(3, 0)
		time.Sleep(8 * time.Second) // synctest
		request(4, 0)
		response(3)
		want(1, 0)
		time.Sleep(time.Second) // synctest
		want(1, time.Second)
		request(5, 0)
		time.Sleep(11 * time.Second) // synctest
		response(4)
		want(1, 11*time.Second) // each response is slow, so all requests behind it wait
	})
}

// TestEntriesStaySmall: an entry stays small, because each connection's ring has up to
// 1024 of them.
func TestEntriesStaySmall(t *testing.T) {
	if size := unsafe.Sizeof(inFlight{}); size > 24 {
		t.Errorf("%d bytes", size)
	}
}
