package relay

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Unacknowledged reports whether the other side of a connection owes an
// acknowledgement, of bytes or of a probe of its window, and how long ago it has
// last sent one (tcp(7), TCP_INFO).
func Unacknowledged(conn net.Conn) (time.Duration, bool) {
	info := tcpInfo(conn)
	if info == nil {
		return 0, false
	}
	// A reader that is slow may leave bytes unacknowledged as well: its kernel drops
	// what it has no room for, and reports that for each retransmission. Only what was
	// sent after its last segment counts as pending. One probe of its window may be lost, or left
	// without answer because kernels limit the rate of such answers.
	owes := info.Probes > 1 || info.Unacked > 0 && info.Last_data_sent < info.Last_ack_recv
	if !owes {
		return 0, false
	}
	return time.Duration(info.Last_ack_recv) * time.Millisecond, true
}

func tcpInfo(conn net.Conn) *unix.TCPInfo {
	var info *unix.TCPInfo
	var err error
	if !control(conn, func(fd int) { info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO) }) || err != nil {
		return nil
	}
	return info
}

// control calls f with the descriptor of a connection; false: it has none.
func control(conn net.Conn, f func(fd int)) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) }) == nil
}

// StateOf asks the kernel about the other end of a TCP connection. The error of a reset
// (SO_ERROR) is taken from the socket: the caller has to act on it.
func StateOf(conn net.Conn) State {
	info := tcpInfo(conn)
	switch {
	case info == nil:
		return Open
	case info.State == unix.BPF_TCP_CLOSE && hasError(conn):
		return Reset
	case info.State != unix.BPF_TCP_CLOSE && info.State != unix.BPF_TCP_CLOSE_WAIT:
		return Open
	}
	// Both sides may have ended: then it is closed, and there may be bytes to read.
	if UnreadBytes(conn) > 0 {
		return Unread
	}
	return Ended
}

// hasError takes the pending error of a socket.
func hasError(conn net.Conn) bool {
	pending := 0
	control(conn, func(fd int) { pending, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR) })
	return pending != 0
}

// UnreadBytes returns how many bytes have come and were not read, without the FIN behind
// them (tcp(7), SIOCINQ).
func UnreadBytes(conn net.Conn) (n int) {
	control(conn, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) })
	return n
}
