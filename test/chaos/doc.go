// Package chaos plays a random schedule of faults to a landscape while Kafka
// clients work, and checks afterwards that nothing was lost, doubled, reordered
// or made up.
//
//	report, err := chaos.Run(ctx, chaos.Options{Seed: 7, Time: 3 * time.Minute})
//	for _, p := range report.Problems { ... }
//
// A [Schedule] is a plain value that follows from its seed: when, which fault of
// the lab, for how long. It is replayed over a lab with three brokers. Clients
// (franz-go) work all the time:
//
//	idempotent    acks=all              every record exactly once, in order
//	acks1         no idempotence        every acknowledged record at least once
//	acks0         no acknowledgement    nothing made up; loss is counted
//	transactions  commits and aborts    committed: exactly once; aborted: never seen
//	transform     consume, produce and  every record of its input exactly once in its
//	              commit in one         output, in order
//	groups        two members each,     every record, no gap, order per partition but
//	              both protocols        for redelivery after a rebalance; lag 0 at the end
//
// Every record carries its producer, partition, sequence number and a checksum.
// When all faults are gone the clients finish, and the topics are read from the
// brokers themselves. The proxy must have seen no breach of its protocol, and no
// connection may be left when the last client has gone.
//
// # The two runs
//
// The tunnel's run: all clients start at the tunnel's bootstrap address; the
// tunnel is configured only by what the platform would give it. A client that
// dials anything but loopback, or reads one of the brokers' real names, fails it.
//
// The direct run (Options.Direct): same seed, schedule and workloads without the
// tunnel. Clients know the brokers by their virtual names and connect with a
// dialer of the test's own, which does what a client library with built-in
// support would: a token from the token service, kept for part of its life; the
// lab's own SOCKS client; failures of the landscape tried again for nine seconds
// inside the dial; a broker that is down, or not exposed, a dial error at once.
// It shares no code with the tunnel. So both runs meet the same faults at the
// same places, and what differs is the tunnel.
//
// # What is compared
//
// The rules above hold for each run by itself: a breach in the direct run is a
// defect of the stand-in brokers or of the client. The errors that clients
// report to their application are sorted into classes (see [Class]). A class of
// the tunnel's run that the direct run does not have, for the same kind of
// workload, is a problem; but for the classes in [Weather], which say only that
// an operation met a broken connection or a rebalance and succeeded when it was
// tried again. Whether that happens is a matter of milliseconds; they are counted
// side by side in the report.
//
// The checks are functions of plain values and have tests of their own in which
// a record is lost, doubled, moved, spoilt or made up.
package chaos
