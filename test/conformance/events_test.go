//go:build conformance

package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// eventsRelease is the newest complete release.
const eventsRelease = "4.3.1"

// quickEvents are the clients that are part of `make conformance`, and those of the
// implementations on which most others are based.
var quickEvents = []string{"Java", "confluent-kafka (Python)", "franz-go"}

// clientsAtOnce is how many clients work concurrently, each with four processes.
const clientsAtOnce = 5

// A clusterEvent is an event in a cluster during which clients work; they must continue after
// each of its steps.
type clusterEvent struct {
	name  string
	full  bool // not part of `make conformance`
	steps []func(ctx context.Context) error
}

// clusterEvents lists them. The broker extra joins and leaves.
func clusterEvents(c *realkafka.Cluster, extra *realkafka.Broker) []clusterEvent {
	var restarts []func(context.Context) error
	for _, b := range c.Brokers {
		restarts = append(restarts, func(ctx context.Context) error { return restart(ctx, c, b) })
	}
	return []clusterEvent{
		{"leader election", false, []func(context.Context) error{
			func(ctx context.Context) error { return lead(ctx, c, backward) },
			func(ctx context.Context) error { return lead(ctx, c, forward) },
		}},
		{"reassignment", false, []func(context.Context) error{
			// The leader gives its replica away and gets it back.
			func(ctx context.Context) error { return lead(ctx, c, func(r []int32) []int32 { return r[1:] }) },
			func(ctx context.Context) error {
				return lead(ctx, c, func(r []int32) []int32 { return append(absent(c, r), r...) })
			},
		}},
		{"broker killed", true, []func(context.Context) error{
			func(context.Context) error { c.Brokers[1].Kill(); return nil },
			func(ctx context.Context) error { return returned(ctx, c, c.Brokers[1]) },
		}},
		{"broker added", true, []func(context.Context) error{
			func(ctx context.Context) error { return c.Add(ctx, extra) },
			func(ctx context.Context) error {
				return lead(ctx, c, func(r []int32) []int32 { return append([]int32{int32(extra.ID)}, r[1:]...) })
			},
		}},
		{"broker removed", true, []func(context.Context) error{
			func(ctx context.Context) error {
				return lead(ctx, c, func(r []int32) []int32 {
					r = slices.DeleteFunc(r, func(id int32) bool { return id == int32(extra.ID) })
					others := slices.DeleteFunc(absent(c, r), func(id int32) bool { return id == int32(extra.ID) })
					return append(others, r...)
				})
			},
			func(ctx context.Context) error { return c.Remove(ctx, extra) },
		}},
		{"rolling restart", true, restarts},
		{"all brokers away", false, []func(context.Context) error{
			func(ctx context.Context) error {
				for _, b := range c.Brokers {
					b.Kill()
				}
				return returned(ctx, c, c.Brokers...)
			},
		}},
	}
}

func forward(r []int32) []int32 { return append(r[1:], r[0]) }

func backward(r []int32) []int32 { return append([]int32{r[len(r)-1]}, r[:len(r)-1]...) }

// absent lists the brokers without a replica.
func absent(c *realkafka.Cluster, replicas []int32) (ids []int32) {
	for _, b := range c.Brokers {
		if !slices.Contains(replicas, int32(b.ID)) {
			ids = append(ids, int32(b.ID))
		}
	}
	return ids
}

// lead reassigns the partitions; the first of the named brokers becomes the leader.
func lead(ctx context.Context, c *realkafka.Cluster, pick func([]int32) []int32) error {
	if err := c.Reassign(ctx, pick); err != nil {
		return err
	}
	if err := c.Await(ctx); err != nil {
		return err
	}
	return c.ElectPreferred(ctx)
}

// restart stops a broker cleanly, and starts it again.
func restart(ctx context.Context, c *realkafka.Cluster, b *realkafka.Broker) error {
	b.Stop()
	return returned(ctx, c, b)
}

// returned starts brokers that have stopped and returns when they lead their former partitions
// again.
func returned(ctx context.Context, c *realkafka.Cluster, brokers ...*realkafka.Broker) error {
	for _, b := range brokers {
		if err := b.Restart(); err != nil {
			return err
		}
	}
	if err := c.Await(ctx); err != nil {
		return err
	}
	return c.ElectPreferred(ctx)
}

