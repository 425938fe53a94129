//go:build conformance

package conformance

import (
	"strconv"
	"testing"
)

// TestKafkajs: the most popular client on Cloud Foundry. It is observed within its process: it
// looks up, connects to and receives nothing but loopback.
func TestKafkajs(t *testing.T) {
	c := cluster(t)
	l := startLab(t, "--upstream", upstream(c))
	topic, group, n := name(t, "topic"), name(t, "group"), strconv.Itoa(records)

	produced, seen := kafkajs(t, l.bootstrap, "produce", topic, n)
	seen.onlyLoopback(t)
	consumed, seen := kafkajs(t, l.bootstrap, "consume", topic, n, group)
	seen.onlyLoopback(t)

	sameRecords(t, records, produced, consumed, inTopic(t, c, topic))
	got, err := groupOffsets(deadline(t), c, group, topic)
	if err != nil {
		t.Fatal(err)
	}
	if got != records {
		t.Errorf("the group committed %d of %d records", got, records)
	}
}

// TestBrokerAdvertisesLocalhost is the configuration of a blog with which many start: one
// broker that advertises localhost:9092, with one virtual host. No rule is configured; the
// tunnel infers it.
func TestBrokerAdvertisesLocalhost(t *testing.T) {
	l := startLab(t, "--brokers", "1", "--advertise", "localhost")
	const n = 1000
	topic, count := name(t, "topic"), strconv.Itoa(n)

	produced, seen := kafkajs(t, l.bootstrap, "produce", topic, count)
	seen.onlyLoopback(t)
	consumed, seen := kafkajs(t, l.bootstrap, "consume", topic, count, name(t, "group"))
	seen.onlyLoopback(t)
	sameRecords(t, n, produced, consumed, consumed)
}
