package tunnel

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// The runtime collects garbage when the heap has grown, and every two minutes. After a
// thousand connections have closed or become idle, the heap does not grow, and their
// memory would count as the container's for all that time.
const (
	trimAfter = 256              // number of freed stacks: one to two MiB
	trimPause = 15 * time.Second // many at once cost one pass, and a steady stream costs little
)

// A memoryTrimmer returns memory to the system when enough is free.
type memoryTrimmer struct {
	release func() // collects garbage and returns what is free
	freed   atomic.Int64
	due     chan struct{}
}

func newTrimmer(release func()) *memoryTrimmer {
	if release == nil {
		release = debug.FreeOSMemory
	}
	return &memoryTrimmer{release: release, due: make(chan struct{}, 1)}
}

// note counts one freed stack.
func (t *memoryTrimmer) note() {
	if t.freed.Add(1) != trimAfter {
		return
	}
	select {
	case t.due <- struct{}{}:
	default:
	}
}

// run releases memory until ctx ends.
func (t *memoryTrimmer) run(ctx context.Context) {
	for {
		select {
		case <-t.due:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(trimPause):
		case <-ctx.Done():
			return
		}
		t.freed.Store(0)
		t.release()
	}
}
