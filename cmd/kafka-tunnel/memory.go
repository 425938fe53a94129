package main

import (
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory sets the soft memory limit of the runtime (R24): nine tenths of the
// container's share that Cloud Foundry names in MEMORY_LIMIT ("64m"), but no more
// than most bytes. A GOMEMLIMIT in the environment wins.
func limitMemory(getenv func(string) string, most int64) {
	if getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := memoryLimit(getenv("MEMORY_LIMIT"), most); limit > 0 {
		debug.SetMemoryLimit(limit)
	}
}

// memoryLimit returns the limit in bytes, 0 for none.
func memoryLimit(share string, most int64) int64 {
	limit := most
	if bytes, ok := megabytes(share); ok {
		if nine := bytes / 10 * 9; limit <= 0 || nine < limit {
			limit = nine
		}
	}
	return limit
}

// megabytes reads what Cloud Foundry writes: a number with m or g.
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
