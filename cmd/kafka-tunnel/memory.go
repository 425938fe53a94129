package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// containerMemory returns how much memory the container has for this process, in bytes:
// the smaller one of share, which is the sidecar's part from Cloud Foundry's MEMORY_LIMIT
// ("64m"), and the limit of its cgroup; 0 if neither is known.
func containerMemory(share string, cgroup int64) int64 {
	limit, _ := megabytes(share)
	return smaller(limit, cgroup)
}

// cgroupMemory returns the memory limit of the process's cgroup, 0 for none.
func cgroupMemory() int64 {
	limit, err := memlimit.FromCgroup()
	if err != nil || limit > 1<<62 {
		return 0
	}
	return int64(limit)
}

// limitMemory sets the soft memory limit of the runtime (R24): nine tenths of the
// container's, but no more than most bytes. GOMEMLIMIT in the environment has precedence.
func limitMemory(container, most int64) {
	if limit := softLimit(container, most); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

// softLimit returns that limit, 0 for none.
func softLimit(container, most int64) int64 { return smaller(container/10*9, most) }

// smaller returns the smaller one of two limits, of which 0 is none.
func smaller(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// megabytes parses a size in the format of Cloud Foundry: a number with m or g.
func megabytes(s string) (int64, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	var unit int64
	switch {
	case strings.HasSuffix(s, "m"):
		unit = 1 << 20
	case strings.HasSuffix(s, "g"):
		unit = 1 << 30
	default:
		return 0, false
	}
	n, err := strconv.ParseInt(s[:len(s)-1], 10, 64)
	if err != nil || n <= 0 || n > 1<<20 {
		return 0, false
	}
	return n * unit, true
}
