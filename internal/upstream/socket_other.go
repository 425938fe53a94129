//go:build !linux

package upstream

import "syscall"

// socketOptions sets nothing: the system has no TCP_USER_TIMEOUT.
func socketOptions(_, _ string, _ syscall.RawConn) error { return nil }
