package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Times of groups.
const (
	session   = 10 * time.Second
	heartbeat = time.Second
)

// A group is a consumer group of two members over a producer's topic.
type group struct {
	base
	next     bool // the next generation's protocol (KIP-848)
	source   *producer
	delivery *Delivery
}

func newGroup(r *run, label string, next bool, source *producer) *group {
	return &group{base: base{run: r, label: label, kind: kindGroup}, next: next, source: source, delivery: NewDelivery()}
}

// run consumes until ctx ends.
func (g *group) run(ctx context.Context) error {
	var members sync.WaitGroup
	defer members.Wait()
	for member := range 2 {
		cl, err := g.member(member)
		if err != nil {
			return err
		}
		members.Go(func() { g.consume(ctx, member, cl) })
	}
	return g.watch(ctx)
}

// member returns a client that is a member of the group.
func (g *group) member(member int) (*kgo.Client, error) {
	opts := []kgo.Opt{
		kgo.ConsumerGroup(g.label), kgo.ConsumeTopics(g.source.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
			g.delivery.Assigned(member, assigned[g.source.topic])
		}),
	}
	if g.next {
		opts = append(opts, kgo.ServerSideBalancer())
	} else {
		opts = append(opts, kgo.SessionTimeout(session), kgo.HeartbeatInterval(heartbeat))
	}
	return g.client(g.kind, opts...)
}

// consume is the loop of one member: poll, check, commit.
func (g *group) consume(ctx context.Context, member int, cl *kgo.Client) {
	defer cl.Close()
	for {
		fetches := cl.PollRecords(ctx, 1000)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(_ string, _ int32, err error) { g.errs.Add(g.kind, "fetch", err) })
		fetches.EachRecord(func(rec *kgo.Record) {
			g.delivery.Got(member, rec.Partition, rec.Offset, rec.Value)
			g.began.Store(true)
		})
		if err := cl.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
			g.errs.Add(g.kind, "commit", err)
		}
	}
}

// watch waits until the producer has finished and everything is read and committed. It queries
// the brokers directly.
func (g *group) watch(ctx context.Context) error {
	admin, err := g.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	for pause(ctx, 100*time.Millisecond) == nil {
		if !g.source.finished() {
			continue
		}
		until, err := ends(ctx, admin, g.source.topic, false)
		if err != nil {
			continue // try again until the time of the run ends
		}
		if at, err := g.committed(ctx); err == nil && maps.Equal(at, until) && g.caughtUp(until) {
			g.ended.Store(true)
			return nil
		}
	}
	return nil
}

// caughtUp reports whether the members have received everything.
func (g *group) caughtUp(until map[int32]int64) bool {
	for p, end := range until {
		if g.delivery.Next(p) < end {
			return false
		}
	}
	return true
}

// committed returns the group's offsets.
func (g *group) committed(ctx context.Context) (map[int32]int64, error) {
	admin, err := g.admin()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	offsets, err := admin.FetchOffsets(ctx, g.label)
	if err != nil {
		return nil, err
	}
	m := map[int32]int64{}
	for p, o := range offsets[g.source.topic] {
		m[p] = o.At
	}
	return m, nil
}

// check compares the delivered records with the topic.
func (g *group) check(ctx context.Context) ([]string, error) {
	at, err := g.committed(ctx)
	if err != nil {
		return nil, err
	}
	until := map[int32]int64{}
	for _, p := range slices.Sorted(maps.Keys(g.source.log)) {
		until[p] = int64(len(g.source.log[p]))
		g.figures.Read += int(g.delivery.Next(p))
	}
	g.figures.Redelivered = g.delivery.Redelivered()
	problems := g.delivery.Check(g.source.log)
	return append(problems, CheckLag(fmt.Sprintf("%q", g.label), at, until)...), nil
}
