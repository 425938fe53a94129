//go:build !linux

package upstream

import "syscall"

// socketOptions sets nothing: the system has no bound for the window alone.
func socketOptions(_, _ string, _ syscall.RawConn) error { return nil }
