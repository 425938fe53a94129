//go:build !linux

package port

import (
	"io"
	"net"
)

// hold does nothing: other systems do not let two sockets be bound to one
// address as Linux does. A port that was shut is opened again with a few
// attempts.
func hold(addr *net.TCPAddr) (*net.TCPAddr, io.Closer, error) { return addr, nil, nil }
