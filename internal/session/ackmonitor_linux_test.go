package session

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// dropIncoming makes the kernel drop everything that arrives for a connection, as if
// the peer's machine had lost power.
func dropIncoming(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	prog := unix.SockFprog{Len: uint16(len(drop)), Filter: &drop[0]}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

func TestALostBrokerIsNoticed(t *testing.T) {
	b := start(t, func(h *Handler) { h.Lost = 60 * time.Millisecond }, nil)
	write(t, b.client, request(heartbeat, 0, 1, ""))
	expect(t, b.broker, request(heartbeat, 0, 1, ""))
	dropIncoming(t, b.broker)
	write(t, b.client, request(heartbeat, 0, 2, ""))
	expectEnd(t, b.client, syscall.ECONNRESET)
	if s := <-b.over; !failure.Is(s.Err, failure.BrokerReset) {
		t.Errorf("summary %+v", s)
	}
}

// TestASlowBrokerIsNotLost: a broker that does not read for several times the limit,
// with a closed TCP window, keeps its connection and gets every byte afterwards.
func TestASlowBrokerIsNotLost(t *testing.T) {
	const size = 32 << 20
	var looks atomic.Int64
	looked := make(chan struct{}, 1)
	b := start(t, func(h *Handler) {
		h.Lost = 600 * time.Millisecond
		h.onCheck = func() {
			looks.Add(1)
			select {
			case looked <- struct{}{}:
			default:
			}
		}
	}, nil)
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	frame := request(heartbeat, 0, 1, string(body))
	sent := make(chan error, 1)
	go func() {
		_, err := b.client.Write(frame)
		sent <- err
	}()
	for looks.Load() < 15 { // five times the limit
		select {
		case <-looked:
		case s := <-b.over:
			t.Fatalf("closed after %d checks: %+v", looks.Load(), s)
		}
	}
	got := make([]byte, len(frame))
	if _, err := io.ReadFull(b.broker, got); err != nil || !bytes.Equal(got, frame) {
		t.Errorf("the broker received other bytes than the client sent: %v", err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
