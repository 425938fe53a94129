//go:build !linux

package port

import (
	"io"
	"net"
)

// hold does nothing: other systems do not let two sockets bind one address like Linux. A port
// that was closed is opened again with a few attempts.
func hold(addr *net.TCPAddr) (*net.TCPAddr, io.Closer, error) { return addr, nil, nil }
