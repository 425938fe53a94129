package main

import "runtime"

// maxProcessors is how many processors the tunnel uses at the same time. One of them
// relays more than a container's network brings. On a host that shows many, each
// further one would cost memory (docs/performance.md) and searches for work in vain.
const maxProcessors = 4

// limitProcessors makes the runtime use no more than it needs. A GOMAXPROCS in the
// environment wins.
func limitProcessors(getenv func(string) string) {
	if getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) > maxProcessors {
		runtime.GOMAXPROCS(maxProcessors)
	}
}
