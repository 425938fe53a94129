package tunnel

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// The runtime collects garbage when the heap has grown, and every two minutes. After
// a thousand connections have closed, or have fallen idle, it does not grow, and what
// they leave behind would count as memory of the container for all that time.
const (
	tidyAfter = 256              // stacks that were given back: one to two MiB
	tidyPause = 15 * time.Second // so that a wave is over, and a stream of them costs little
)

// tidy returns memory to the system when enough has become free.
type tidy struct {
	release func() // collects garbage and returns what is free
	freed   atomic.Int64
	due     chan struct{}
}

func newTidy(release func()) *tidy {
	if release == nil {
		release = debug.FreeOSMemory
	}
	return &tidy{release: release, due: make(chan struct{}, 1)}
}

// note counts one stack that was given back.
func (t *tidy) note() {
	if t.freed.Add(1) != tidyAfter {
		return
	}
	select {
	case t.due <- struct{}{}:
	default:
	}
}

// run tidies up until ctx ends.
func (t *tidy) run(ctx context.Context) {
	for {
		select {
		case <-t.due:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(tidyPause):
		case <-ctx.Done():
			return
		}
		t.freed.Store(0)
		t.release()
	}
}
