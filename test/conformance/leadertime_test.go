//go:build conformance

package conformance

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

var leaderTimeMoves = flag.Int("leadertime.moves", 0, "leader moves on either side for each client of TestLeaderChangeTime; 0: 4, in the full run 20")

const (
	// timedPace is the interval of records: the shortest pause that can be measured.
	timedPace = 5 * time.Millisecond
	// around is how many records before and after the change of the leader are examined. A
	// consumer may be behind by some when the old leader stops.
	around = 10
	// settled is how many records must pass before the other side's leader moves: clients and
	// brokers have then finished what the last move has started.
	settled = 50
	// visits is how many moves precede those that count. They take the client to every broker
	// and back, so that both sides have all their connections.
	visits = 3
	// rounds is how often the moves are repeated if the ratio is too high. A busy machine makes
	// single pauses ten times as long, on either side; a tunnel that is too slow is so in all
	// rounds.
	rounds = 3
)

// TestLeaderChangeTime measures how long a move of the leader delays clients that use the new
// leader's address in the response of the old one (KIP-951), without the tunnel and through it.
// Both clients work at the same time, each on a topic of its own, and their leaders move in
// turn, so that other load of the machine affects both.
//
// For producers the delay is the longest time between two records around the move, as
// timestamped by the leaders (LogAppendTime): no client's clock is used. For consumers it is
// the maximum time from the append of a record to its receipt: the longest time between two
// receipts would include the pause of the producer. Applications experience exactly this delay.
// A part of it does not depend on the tunnel: the election and, for producers, all the time
// until the new leader has followers.
func TestLeaderChangeTime(t *testing.T) {
	if _, ok := keptPart(t, "leader changes"); ok {
		return
	}
	began := time.Now()
	bed := &leaderTimeBed{cluster: briskCluster(t), moves: *leaderTimeMoves, limit: 3}
	if *compatFull {
		bed.limit = 1.2
	}
	switch {
	case bed.moves > 0:
	case *compatFull:
		bed.moves = 20
	default:
		bed.moves = 3
	}
	bed.tunnel = strings.Join(bed.cluster.Internal(), ",")
	if !direct() { // else the ratios show what is chance
		bed.tunnel = startLab(t, "--upstream", upstream(bed.cluster)).bootstrap
	}
	var err error
	if bed.admin, err = kgo.NewClient(kgo.SeedBrokers(bed.cluster.Internal()...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.admin.Close)

	franzGo := "franz-go " + versionIn(t, "../../go.mod", `github\.com/twmb/franz-go v(\S+)`)
	java := "Java " + versionIn(t, "pom.xml", `<kafka\.version>(.+)</kafka\.version>`)
	rdkafka := "confluent-kafka (Python) " + versionIn(t, "leaders/requirements.txt", `confluent-kafka==(\S+)`)
	var all []leaderTimes
	for i, c := range []timedClient{
		{franzGo, "Produce", func(t *testing.T, bootstrap, topic string) looper {
			t.Helper()
			return franzEvery(t, bootstrap, topic, timedPace)
		}},
		{java, "Produce", timedLoop(javaLoop, "produce-timed")},
		{java, "Fetch", timedLoop(javaLoop, "consume-timed")},
		{java, "ShareFetch", timedLoop(javaLoop, "share-timed")},
		{rdkafka, "Produce", timedLoop(rdkafkaLoop, "produce-timed")},
		{rdkafka, "Fetch", timedLoop(rdkafkaLoop, "consume-timed")},
	} {
		if !*compatFull && c.name != franzGo { // half a minute for each of the others
			continue
		}
		t.Run(c.name+" "+c.api, func(t *testing.T) { all = append(all, bed.measure(t, c, fmt.Sprintf("leadertime-%d", i))) })
	}
	table := leaderTable(all)
	section(t, "leader changes", began, fmt.Sprintf(`## When the leader changes

Clients that support KIP-951 find the new leader's address in the response of the old one; the tunnel replaces it by the local port of that broker. The table shows how long a move of the leader delays them, without the tunnel and through it, at the same time on the same three brokers of Kafka, with a record every %v: for producers the longest time between two appends around the move, for consumers how late a record is at most. In ms: **median** of this many moves on each side (minimum; quartiles; maximum); the ratio of the medians (the range of nine of ten runs like this one). The times include the election and the time until the followers follow the new leader, on both sides. If a round of %d moves had a ratio above %.1f, up to two more rounds were made, and all of them count. The followers are configured not to pause (%s): with the default settings the brokers themselves add random pauses of up to a second, on both sides, which would hide the difference.

%s
%s`, timedPace, bed.moves, bed.limit, "`"+strings.Join(briskSettings, "`, `")+"`", table, firstVisits(all)))
}

// versionIn finds a version in a file.
func versionIn(t *testing.T, file, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s does not contain %s", file, pattern)
	}
	return string(found[1])
}

