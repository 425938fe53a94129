package relay

import (
	"runtime"
	"sync"
)

// bulk keeps pumps that move much from delaying those that move little. A pump whose source
// has more than a buffer of bytes waiting could use a processor for as long as they last, and
// hundreds of such pumps would fill the scheduler's queues, in which a small request waits
// its turn. So at most as many of them read at a time as leave one processor free. They read
// in order; each read takes some ten microseconds.
type bulk struct {
	once  sync.Once
	slots chan struct{}
}

// enter waits for a slot, which leave gives back.
func (b *bulk) enter() {
	b.once.Do(func() { b.slots = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)) })
	b.slots <- struct{}{}
}

func (b *bulk) leave() { <-b.slots }
