package main

import "runtime"

// maxProcessors is how many processors the tunnel uses at the same time. One of them
// relays more than a container's network delivers. Each further one would cost memory
// (docs/performance.md) and processor time for its idle scheduler.
const maxProcessors = 4

// limitProcessors sets GOMAXPROCS to at most maxProcessors, unless the environment sets it.
func limitProcessors(getenv func(string) string) {
	if getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) > maxProcessors {
		runtime.GOMAXPROCS(maxProcessors)
	}
}
