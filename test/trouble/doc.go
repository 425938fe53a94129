// Package trouble measures what the tunnel costs, and what it costs the landscape,
// while things go wrong: the bars of the project, as programs.
//
//	storm        hundreds of clients reconnect as fast as they can into an outage
//	outage       a long outage: how much is logged, and a stdout that nobody reads
//	stalled      consumers that stop reading in the middle of a large response
//	descriptors  no file descriptor is left
//	idle         nobody does anything, after many short connections
//
// Each is a function that starts a landscape (internal/lab) in this process and the
// real binary in front of it, as a child that is configured only by what the
// platform would give it, and returns a [Report]:
//
//	binary, err := trouble.Build(ctx, dir)
//	report, err := trouble.Storm(ctx, binary, trouble.StormOptions{Way: trouble.Reply03})
//	fmt.Print(trouble.Markdown(report))
//
// An error means that the scenario could not be played; a bar that was missed
// stands in the report. Zero options are the full length. The child's memory,
// processor time and descriptors come from /proc, goroutines from /metrics, attempts
// and token requests from what the landscape counted.
//
// The tests play all of it in some seconds and judge only what does not depend on
// the speed of the machine: counts, and whether bytes are lost. Figures with times
// are judged by
//
//	go run ./test/trouble/cmd [-short] [-only storm,idle]
//
// which takes about fourteen minutes, prints Markdown for docs/performance.md and
// exits with 1 when a bar is missed. Linux only, loopback only.
//
// The scenario stalled holds bytes for 200 connections in the socket buffers of four
// hops on one machine, about half of what the kernel grants all of TCP here
// (net.ipv4.tcp_mem, 2.2 GiB). Where it grants less, packets of other programs may be
// dropped and consumers cut; -only leaves it out.
package trouble
