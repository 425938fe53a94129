//go:build unix

package listener

import "golang.org/x/sys/unix"

// Descriptors returns the soft limit of open files, which the Go runtime has
// raised to the hard limit at the start of the process.
func Descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	const plenty = 1 << 20
	return int(min(uint64(limit.Cur), plenty)) //nolint:unconvert // signed on some systems
}
