// Package trouble measures the cost of the tunnel, and its load on the upstream services,
// during faults: the project's bars, as programs.
//
//	storm        hundreds of clients reconnect as fast as they can into an outage
//	outage       a long outage: how much is logged, and a stdout that is not read
//	stalled      consumers that stop reading in the middle of a large response
//	descriptors  no file descriptor is free
//	idle         no traffic, after many short connections
//
// Each is a function that starts a lab (internal/lab) in this process and the real binary in
// front of it, as a child with only the environment that the platform would set, and returns a
// [Report]:
//
//	binary, err := trouble.Build(ctx, dir)
//	report, err := trouble.Storm(ctx, binary, trouble.StormOptions{Cause: trouble.Reply03})
//	fmt.Print(trouble.Markdown(report))
//
// An error means that the scenario could not run; the report contains bars that were missed.
// Zero options mean the full length. The child's memory, processor time and descriptors come
// from /proc, goroutines from /metrics, attempts and token requests from the lab's counters.
//
// The tests run everything in some seconds and check only what does not depend on the speed of
// the machine: counts, and whether bytes are lost. Times are checked by
//
//	go run ./test/trouble/cmd [-short] [-only storm,idle]
//
// which takes about fourteen minutes, prints Markdown for docs/performance.md and
// exits with 1 when a bar is missed. Linux only, loopback only.
//
// The scenario stalled holds bytes for 200 connections in the socket buffers of four hops on
// one machine, about half of the memory that the kernel allows for all TCP here
// (net.ipv4.tcp_mem, 2.2 GiB). If it allows less, it may drop packets of other programs and cut
// consumers; exclude the scenario with -only.
package trouble
