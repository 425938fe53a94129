package listener

import (
	"context"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestConnectionsInheritKeepAlive: accepted connections have TCP keep-alive, which
// detects that a client's machine was switched off.
func TestConnectionsInheritKeepAlive(t *testing.T) {
	s := &Server{}
	defer s.Close()
	got := make(chan [4]int, 1)
	p, err := s.Listen(t.Context(), "127.0.0.1", 0, func(_ context.Context, conn *Conn) {
		defer conn.Release()
		raw, err := conn.Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Error(err)
		}
		var options [4]int
		_ = raw.Control(func(fd uintptr) {
			options[0], _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			for i, option := range []int{unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT} {
				options[1+i], _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option)
			}
		})
		got <- options
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address("127.0.0.1", p.Number()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if options := <-got; options != [4]int{1, keepAliveIdle, keepAliveEvery, keepAliveCount} {
		t.Errorf("keep-alive, idle, interval, count: %v", options)
	}
}
