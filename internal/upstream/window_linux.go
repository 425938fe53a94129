package upstream

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// window bounds what the broker's side may send ahead of a client that does not
// read, bytes. By itself the kernel lets that grow to several MiB a connection,
// which count as memory of the container. At a round trip of 30 ms it still lets
// 35 MB a second pass on each connection.
const window = 1 << 20

// socketOptions sets the bound (tcp(7), TCP_WINDOW_CLAMP). Below it the kernel
// sizes the buffer as it sees fit.
func socketOptions(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP, window)
	})
	if err != nil {
		return err
	}
	return failed
}
