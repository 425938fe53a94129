// Package conformance tests kafka-tunnel with real software: Apache Kafka as published, and
// clients as their users install them, unmodified.
//
//	make conformance
//
// The tests start three KRaft brokers whose client listeners advertise names that do not
// resolve, put the built binary in front (`kafka-tunnel lab --upstream`) and let each client
// create a topic, produce and consume in a group. They compare the records that each client
// wrote and read with the contents of the topic, read without the tunnel: the number of records
// and a digest of their contents.
//
// The files have the build tag conformance: they download, start JVMs and take minutes, and `go
// test ./...` needs only Go. README.md explains what runs and how to debug a failure.
package conformance
