//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// Helpers for tests in which clients continue to work during events in the cluster: one party
// for each client and each route to the brokers.

// advanceTime limits how long a client may take to continue after an event: some wait up to
// half a minute before they retry.
const advanceTime = 90 * time.Second

// A keeper is a client that works until its standard input is closed.
type keeper struct {
	*processLoop
	said keptResult // valid once finish has returned
}

// A keptResult is the output of a keeper.
type keptResult struct {
	Count      int
	Backwards  int
	Partitions map[string]struct {
		Count  int
		SHA256 string
		Runs   [][2]int64 // offsets, from first to last
	}
}

// unsupported reports whether the client has exited because its library does not support the
// task.
func (k *keeper) unsupported() bool { return !k.p.Running() && k.p.ExitCode() == 3 }

// log returns the whole output of the client.
func (k *keeper) log() []byte {
	b, err := os.ReadFile(k.out)
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

// finish stops one process of the party.
func (p *party) finish(ctx context.Context, k *keeper) error {
	err := k.finish(ctx)
	if p.way != ways[0] && bytes.Contains(k.log(), []byte(realDomain)) {
		return fmt.Errorf("%w by %s", errLeak, k.p.Name())
	}
	return err
}

// finish stops the client and reads its result.
func (k *keeper) finish(ctx context.Context) error {
	_ = k.stdin.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*advanceTime)
	defer cancel()
	if err := k.p.Wait(ctx); err != nil {
		return fmt.Errorf("%s: %s", k.p.Name(), lastLines(k.log()))
	}
	for line := range strings.Lines(string(k.log())) {
		if strings.HasPrefix(line, `{"count"`) || strings.HasPrefix(line, `{"backwards"`) {
			return json.Unmarshal([]byte(line), &k.said)
		}
	}
	return fmt.Errorf("%s has printed no result", k.p.Name())
}

// A party is one client on one route: a group, and the producer for its topic.
type party struct {
	client       compatClient
	feeder       compatClient // whose producer it is
	way          string
	topic, group string
	words        []string // of its members
	next         bool     // a group of KIP-848
	idempotent   bool
	producer     *keeper   // nil: the producer of another party, or it has finished
	finished     *keeper   // the producer when it has finished
	members      []*keeper // running members
	left         []*keeper // members that have left
	trouble      error     // it does not continue
}

// exact reports whether each record must be in the topic exactly once. An idempotent producer
// of librdkafka restarts its sequence numbers if a broker finds one out of order, which may
// happen when a leader moves, and writes the unacknowledged records of all partitions again:
// https://github.com/confluentinc/librdkafka/issues/4953.
func (p *party) exact() bool { return p.idempotent && p.feeder.protocol != "librdkafka" }

func (p *party) String() string { return p.client.title() + ", " + p.way }

// ended returns an error if a process of the party has exited by itself.
func (p *party) ended() error {
	all := slices.Clone(p.members)
	if p.producer != nil {
		all = append(all, p.producer)
	}
	for _, k := range all {
		if k.unsupported() {
			return errUnsupported
		}
		if !k.p.Running() {
			return fmt.Errorf("%s ended: %s", k.p.Name(), lastLines(k.log()))
		}
	}
	return nil
}

// A keepBed is the environment of parties.
type keepBed struct {
	t        *testing.T
	cluster  *realkafka.Cluster
	lab      *labProcess
	pause    time.Duration
	commands map[string][2][]string // by the client's title
	admin    *kgo.Client            // without the tunnel
	guard    *guard
}

