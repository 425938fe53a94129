// Package chaos runs a random schedule of faults in the lab while Kafka clients work, and
// checks afterwards that no record was lost, duplicated, reordered or invented.
//
//	report, err := chaos.Run(ctx, chaos.Options{Seed: 7, Time: 3 * time.Minute})
//	for _, p := range report.Problems { ... }
//
// A [Schedule] is a plain value that is derived from its seed: the times, kinds and durations
// of the lab's faults. It runs against a lab with three brokers. Clients (franz-go) work all
// the time:
//
//	idempotent    acks=all              every record exactly once, in order
//	acks1         no idempotence        every acknowledged record at least once
//	acks0         no acknowledgement    nothing invented; loss is counted
//	transactions  commits and aborts    committed: exactly once; aborted: never seen
//	transform     consume, produce and  every record of its input exactly once in its
//	              commit in one         output, in order
//	groups        two members each,     every record, no gap, order per partition but
//	              both protocols        for redelivery after a rebalance; lag 0 at the end
//
// Every record contains its producer, partition, sequence number and a checksum. When all
// faults have ended the clients finish, and the topics are read from the brokers directly. The
// proxy must have seen no protocol violation, and no connection may be open after the last
// client has disconnected.
//
// # The two runs
//
// The tunnel's run: all clients start at the tunnel's bootstrap address; the tunnel is
// configured only by the environment that the platform would set. The run fails if a client
// dials anything but loopback, or reads one of the brokers' real names.
//
// The direct run (Options.Direct): the same seed, schedule and workloads without the tunnel.
// Clients know the brokers by their virtual names and connect with a dialer of the test, which
// does what a client library with built-in support would do: a token from the token service,
// cached for part of its validity; the lab's own SOCKS client; failures of the upstream
// services are retried for nine seconds within the dial; a broker that is down, or not exposed,
// is a dial error at once. It shares no code with the tunnel. Both runs see the same faults at
// the same places, and the tunnel is the only difference.
//
// # What is compared
//
// The rules above apply to each run by itself: a violation in the direct run is a defect of the
// simulated brokers or of the client. The errors that clients report to their application are
// sorted into classes (see [Class]). A class in the tunnel's run that the direct run does not
// have, for the same kind of workload, is a problem, except for the classes in [Weather]: they
// only mean that an operation hit a broken connection or a rebalance and succeeded when it was
// retried. Whether that happens depends on milliseconds; the report shows their counts of both
// runs.
//
// The checks are functions of plain values and have their own tests, in which a record is lost,
// duplicated, moved, corrupted or invented.
package chaos
