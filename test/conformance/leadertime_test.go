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
	// timedPace is how often a record is produced: the finest pause that can be seen.
	timedPace = 5 * time.Millisecond
	// around is how many records before and after the change of the leader are looked
	// at. A consumer can be behind by some when the old leader goes.
	around = 10
	// settled is how many records have to pass before the other side's leader moves:
	// clients and brokers have ended by then what the last move has started.
	settled = 50
	// visits is how many moves come before those that count. They take the client to
	// every broker and back home, so that both sides have all their connections.
	visits = 3
	// rounds is how often as many moves are made again if the ratio is too high. A busy
	// machine makes single pauses ten times as long, on either side; a tunnel that is
	// too slow is so in all rounds together.
	rounds = 3
)

// TestLeaderChangeTime measures how long clients that act on the new leader's address in
// the answer of the old one (KIP-951) are held up when the leader moves, past the tunnel
// and through it. Both clients work at the same time, each on a topic of its own, and their
// leaders move in turns, so that whatever else the machine does meets both.
//
// For producers that is the longest time between two records around the move, as the
// leaders have stamped them (LogAppendTime): no clock of a client's is asked. For consumers
// it is how late a record comes at most, from its append to its receipt: the longest time
// between two receipts would hold the pause of the producer that feeds them. An application
// feels just that. Part of it is what the tunnel has no hand in: the election, for producers,
// and for all the time until the new leader has followers.
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

Clients that know KIP-951 find the new leader's address in the answer of the old one; in the tunnel's copy of the answer it is the local port of that broker. How long the leader's move holds them up, past the tunnel and through it, at the same time on the same three brokers of Kafka, a record every %v: for producers the longest time between two appends around the move, for consumers how late a record is at most. In ms: **median** of so many moves on each side (smallest; quartiles; largest); the ratio of the medians (nine of ten runs like this one would be in this range). The election and the followers' coming to the new leader are part of the time, on both sides. Where a round of %d moves had a ratio above %.1f, up to two more were made and all of them count. The brokers' followers do not rest (%s): with the defaults the brokers themselves add pauses of up to a second, by chance and on both sides, which would hide the rest.

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
		t.Fatalf("%s does not say %s", file, pattern)
	}
	return string(found[1])
}

// A timedClient works in a loop, with a record every timedPace.
type timedClient struct {
	name, api string
	start     func(t *testing.T, bootstrap, topic string) looper
}

func (c timedClient) produces() bool { return c.api == "Produce" }

// leaderTimeBed is where TestLeaderChangeTime measures.
type leaderTimeBed struct {
	cluster *realkafka.Cluster
	admin   *kgo.Client // past the tunnel
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
			// Neither is always the one that comes to a broker first.
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

// briskSettings let a follower come to a new leader at once.
var briskSettings = []string{"replica.fetch.backoff.ms=10", "replica.fetch.wait.max.ms=10"}

// briskCluster is three brokers with briskSettings. With the defaults a follower that asks
// the new leader before that one knows of its office rests for a second, and one that
// waits there for records of other partitions does so for up to half a second. Nothing is
// committed meanwhile, and so neither acks=all nor a consumer goes on: pauses that come by
// chance and hide the client's own.
func briskCluster(t *testing.T) *realkafka.Cluster {
	t.Helper()
	return ownCluster(t, realkafka.Options{
		Jars: classpath(t), Brokers: 3,
		// On a machine so busy that heartbeats come late, no broker may lose its office:
		// the leaders that the test has not moved would move.
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

// A timedSide is a client on one of the two ways, with its topic.
type timedSide struct {
	topic    string
	brokers  []int32 // of the topic, the leader first
	client   looper
	receipts *receipts    // nil: the client produces
	moves    []offsetSpan // the records that went by during each move
}

// An offsetSpan is a range of records, the last one not in it.
type offsetSpan struct{ from, to int64 }

// start makes the topic, whose leader puts its own time into the records, and starts the
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

// move makes the next broker the leader and waits until the client works with it.
func (s *timedSide) move(t *testing.T, admin *kgo.Client) {
	t.Helper()
	from := s.end(t, admin)
	s.brokers = append(s.brokers[1:], s.brokers[0])
	moveLeader(t, admin, s.topic, s.brokers...)
	s.moves = append(s.moves, offsetSpan{from, s.passes(t, admin, settled)})
}

// passes waits until the client has handled so many more records than the topic has now,
// and returns which record comes next.
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

// end is the offset that the next record of the topic gets.
func (s *timedSide) end(t *testing.T, admin *kgo.Client) (end int64) {
	t.Helper()
	until(t, 20*time.Second, "the end of "+s.topic, func(ctx context.Context) (err error) {
		end, err = s.ask(ctx, admin)
		return err
	})
	return end
}

// ask asks no other than the leader for the end. A new one knows that it is the leader only
// some time after the election, and the end after its followers have come.
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

// held returns for each move how long it has held the client up.
func (s *timedSide) held(t *testing.T, c *realkafka.Cluster) (all []time.Duration) {
	t.Helper()
	var stored []*kgo.Record // by offset: nothing but records is in the topic, from the first one on
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

// receipts are what a consumer says about the records that it gets.
type receipts struct {
	log  io.Reader
	rest string              // of a line that has not ended yet
	at   map[int64]time.Time // offset to when it came first
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

// next reads on and returns the offset after the last one that was received.
func (r *receipts) next() (int64, error) {
	news, err := io.ReadAll(r.log)
	lines := strings.SplitAfter(r.rest+string(news), "\n")
	r.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		var offset, micros int64
		if _, err := fmt.Sscanf(line, "got %d %d", &offset, &micros); err != nil {
			continue // what else it says is read when it stops
		}
		if _, again := r.at[offset]; !again {
			r.at[offset] = time.UnixMicro(micros)
		}
		r.upTo = max(r.upTo, offset+1)
	}
	return r.upTo, err
}