// A timedClient works in a loop, with a record every timedPace.
type timedClient struct {
	name, api string
	start     func(t *testing.T, bootstrap, topic string) looper
}

func (c timedClient) produces() bool { return c.api == "Produce" }

// leaderTimeBed is the environment of TestLeaderChangeTime.
type leaderTimeBed struct {
	cluster *realkafka.Cluster
	admin   *kgo.Client // without the tunnel
	tunnel  string
	moves   int     // of a round
	limit   float64 // of the ratio
}

// measure runs one client on both sides.
func (b *leaderTimeBed) measure(t *testing.T, c timedClient, topic string) leaderTimes {
	t.Helper()
	sides := []*timedSide{{topic: topic + "-direct"}, {topic: topic + "-tunnel"}}
	for i, bootstrap := range []string{strings.Join(b.cluster.Internal(), ","), b.tunnel} {
		sides[i].start(t, b, c, bootstrap)
	}
	for _, s := range sides {
		s.passes(t, b.admin, settled)
	}
	result := leaderTimes{timedClient: c}
	for range visits {
		for _, s := range sides {
			s.move(t, b.admin)
		}
	}
	for round := 1; ; round++ {
		for n := range b.moves {
			// Each side is first to use a broker in half of the moves.
			for i := range sides {
				sides[(n+i)%2].move(t, b.admin)
			}
		}
		for i, s := range sides {
			held := s.held(t, b.cluster)
			result.first[i], result.held[i] = held[:visits-1], held[visits:]
		}
		ratio, low, high := result.ratio()
		t.Logf("%d moves: ratio %.2f (%.2f-%.2f)", len(result.held[0]), ratio, low, high)
		if ratio <= b.limit {
			break
		}
		if round == rounds {
			t.Errorf("the tunnel takes %.2f times as long as the direct way, want at most %.1f", ratio, b.limit)
			break
		}
	}
	for _, s := range sides {
		if n := s.client.stop(t); n == 0 {
			t.Error("the client has done nothing")
		}
	}
	t.Logf("direct %v, first %v", result.held[0], result.first[0])
	t.Logf("tunnel %v, first %v", result.held[1], result.first[1])
	return result
}

// briskSettings make a follower fetch from a new leader at once.
var briskSettings = []string{"replica.fetch.backoff.ms=10", "replica.fetch.wait.max.ms=10"}

// briskCluster is three brokers with briskSettings. With the default settings, a follower that
// fetches from the new leader before that one knows of its role pauses for a second, and one
// that waits there for records of other partitions does so for up to half a second. Nothing is
// committed during that time, so neither acks=all nor a consumer continues: these random pauses
// would hide the client's own.
func briskCluster(t *testing.T) *realkafka.Cluster {
	t.Helper()
	return ownCluster(t, realkafka.Options{
		Jars: classpath(t), Brokers: 3,
		// On a machine so busy that heartbeats are late, no broker may lose its role: leaders
		// that the test has not moved would move.
		Settings: append(slices.Clone(briskSettings), "broker.session.timeout.ms=30000", "controller.quorum.fetch.timeout.ms=10000"),
	})
}

// timedLoop is a client process in one of its modes.
func timedLoop(start func(t *testing.T, mode, bootstrap, topic string) *processLoop, mode string) func(t *testing.T, bootstrap, topic string) looper {
	return func(t *testing.T, bootstrap, topic string) looper {
		t.Helper()
		return start(t, mode, bootstrap, topic)
	}
}

// A timedSide is a client on one of the two routes, with its topic.
type timedSide struct {
	topic    string
	brokers  []int32 // of the topic, the leader first
	client   looper
	receipts *receipts    // nil: the client produces
	moves    []offsetSpan // the records that passed during each move
}

// An offsetSpan is a range of records, excluding the last offset.
type offsetSpan struct{ from, to int64 }

// start creates the topic, whose leader puts its own time into the records, and starts the
// client.
func (s *timedSide) start(t *testing.T, b *leaderTimeBed, c timedClient, bootstrap string) {
	t.Helper()
	s.brokers = []int32{1, 2, 3}
	createOn(t, b.admin, s.topic, s.brokers...)
	shareFromStart(t, b.admin, "share-"+s.topic)
	if err := stamp(deadline(t), b.admin, s.topic); err != nil {
		t.Fatal(err)
	}
	if !c.produces() {
		feedEvery(t, b.cluster, s.topic, timedPace)
	}
	s.client = c.start(t, bootstrap, s.topic)
	if !c.produces() {
		s.receipts = readReceipts(t, s.client.(*processLoop).out)
	}
}

