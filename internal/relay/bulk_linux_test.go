package relay

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestBulkReadsTakeTurns: a pump whose source has more than a buffer of bytes waiting needs a
// slot for each read. Pumps that move little need none.
func TestBulkReadsTakeTurns(t *testing.T) {
	g := &Group{Stall: time.Minute}
	flows := start(t, g, 2)
	much, little := flows[0], flows[1]
	// More than a buffer of bytes fits into the socket, whatever the kernel adds to each segment.
	if err := much.pump.src.(*net.TCPConn).SetReadBuffer(16 * BufferSize); err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat(frame(1000), 2000) // no span is spliced
	sent := make(chan error, 1)
	go func() {
		_, err := much.near.Write(want)
		sent <- err
	}()
	for UnreadBytes(much.pump.src) < BufferSize { // nothing reads at the other end
		<-time.After(time.Millisecond)
	}
	g.bulk.enter()
	for range cap(g.bulk.slots) - 1 {
		g.bulk.enter()
	}
	var received atomic.Int64
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, 0, len(want))
		buf := make([]byte, 64<<10)
		for len(b) < len(want) {
			n, err := much.far.Read(buf)
			b = append(b, buf[:n]...)
			received.Store(int64(len(b)))
			if err != nil {
				break
			}
		}
		got <- b
	}()
	for range 500 { // much longer than the rest of the other flow takes
		little.pass(t, frame(100), frame(BufferSize/2), frame(100))
	}
	if n := received.Load(); n > int64(len(want)/2) {
		t.Errorf("%d of %d bytes passed without a slot", n, len(want))
	}
	for range cap(g.bulk.slots) {
		g.bulk.leave()
	}
	if b := <-got; !bytes.Equal(b, want) {
		t.Errorf("%d bytes arrived of %d, equal: %v", len(b), len(want), bytes.HasPrefix(want, b))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
