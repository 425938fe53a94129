//go:build conformance

package conformance

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

var (
	rollingTime = flag.Duration("rolling.time", 10*time.Second, "for how long brokers are restarted under load")
	rollingSeed = flag.Uint64("rolling.seed", 0, "what happens, and in which order; 0: any")
)

// rollers produce and consume; in the full run all other clients also read the records of the
// last one.
var rollers = []string{"Java", "confluent-kafka (Python)", "sarama", "kafka-python", "franz-go"}

// rollingPairs are the pairs of consumers and producers.
func rollingPairs() (all []pair) {
	var feeder compatClient
	var readers []compatClient
	for _, c := range libraryClients() {
		switch {
		case !c.quick || !chosenCompat(c.title(), "Kafka"):
		case slices.Contains(rollers, c.name):
			all = append(all, pair{c, c})
		case *compatFull:
			readers = append(readers, c)
		}
		if c.name == rollers[len(rollers)-1] {
			feeder = c
		}
	}
	for _, c := range readers {
		all = append(all, pair{c, feeder})
	}
	return all
}

// A roll is a sequence of changes of the cluster.
type roll struct {
	c                                *realkafka.Cluster
	random                           *rand.Rand
	restarts, elections, assignments int
}

// TestRollingRestarts restarts brokers one after another, elects leaders and reassigns
// partitions while clients produce and consume without the tunnel and through it. No record may
// be lost, duplicated or out of order.
func TestRollingRestarts(t *testing.T) {
	if _, ok := keptPart(t, "rolling restarts"); ok {
		return
	}
	began := time.Now()
	seed := *rollingSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-rolling.seed=%d", seed)
	pairs := rollingPairs()
	var clients []compatClient
	for _, both := range pairs {
		clients = append(clients, both.consumer, both.producer)
	}
	c := eventsCluster(t)
	pause := 20 * time.Millisecond
	if !*compatFull {
		pause = 50 * time.Millisecond
	}
	bed := newKeepBed(t, c, clients, pause)
	parties := bed.startParties(pairs, "-rolling")
	r := &roll{c: c, random: rand.New(rand.NewPCG(seed, 0))}
	r.run(t, *rollingTime)
	found := bed.advance(parties)
	for p, err := range bed.finish(parties) {
		found[p] = firstOf(found[p], err)
	}
	bed.guard.stop(t)
	text := rollingTable(t, bed, parties, found)
	figures := fmt.Sprintf("%d restarts, %d elections of preferred leaders and %d reassignments of all partitions in %v", r.restarts, r.elections, r.assignments, time.Since(began).Round(time.Second))
	section(t, "rolling restarts", began, fmt.Sprintf(`## Rolling restarts

%s, with Apache Kafka %s: each producer had a topic of its own, which a consumer group read, without the tunnel and, with other instances at the same time, through it. "again" counts records that a group received more than once, which happens when a commit is lost.

Run on %s; -rolling.seed=%d.

%s`, figures, eventsRelease, began.UTC().Format(time.DateOnly), seed, text))
}

// run makes changes until the time ends.
func (r *roll) run(t *testing.T, limit time.Duration) {
	t.Helper()
	ctx := deadline(t)
	for began := time.Now(); time.Since(began) < limit; {
		what, err := r.one(ctx)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		t.Logf("%v: %s", time.Since(began).Round(100*time.Millisecond), what)
	}
}

// one makes one change, whose name it returns, and waits until all replicas are in sync.
func (r *roll) one(ctx context.Context) (what string, err error) {
	switch r.random.IntN(4) {
	case 0:
		r.elections++
		return "election", lead(ctx, r.c, r.shuffled)
	case 1:
		r.assignments++
		if err := lead(ctx, r.c, func(replicas []int32) []int32 { return replicas[1:] }); err != nil {
			return "reassignment", err
		}
		return "reassignment", lead(ctx, r.c, func(replicas []int32) []int32 { return append(absent(r.c, replicas), replicas...) })
	}
	r.restarts++
	b := r.c.Brokers[r.random.IntN(len(r.c.Brokers))]
	return fmt.Sprintf("restart of broker %d", b.ID), restart(ctx, r.c, b)
}

// shuffled makes a random replica the preferred one.
func (r *roll) shuffled(replicas []int32) []int32 {
	r.random.Shuffle(len(replicas), func(i, j int) { replicas[i], replicas[j] = replicas[j], replicas[i] })
	return replicas
}

// rollingTable compares all parties with their topics. What is right for a client without the
// tunnel must be right through it.
func rollingTable(t *testing.T, bed *keepBed, parties []*party, found map[*party]error) string {
	t.Helper()
	committed := bed.committed(deadline(t), parties)
	troubles := map[[2]string]string{} // by client and way
	var b strings.Builder
	b.WriteString("| producer | consumer | route | produced | lost | twice | out of order | consumed | missed | again | |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range parties {
		a, err := count(deadline(t), bed.cluster, p, committed[p.group])
		if err != nil {
			t.Fatal(err)
		}
		said := a.trouble(p.exact())
		if err := found[p]; err != nil {
			said = err.Error()
		}
		troubles[[2]string{p.client.title(), p.way}] = said
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %d | %d | %d | %d | %d | %s |\n", p.feeder.title(), p.client.title(), p.way, a.produced, a.lost, a.twice, a.disordered, a.consumed, a.missed, a.again, plainCell(p, said))
	}
	for _, p := range parties {
		said := troubles[[2]string{p.client.title(), p.way}]
		switch {
		case said == "":
		case p.way == ways[0]:
			t.Logf("%s: %s", p, said)
		case troubles[[2]string{p.client.title(), ways[0]}] == "":
			t.Errorf("%s: %s", p, said)
		default:
			t.Logf("%s, as direct: %s", p, said)
		}
	}
	return b.String()
}

// plainCell describes what the producer guarantees, or that something went wrong.
func plainCell(p *party, said string) string {
	switch {
	case said != "":
		return "not"
	case p.exact():
		return "idempotent"
	case p.idempotent:
		return "idempotent; [may write twice](https://github.com/confluentinc/librdkafka/issues/4953)"
	}
	return "not idempotent"
}

// TestRolls: two rolls with the same seed are equal.
func TestRolls(t *testing.T) {
	order := func() []int32 {
		r := &roll{random: rand.New(rand.NewPCG(7, 0))}
		return r.shuffled([]int32{1, 2, 3, 4, 5, 6})
	}
	if a, b := order(), order(); !slices.Equal(a, b) {
		t.Error(a, b)
	}
}
