//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// A compatScenario is one use of Kafka by applications.
type compatScenario struct {
	name  string
	count int
	task  []string // words in addition to bootstrap, topic and count
	since string   // the first release that has it; all, if empty
	only  []string // the only releases with which it runs, because it takes long
	waits bool     // most of the time
	full  bool     // not part of `make conformance`
	feeds bool     // the topic is filled first, without the tunnel
	// over is how long filling takes while the client already works; zero: the topic is filled
	// first.
	over time.Duration
	// prepare creates what it needs, without the tunnel, and returns further words. It may be
	// nil.
	prepare func(ctx context.Context, c *realkafka.Cluster, topic string) (words []string, err error)
	// check checks the result, without the tunnel. It may be nil.
	check func(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error
}

// fed is the number of records with which the topic is filled: the requested number, except for
// a client that seeks the second half.
func (s compatScenario) fed() int {
	if slices.Contains(s.task, "do=seek") {
		return 2 * s.count
	}
	return s.count
}

// in reports whether the scenario applies to a release.
func (s compatScenario) in(release string) bool {
	if len(s.only) > 0 {
		return slices.Contains(s.only, release)
	}
	return s.since == "" || !older(release, s.since)
}

// older reports whether a release is older than another.
func older(release, than string) bool {
	for _, r := range realkafka.Releases() { // oldest first
		switch r.Version {
		case than:
			return false
		case release:
			return true
		}
	}
	return false
}

// compatScenarios lists all of them, in the order of the table. since names the first of the
// tested releases that has it: zstd was added in 2.1.
func compatScenarios() []compatScenario {
	produce := func(name string, count int, words ...string) compatScenario {
		return compatScenario{name: name, count: count, task: append([]string{"do=produce"}, words...), check: checkProduced}
	}
	consume := func(name string, words ...string) compatScenario {
		return compatScenario{name: name, count: 1000, task: append([]string{"do=consume"}, words...), feeds: true, check: checkConsumed}
	}
	full := func(s compatScenario) compatScenario { s.full = true; return s }
	since := func(release string, s compatScenario) compatScenario { s.since = release; return s }
	return []compatScenario{
		{name: "admin", task: []string{"do=admin"}, check: checkBrokers},
		full(since("0.11.0.3", compatScenario{name: "list ACLs", task: []string{"do=acls"}, prepare: prepareACL, check: checkACLs})),
		full(produce("acks=0", 300, "acks=0")),
		full(produce("acks=1", 300, "acks=1")),
		produce("acks=all", 300),
		full(since("0.11.0.3", produce("headers", 300, "headers=true"))),
		full(produce("gzip", 300, "compression=gzip")),
		full(produce("snappy", 300, "compression=snappy")),
		full(produce("lz4", 300, "compression=lz4")),
		since("2.4.1", produce("zstd", 300, "compression=zstd")),
		produce("0 to 900 000 bytes", 28, "sizes=mixed"),
		since("0.11.0.3", produce("idempotent", 300, "idempotent=true")),
		since("0.11.0.3", compatScenario{name: "transactions", count: 300, task: []string{"do=transact"}, check: checkProduced}),
		since("0.11.0.3", compatScenario{name: "zombie fenced", count: 300, task: []string{"do=fence"}, check: checkProduced}),
		consume("group"),
		full(since("0.11.0.3", consume("group, read committed", "isolation=read_committed"))),
		since("4.0.0", consume("group of KIP-848", "protocol=consumer")),
		since("4.3.1", compatScenario{name: "share group", count: 1000, task: []string{"do=share"}, feeds: true, prepare: prepareShare, check: checkShared}),
		{name: "seek by time", count: 500, task: []string{"do=seek", "time=" + strconv.FormatInt(compatTime(500), 10)}, feeds: true, check: checkSought},
		since("2.4.1", consume("follower fetching", "rack=rack-1001")),
		{name: "partitions, no group", full: true, count: 1000, task: []string{"do=fetch"}, feeds: true, check: checkRead},
		since("2.4.1", compatScenario{name: "Streams, exactly once", count: 1000, task: []string{"do=streams"}, feeds: true, check: checkCopied}),
		since("4.3.1", compatScenario{name: "Streams group (KIP-1071)", count: 1000, task: []string{"do=streams", "protocol=streams"}, feeds: true, check: checkCopied}),
		{name: "idle connection", count: 300, task: []string{"do=produce", "idle=7"}, waits: true, full: true, only: []string{idleRelease}, check: checkProduced},
		{name: "quota", count: 28, task: []string{"do=produce", "sizes=mixed"}, waits: true, full: true, only: []string{idleRelease}, prepare: prepareQuota, check: checkThrottled},
	}
}

// idleRelease is the one whose brokers close idle connections soon, and have quotas over
// few seconds.
const idleRelease = "4.3.1"

// steady are settings of brokers that nothing is to happen to: one that is slow, on a
// machine that is busy, is not taken for dead.
var steady = []string{"broker.session.timeout.ms=18000", "controller.quorum.fetch.timeout.ms=10000"}

// compatSettings are the broker settings of a release.
func compatSettings(r realkafka.Release) []string {
	settings := append(slices.Concat(steady, r.Authorizer()),
		"delete.topic.enable=true", // the default since 1.0
		"replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector",
	)
	if r.Version == idleRelease {
		settings = append(settings, "connections.max.idle.ms=4000", "quota.window.num=2", "quota.window.size.seconds=1")
	}
	return settings
}

// A compatResult is what a client prints.
type compatResult struct {
	Count      int
	Partitions map[string]struct {
		Count  int
		SHA256 string
	}
}

func parseCompat(out []byte) (r compatResult, err error) {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &r); err != nil {
		return r, fmt.Errorf("no result in %q", tail(out))
	}
	return r, nil
}