// newKeepBed prepares the clients. The tunnel in front of the cluster also knows the brokers
// that join later.
func newKeepBed(t *testing.T, c *realkafka.Cluster, clients []compatClient, pause time.Duration, later ...*realkafka.Broker) *keepBed {
	t.Helper()
	b := &keepBed{t: t, cluster: c, pause: pause, commands: map[string][2][]string{}}
	for _, client := range clients {
		if _, ok := b.commands[client.title()]; ok {
			continue
		}
		command, env := client.prepare(t)
		b.commands[client.title()] = [2][]string{command, env}
	}
	whole := &realkafka.Cluster{Brokers: append(slices.Clone(c.Brokers), later...)}
	b.lab = startLab(t, "--upstream", upstream(whole))
	b.guard = guardLab(t, c, b.lab)
	var err error
	if b.admin, err = kgo.NewClient(kgo.SeedBrokers(c.Internal()...), kgo.RetryTimeout(5*time.Second), kgo.MetadataMinAge(100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.admin.Close)
	return b
}

// start starts one process of a party.
func (b *keepBed) start(p *party, client compatClient, name string, words ...string) *keeper {
	b.t.Helper()
	bootstrap := strings.Join(b.cluster.Internal(), ",")
	if p.way != ways[0] {
		bootstrap = b.lab.bootstrap
	}
	command := b.commands[client.title()]
	args := append(slices.Clone(command[0]), words...)
	args = append(args, "bootstrap="+bootstrap, "topic="+p.topic, "group="+p.group, "patient=true", "kafka=4.3.1",
		fmt.Sprintf("pause=%d", b.pause.Milliseconds()))
	name = strings.ReplaceAll(strings.Join([]string{client.title(), p.way, name}, "-"), "/", "-")
	return &keeper{processLoop: startLoop(b.t, name, args, append(clean(os.Environ()), command[1]...))}
}

// ways are the routes of a client to the brokers.
var ways = []string{"direct", "tunnel"}

// A pair is a consumer and the producer whose records it reads.
type pair struct{ consumer, producer compatClient }

// itself makes each client read its own records.
func itself(clients []compatClient) (all []pair) {
	for _, c := range clients {
		all = append(all, pair{c, c})
	}
	return all
}

// startParties starts producers and consumers on each route.
func (b *keepBed) startParties(pairs []pair, try string) []*party {
	b.t.Helper()
	var all []*party
	for _, both := range pairs {
		client := both.consumer
		for _, way := range ways {
			p := &party{client: client, feeder: both.producer, way: way, topic: plainName(client.title(), way+try), idempotent: true}
			p.group = "group-" + p.topic
			if err := newTopic(deadline(b.t), b.cluster, p.topic); err != nil {
				b.t.Fatal(err)
			}
			p.producer = b.start(p, p.feeder, "producer", "do=keep-producing", "idempotent=true")
			b.join(p)
			all = append(all, p)
		}
	}
	// Some libraries wait for minutes if a leader moves before they have read anything.
	until(b.t, 2*advanceTime, "all clients work", func(ctx context.Context) error {
		ends, err := b.ends(ctx, all)
		committed := b.committed(ctx, all)
		for _, p := range all {
			if p.idempotent && p.producer.unsupported() {
				p.idempotent = false
				p.producer = b.start(p, p.feeder, "plain-producer", "do=keep-producing")
			}
			if p.ended() == nil && (!positive(ends[p.topic]) || !positive(committed[p.group])) {
				err = errors.Join(err, fmt.Errorf("%s: nothing yet", p))
			}
		}
		return err
	})
	return all
}

// join adds a member to the group.
func (b *keepBed) join(p *party, words ...string) {
	b.t.Helper()
	name := fmt.Sprintf("consumer-%d", len(p.members)+len(p.left))
	p.members = append(p.members, b.start(p, p.client, name, append(append([]string{"do=keep-consuming"}, p.words...), words...)...))
}

// plainName returns a name for topics and groups.
func plainName(words ...string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.Join(words, "-"))
}

// positive reports whether each of three partitions has a record.
func positive(offsets map[int32]int64) bool {
	for i := range int32(3) {
		if offsets[i] == 0 {
			return false
		}
	}
	return true
}

// ends returns the end offsets of the parties' topics.
func (b *keepBed) ends(ctx context.Context, parties []*party) (map[string]map[int32]int64, error) {
	var topics []string
	for _, p := range parties {
		topics = append(topics, p.topic)
	}
	listed, err := kadm.NewClient(b.admin).ListEndOffsets(ctx, topics...)
	all := map[string]map[int32]int64{}
	for _, topic := range topics {
		all[topic] = map[int32]int64{}
	}
	listed.Each(func(o kadm.ListedOffset) {
		if err = errors.Join(err, o.Err); o.Err == nil {
			all[o.Topic][o.Partition] = o.Offset
		}
	})
	return all, err
}

