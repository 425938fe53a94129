// Package conformance holds kafka-tunnel against real input: Apache Kafka as it
// is published, and clients as their users install them, unmodified.
//
//	make conformance
//
// The tests start three KRaft brokers whose client listeners announce names that
// do not resolve, put the built binary in front (`kafka-tunnel lab --upstream`)
// and let each client create a topic, produce and consume in a group. What every
// client says it wrote and read is compared with what a look past the tunnel
// finds in the topic: the number of records and a digest of their contents.
//
// The files have the build tag conformance: they download, start JVMs and take
// minutes, and `go test ./...` is Go alone. README.md says what runs and how to
// debug a failure.
package conformance
