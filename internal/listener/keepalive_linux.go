package listener

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Keep-alive of client connections, as package net has it.
const (
	keepAliveIdle  = 15 // seconds
	keepAliveEvery = 15 // seconds
	keepAliveCount = 9
)

// listenConfig sets keep-alive once, on the listening socket: connections inherit it. By
// itself package net makes four system calls for each connection.
func listenConfig() net.ListenConfig {
	return net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveEvery),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount),
			)
		})
		return errors.Join(err, failed)
	}}
}