// move makes the next broker the leader and waits until the client uses it.
func (s *timedSide) move(t *testing.T, admin *kgo.Client) {
	t.Helper()
	from := s.end(t, admin)
	s.brokers = append(s.brokers[1:], s.brokers[0])
	moveLeader(t, admin, s.topic, s.brokers...)
	s.moves = append(s.moves, offsetSpan{from, s.passes(t, admin, settled)})
}

// passes waits until the client has handled this many more records than the topic has now, and
// returns the next record's offset.
func (s *timedSide) passes(t *testing.T, admin *kgo.Client, n int64) (next int64) {
	t.Helper()
	next = s.end(t, admin) + n
	until(t, time.Minute, fmt.Sprintf("record %d of %s", next, s.topic), func(ctx context.Context) error {
		have, err := s.ask(ctx, admin)
		if s.receipts != nil {
			have, err = s.receipts.next()
		}
		if err == nil && have < next {
			err = fmt.Errorf("the client is at record %d", have)
		}
		return err
	})
	return next
}

// end returns the offset of the next record of the topic.
func (s *timedSide) end(t *testing.T, admin *kgo.Client) (end int64) {
	t.Helper()
	until(t, 20*time.Second, "the end of "+s.topic, func(ctx context.Context) (err error) {
		end, err = s.ask(ctx, admin)
		return err
	})
	return end
}

// ask requests the end only from the leader. A new one learns that it is the leader only some
// time after the election, and learns the end after its followers have fetched.
func (s *timedSide) ask(ctx context.Context, admin *kgo.Client) (end int64, err error) {
	partition := kmsg.NewListOffsetsRequestTopicPartition()
	partition.Timestamp = -1 // the latest
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic, topic.Partitions = s.topic, append(topic.Partitions, partition)
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID, request.Topics = -1, append(request.Topics, topic)
	response, err := request.RequestWith(ctx, admin.Broker(int(s.brokers[0])))
	if err != nil {
		return 0, err
	}
	answer := response.Topics[0].Partitions[0]
	return answer.Offset, kerr.ErrorForCode(answer.ErrorCode)
}

// held returns the delay of the client at each move.
func (s *timedSide) held(t *testing.T, c *realkafka.Cluster) (all []time.Duration) {
	t.Helper()
	var stored []*kgo.Record // by offset: the topic has only records, from the first offset on
	if err := readBack(deadline(t), c, s.topic, func(r *kgo.Record) { stored = append(stored, r) }); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.moves {
		leader := stored[m.to-1].LeaderEpoch
		first := int64(slices.IndexFunc(stored, func(r *kgo.Record) bool { return r.LeaderEpoch == leader }))
		if first < m.from {
			t.Fatalf("%s: the records %d to %d have the same leader: the test shows nothing", s.topic, m.from, m.to)
		}
		longest := time.Duration(0)
		for i := max(first-around, 1); i < min(first+around, m.to); i++ {
			since := stored[i-1].Timestamp
			at := stored[i].Timestamp
			if s.receipts != nil {
				since, at = at, s.receipts.at[i]
				if at.IsZero() {
					t.Errorf("%s: the consumer has not got record %d", s.topic, i)
				}
			}
			longest = max(longest, at.Sub(since))
		}
		all = append(all, longest.Round(time.Millisecond))
	}
	return all
}

// receipts are the received records in a consumer's output.
type receipts struct {
	log  io.Reader
	rest string              // of a line that has not ended yet
	at   map[int64]time.Time // when each offset was first received
	upTo int64
}

// readReceipts follows the output of a consumer.
func readReceipts(t *testing.T, file string) *receipts {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &receipts{log: f, at: map[int64]time.Time{}}
}

// next continues to read and returns the offset after the last received one.
func (r *receipts) next() (int64, error) {
	news, err := io.ReadAll(r.log)
	lines := strings.SplitAfter(r.rest+string(news), "\n")
	r.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		var offset, micros int64
		if _, err := fmt.Sscanf(line, "got %d %d", &offset, &micros); err != nil {
			continue // other output is read at the end
		}
		if _, again := r.at[offset]; !again {
			r.at[offset] = time.UnixMicro(micros)
		}
		r.upTo = max(r.upTo, offset+1)
	}
	return r.upTo, err
}