// TestClusterEvents makes every client produce and consume, without the tunnel and through it
// at the same time, while leaders change and brokers leave and join. A client that continues
// without the tunnel must continue through it.
func TestClusterEvents(t *testing.T) {
	if _, ok := keptPart(t, "events"); ok {
		return
	}
	began := time.Now()
	var clients []compatClient
	for _, c := range libraryClients() {
		if (*compatFull || slices.Contains(quickEvents, c.name) && c.quick) && chosenCompat(c.title(), "Kafka") {
			clients = append(clients, c)
		}
	}
	batches := slices.Collect(slices.Chunk(clients, clientsAtOnce))
	c := eventsCluster(t)
	extra := make([]*realkafka.Broker, len(batches)+1) // one for each look
	for i := range extra {
		var err error
		if extra[i], err = c.Prepare(deadline(t), 2000+i); err != nil {
			t.Fatal(err)
		}
	}
	// Fewer records than clients could produce: the number of clients is the load.
	bed := newKeepBed(t, c, clients, 100*time.Millisecond, extra...)
	table := &eventTable{}
	for i, batch := range batches {
		table.look(bed, batch, extra[i], "")
	}
	if again := table.different(clients); len(again) > 0 {
		// Clients and brokers have races of their own, also without the tunnel: a random
		// difference occurs only once. The log keeps it.
		t.Logf("differed once:\n%s", strings.Join(table.lines(again), "\n"))
		table.look(bed, again, extra[len(batches)], "-again")
	}
	bed.guard.stop(t)
	for _, line := range table.differences(clients) {
		t.Error(line)
	}
	text := table.markdown(clients)
	t.Log(strings.Join(table.lines(clients), "\n"))
	section(t, "events", began, fmt.Sprintf(`## Events in the cluster

Each client produces into a topic of its own and consumes it in a group, without the tunnel and, with another instance at the same time, through it, with Apache Kafka %s, during the events of the table. "same" means that it continues after each step of the event, in every partition, on both routes; the last columns show whether the topic has every record at the end and the group has received all of them.

Run on %s in %v.

%s`, eventsRelease, began.UTC().Format(time.DateOnly), time.Since(began).Round(time.Second), text))
}

// eventsCluster is three brokers with a high load.
func eventsCluster(t *testing.T) *realkafka.Cluster {
	t.Helper()
	return ownCluster(t, realkafka.Options{
		Release: releaseOf(t, eventsRelease), IDs: companyIDs, Racks: true,
		// A broker that is only slow, on a busy machine, must not count as failed.
		Settings: []string{"broker.session.timeout.ms=6000", "controller.quorum.fetch.timeout.ms=5000"},
	})
}

// look runs all events with these clients and records the results.
func (e *eventTable) look(bed *keepBed, clients []compatClient, extra *realkafka.Broker, try string) {
	t := bed.t
	t.Helper()
	parties := bed.startParties(itself(clients), try)
	e.begin(clients)
	for _, event := range clusterEvents(bed.cluster, extra) {
		if event.full && !*compatFull {
			continue
		}
		found := map[*party]error{}
		for _, step := range event.steps {
			began := time.Now()
			if err := step(deadline(t)); err != nil {
				t.Fatalf("%s: %v", event.name, err)
			}
			over := time.Now()
			for p, err := range bed.advance(parties) {
				if found[p] == nil {
					found[p] = err
				}
				t.Logf("%s: %s does not continue: %v", event.name, p, err)
			}
			t.Logf("%s: %v, and %v until all clients that can had continued", event.name, over.Sub(began).Round(100*time.Millisecond), time.Since(over).Round(100*time.Millisecond))
		}
		e.put(event.name, parties, found)
	}
	for _, v := range variants() {
		if v.full && !*compatFull {
			continue
		}
		began := time.Now()
		members, found := bed.rebalance(parties, v)
		e.put(v.name, members, found)
		t.Logf("%s: %v", v.name, time.Since(began).Round(100*time.Millisecond))
	}
	failed := bed.finish(parties)
	committed := bed.committed(deadline(t), parties)
	for _, p := range parties {
		a, err := count(deadline(t), bed.cluster, p, committed[p.group])
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", p, a)
		e.exactly[p.client.title()] = p.exact()
		if said := a.trouble(p.exact()); said != "" && failed[p] == nil {
			failed[p] = fmt.Errorf("%s", said)
		}
	}
	e.put(recordsColumn, parties, failed)
}
