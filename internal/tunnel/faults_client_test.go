package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An end is how a raw client's connection ended.
type end string

const (
	endFIN end = "FIN"
	endRST end = "RST"
)

// A rawClient is one TCP connection to the tunnel that sends ApiVersions v0, recognises
// an answer to it, and distinguishes FIN from RST, which no Kafka library reports.
type rawClient struct {
	conn    *net.TCPConn
	sent    time.Time     // when ask was last called
	answers chan struct{} // one for each answer
	ended   chan struct{} // closed when the connection has ended
	end     error         // how; valid once ended is closed
}

// dialRaw connects to a tunnel. When the test ends, the connection is closed and its
// reader has returned.
func dialRaw(t *testing.T, address string) *rawClient {
	t.Helper()
	c, err := newRawClient(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func newRawClient(ctx context.Context, address string) (*rawClient, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &rawClient{conn: conn.(*net.TCPConn), answers: make(chan struct{}, 16), ended: make(chan struct{})}
	go c.read()
	return c, nil
}

// read is the goroutine that takes answers until the connection ends.
func (c *rawClient) read() {
	defer close(c.ended)
	for {
		var head [8]byte
		if _, c.end = io.ReadFull(c.conn, head[:]); c.end != nil {
			return
		}
		if id := binary.BigEndian.Uint32(head[4:]); id != 1 {
			c.end = fmt.Errorf("correlation id %d", id)
			return
		}
		if _, c.end = io.CopyN(io.Discard, c.conn, int64(binary.BigEndian.Uint32(head[:]))-4); c.end != nil {
			return
		}
		c.answers <- struct{}{}
	}
}

// ask sends ApiVersions v0.
func (c *rawClient) ask() error {
	c.sent = time.Now()
	_, err := c.conn.Write(apiVersionsV0[:])
	return err
}

// how returns how the connection ended, once ended is closed.
func (c *rawClient) how() (end, error) {
	switch {
	case errors.Is(c.end, io.EOF):
		return endFIN, nil
	case errors.Is(c.end, syscall.ECONNRESET):
		return endRST, nil
	}
	return "", fmt.Errorf("ended inside an answer, or with an unexpected error: %w", c.end)
}

// over reports whether the connection has ended.
func (c *rawClient) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (c *rawClient) close() {
	c.conn.Close()
	<-c.ended
}

// awaitAnswer waits for an answer to ask.
func (c *rawClient) awaitAnswer(t *testing.T, who string) {
	t.Helper()
	select {
	case <-c.answers:
	case <-c.ended:
		select {
		case <-c.answers: // an end after it does not matter
		default:
			t.Fatalf("%s: ended with %v, want an answer", who, c.end)
		}
	case <-hangTimeout():
		t.Fatalf("%s: no answer", who)
	}
}

// awaitEnd waits for the end, without an answer before.
func (c *rawClient) awaitEnd(t *testing.T, who string, want end) {
	t.Helper()
	select {
	case <-c.ended:
	case <-hangTimeout():
		t.Fatalf("%s: still open, want %s", who, want)
	}
	select {
	case <-c.answers:
		t.Errorf("%s: was answered, want %s", who, want)
	default:
	}
	if got, err := c.how(); got != want {
		t.Errorf("%s: ended with %s, want %s (%v)", who, got, want, err)
	}
}

// hangTimeout is the time after which a test counts an operation as hanging.
func hangTimeout() <-chan time.Time { return time.After(time.Minute) }

// A crowd is a number of clients. Each connects, asks, and reconnects without a pause
// when its connection ends or it has its answer.
type crowd struct {
	address string
	work    sync.WaitGroup

	mu       sync.Mutex
	stopping bool
	dials    int
	rounds   []int // how often each client's connection ended or was answered
	answered int
	ends     map[end]int
	errs     []error
}

// newCrowd starts n clients. They stop when the test ends, or when stop is called and
// their open connections have ended.
func newCrowd(t *testing.T, address string, n int) *crowd {
	c := &crowd{address: address, rounds: make([]int, n), ends: map[end]int{}}
	for i := range n {
		c.work.Go(func() { c.client(t.Context(), i) })
	}
	t.Cleanup(c.stop)
	return c
}

// stop lets the clients finish and waits for them.
func (c *crowd) stop() {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	c.work.Wait()
}

// client is the goroutine of one client.
func (c *crowd) client(ctx context.Context, i int) {
	for c.again(ctx) {
		c.round(ctx, i)
	}
}

func (c *crowd) again(ctx context.Context) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping || ctx.Err() != nil {
		return false
	}
	c.dials++
	return true
}

func (c *crowd) round(ctx context.Context, i int) {
	raw, err := newRawClient(ctx, c.address)
	if err != nil {
		c.note(i, func() { c.errs = append(c.errs, err) })
		return
	}
	defer raw.close()
	_ = raw.ask() // a failed write shows up in the read, too
	select {
	case <-raw.answers:
		c.note(i, func() { c.answered++ })
	case <-raw.ended:
		how, err := raw.how()
		c.note(i, func() {
			if err != nil {
				c.errs = append(c.errs, err)
				return
			}
			c.ends[how]++
		})
	case <-ctx.Done():
	}
}

func (c *crowd) note(i int, what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rounds[i]++
	what()
}

// been reports whether every client has had n connections that ended or were answered.
func (c *crowd) been(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rounds := range c.rounds {
		if rounds < n {
			return false
		}
	}
	return true
}

// seen returns what the clients have seen so far.
func (c *crowd) seen() (dials, answered int, ends map[end]int, errs []error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends = map[end]int{}
	for e, n := range c.ends {
		ends[e] = n
	}
	return c.dials, c.answered, ends, append([]error(nil), c.errs...)
}