// committed returns what the groups of the parties have committed.
func (b *keepBed) committed(ctx context.Context, parties []*party) map[string]map[int32]int64 {
	var groups []string
	for _, p := range parties {
		groups = append(groups, p.group)
	}
	all := map[string]map[int32]int64{}
	for group, answer := range kadm.NewClient(b.admin).FetchManyOffsets(ctx, groups...) {
		all[group] = map[int32]int64{}
		answer.Fetched.Each(func(o kadm.OffsetResponse) { all[group][o.Partition] = o.At })
	}
	return all
}

// advance returns the parties that do not continue, with the reasons: from now on, each
// partition must get a record, and the group must commit the current ends.
func (b *keepBed) advance(parties []*party) map[*party]error {
	b.t.Helper()
	var from map[string]map[int32]int64
	until(b.t, advanceTime, "the ends of all partitions", func(ctx context.Context) (err error) {
		from, err = b.ends(ctx, parties)
		return err
	})
	return b.await(parties, func(ctx context.Context, waiting []*party) map[*party]error {
		ends, _ := b.ends(ctx, waiting)
		committed := b.committed(ctx, waiting)
		errs := map[*party]error{}
		for _, p := range waiting {
			for partition, at := range from[p.topic] {
				if ends[p.topic][partition] <= at || committed[p.group][partition] < at {
					errs[p] = fmt.Errorf("partition %d was at %d; it is at %d, committed up to %d", partition, at, ends[p.topic][partition], committed[p.group][partition])
				}
			}
		}
		return errs
	})
}

// await calls the function until it returns no errors, for at most advanceTime. It does not
// wait for a party whose process has exited.
func (b *keepBed) await(parties []*party, ask func(context.Context, []*party) map[*party]error) map[*party]error {
	ctx, cancel := context.WithTimeout(deadline(b.t), advanceTime)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	failed := map[*party]error{}
	waiting := parties
	var errs map[*party]error
	for {
		var still []*party
		for _, p := range waiting {
			if p.trouble == nil {
				p.trouble = p.ended()
			}
			if p.trouble != nil {
				failed[p] = p.trouble
				continue
			}
			still = append(still, p)
		}
		if len(still) == 0 {
			return failed
		}
		now := ask(ctx, still)
		if ctx.Err() == nil || errs == nil { // else the time has failed it
			errs = now
		}
		waiting = slices.DeleteFunc(still, func(p *party) bool { return errs[p] == nil })
		select {
		case <-tick.C:
		case <-ctx.Done():
			for _, p := range waiting {
				failed[p] = errors.Join(fmt.Errorf("not within %v", advanceTime), errs[p])
			}
			return failed
		}
	}
}

// finish stops all parties: first the producers, then, when everything is committed, the
// members of the groups. It returns the parties that have not finished cleanly.
func (b *keepBed) finish(parties []*party) map[*party]error {
	b.t.Helper()
	for _, p := range parties {
		_ = p.producer.stdin.Close()
	}
	for _, p := range parties {
		if err := p.finish(deadline(b.t), p.producer); err != nil && p.trouble == nil {
			p.trouble = err
		}
		p.finished, p.producer = p.producer, nil
	}
	failed := b.await(parties, func(ctx context.Context, waiting []*party) map[*party]error {
		errs := map[*party]error{}
		ends, err := b.ends(ctx, waiting)
		committed := b.committed(ctx, waiting)
		for _, p := range waiting {
			for partition, end := range ends[p.topic] {
				if committed[p.group][partition] != end || err != nil {
					errs[p] = errors.Join(err, fmt.Errorf("partition %d ends at %d, committed is %d", partition, end, committed[p.group][partition]))
				}
			}
		}
		return errs
	})
	for p, err := range b.leave(parties) {
		failed[p] = err
	}
	return failed
}

// leave stops all members of the groups.
func (b *keepBed) leave(parties []*party) map[*party]error {
	failed := map[*party]error{}
	for _, p := range parties {
		for _, k := range p.members {
			_ = k.stdin.Close()
		}
	}
	for _, p := range parties {
		for _, k := range p.members {
			if err := p.finish(deadline(b.t), k); err != nil && p.trouble == nil {
				p.trouble, failed[p] = err, err
			}
		}
		p.left, p.members = append(p.left, p.members...), nil
	}
	return failed
}
