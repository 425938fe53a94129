//go:build !linux

package session

import (
	"net"
	"time"
)

// unacknowledged knows nothing on this system: a lost connection is found by
// keep-alive probes and by the system's own time-out of retransmission.
func unacknowledged(net.Conn) (time.Duration, bool) { return 0, false }

// peerStateOf knows nothing on this system either: a client that has gone while
// nothing reads from it is found by the next read or write.
func peerStateOf(net.Conn) peerState { return peerOpen }
