package session

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unacknowledged reports whether the other side of a connection owes an
// acknowledgement, of bytes or of a probe of its window, and how long ago it has
// last sent one (tcp(7), TCP_INFO).
func unacknowledged(conn net.Conn) (time.Duration, bool) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	if failed := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); failed != nil || err != nil {
		return 0, false
	}
	// A reader that is slow may leave bytes unacknowledged as well: its kernel drops
	// what it has no room for, and says so to each repetition of them. Only what was
	// sent after its last word is owed. One probe of its window may be lost, or left
	// without answer because kernels limit the rate of such answers.
	owes := info.Probes > 1 || info.Unacked > 0 && info.Last_data_sent < info.Last_ack_recv
	if !owes {
		return 0, false
	}
	return time.Duration(info.Last_ack_recv) * time.Millisecond, true
}