// compatRecord is record i, as defined in clients/README.md.
func compatRecord(s compatScenario, i int) (key, value []byte) {
	n := 4 + (i*31)%197
	if slices.Contains(s.task, "sizes=mixed") {
		n = []int{0, 1, 100, 1000, 10_000, 100_000, 900_000}[i%7]
	}
	value = bytes.Repeat([]byte{byte(i % 251)}, n)
	if n >= 4 {
		binary.BigEndian.PutUint32(value[n-4:], uint32(i))
	}
	return []byte("key-" + strconv.Itoa(i)), value
}

// compatTime is the timestamp of record i of a topic that was filled first, in milliseconds:
// today, one second apart.
func compatTime(i int) int64 {
	return time.Now().Truncate(24*time.Hour).UnixMilli() + int64(i)*1000
}

// TestCompatRecords: the records are those of clients/README.md.
func TestCompatRecords(t *testing.T) {
	mixed := compatScenario{task: []string{"sizes=mixed"}}
	for i, want := range map[int]int{0: 0, 1: 1, 6: 900_000, 7: 0} {
		if _, value := compatRecord(mixed, i); len(value) != want {
			t.Errorf("record %d has %d bytes", i, len(value))
		}
	}
	key, value := compatRecord(compatScenario{}, 258)
	if string(key) != "key-258" || len(value) != 4+258*31%197 || value[0] != 7 || !bytes.HasSuffix(value, []byte{0, 0, 1, 2}) {
		t.Errorf("%s %x", key, value)
	}
	for _, tt := range []struct {
		scenario compatScenario
		release  string
		want     bool
	}{
		{compatScenario{}, "0.10.2.2", true},
		{compatScenario{since: "2.4.1"}, "1.1.1", false},
		{compatScenario{since: "2.4.1"}, "2.4.1", true},
		{compatScenario{since: "2.4.1"}, "4.4.0", true},
		{compatScenario{only: []string{"4.3.1"}}, "4.4.0", false},
	} {
		if got := tt.scenario.in(tt.release); got != tt.want {
			t.Errorf("since %q, only %q: in %s: %t", tt.scenario.since, tt.scenario.only, tt.release, got)
		}
	}
	names := map[string]bool{}
	for _, s := range compatScenarios() {
		names[s.name] = true
	}
	if len(names) != len(compatScenarios()) {
		t.Error("two scenarios of one name", slices.Sorted(maps.Keys(names)))
	}
}
