//go:build conformance

package conformance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// platformGrace is how long SAP BTP waits between SIGTERM and SIGKILL. Plain Cloud Foundry
// waits for 10 s; the application's connections have ended by then.
const platformGrace = 60 * time.Second

// TestStop sends the tunnel SIGTERM at the moment at which its application is stopped: the
// application still produces, flushes, commits and leaves its group through it, and even opens
// a new producer (R23).
func TestStop(t *testing.T) {
	c := cluster(t)
	tp := startTunnel(t, startLandscape(t, "--upstream", upstream(c)))
	direct, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...))
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	topic, group := name(t, "topic"), name(t, "group")
	createOn(t, direct, topic, 1, 2)

	var producers []*sender
	for i := range 3 {
		producers = append(producers, newSender(t, tp.bootstrap, topic, i))
	}
	consumer := newReceiver(t, tp.bootstrap, topic, group)
	until(t, time.Minute, "records flow", func(context.Context) error {
		if n := consumer.records.Load(); n < 100 {
			return fmt.Errorf("%d were consumed", n)
		}
		return nil
	})

	if err := tp.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	tp.stopped = true
	begin := time.Now()
	// The application's shutdown hook: it continues for 2.5 s, then stops cleanly.
	hook, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	<-hook.Done()
	sent := 0
	for _, p := range producers {
		sent += p.stop(t)
	}
	late := newSender(t, tp.bootstrap, topic, 99)
	late.await(t, 1)
	sent += late.stop(t)
	flushed := time.Since(begin)
	consumer.stop(t, sent)
	left := time.Since(begin)

	admin := kadm.NewClient(direct)
	lags, err := admin.Lag(deadline(t), group)
	if err != nil {
		t.Fatal(err)
	}
	l := lags[group]
	if err := l.Error(); err != nil || l.State != "Empty" || len(l.Members) != 0 || l.Lag.Total() != 0 {
		t.Errorf("the group right after its end: state %s, %d members, lag %d, %v", l.State, len(l.Members), l.Lag.Total(), err)
	}
	inOrder(t, c, topic, sent)
	code := tp.proc.ExitCode()
	took := time.Since(begin)
	if code != 0 {
		t.Errorf("the tunnel exited with %d\n%s", code, tp.proc.Tail(40))
	}
	if left >= 10*time.Second {
		t.Errorf("the group left %v after SIGTERM; plain Cloud Foundry would have killed the tunnel", left)
	}
	if took >= platformGrace {
		t.Errorf("the tunnel took %v; the platform would have killed it", took)
	}
	t.Logf("%d records; flushed %v after SIGTERM, the group left after %v, the tunnel ended after %v", sent, flushed.Round(time.Millisecond), left.Round(time.Millisecond), took.Round(time.Millisecond))
}

// A sender produces continuously until it is stopped.
type sender struct {
	client *kgo.Client
	id     int
	sent   atomic.Int64
	quit   chan struct{}
	done   sync.WaitGroup

	mu   sync.Mutex
	errs []error
}

func newSender(t *testing.T, bootstrap, topic string, id int) *sender {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(topic),
		kgo.MaxBufferedRecords(500), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{client: client, id: id, quit: make(chan struct{})}
	s.done.Go(s.run)
	t.Cleanup(client.Close)
	return s
}

func (s *sender) run() {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-s.quit:
			return
		}
		s.client.Produce(context.Background(), &kgo.Record{Value: fmt.Appendf(nil, "%d %d", s.id, i)}, s.produced)
	}
}

func (s *sender) produced(_ *kgo.Record, err error) {
	if err == nil {
		s.sent.Add(1)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

// await waits until n records are acknowledged.
func (s *sender) await(t *testing.T, n int64) {
	t.Helper()
	until(t, time.Minute, "a producer delivers", func(context.Context) error {
		if s.sent.Load() < n {
			return errors.New("nothing yet")
		}
		return nil
	})
}

// stop stops the producer cleanly, and returns what it sent.
func (s *sender) stop(t *testing.T) int {
	t.Helper()
	close(s.quit)
	s.done.Wait()
	if err := s.client.Flush(deadline(t)); err != nil {
		t.Errorf("flush: %v", err)
	}
	s.client.Close()
	if err := errors.Join(s.errs...); err != nil {
		t.Errorf("producer %d: %v", s.id, err)
	}
	return int(s.sent.Load())
}

// A receiver is one member of a group.
type receiver struct {
	client  *kgo.Client
	records atomic.Int64
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

func newReceiver(t *testing.T, bootstrap, topic, group string) *receiver {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &receiver{client: client, cancel: cancel}
	r.done.Go(func() { r.run(ctx) })
	t.Cleanup(func() { cancel(); client.Close() })
	return r
}

func (r *receiver) run(ctx context.Context) {
	for ctx.Err() == nil {
		r.records.Add(int64(r.client.PollFetches(ctx).NumRecords()))
	}
}

// stop consumes the rest, commits and leaves the group.
func (r *receiver) stop(t *testing.T, all int) {
	t.Helper()
	until(t, time.Minute, "everything is consumed", func(context.Context) error {
		if n := int(r.records.Load()); n < all {
			return fmt.Errorf("%d of %d", n, all)
		}
		return nil
	})
	r.cancel()
	r.done.Wait()
	if err := r.client.CommitUncommittedOffsets(deadline(t)); err != nil {
		t.Errorf("commit: %v", err)
	}
	if err := r.client.LeaveGroupContext(deadline(t)); err != nil {
		t.Errorf("leave: %v", err)
	}
	r.client.Close()
	if n := int(r.records.Load()); n != all {
		t.Errorf("%d records consumed, %d sent", n, all)
	}
}

// inOrder reads the topic without the tunnel: n records, and those of each producer in order.
func inOrder(t *testing.T, c *realkafka.Cluster, topic string, n int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	last := map[string]int{}
	total := 0
	until(t, time.Minute, "all records are read", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			total++
			id, number, _ := strings.Cut(string(r.Value), " ")
			i, err := strconv.Atoi(number)
			if before, seen := last[id]; err != nil || seen && i != before+1 {
				t.Errorf("%s after %d", r.Value, before)
			}
			last[id] = i
		})
		if total < n {
			return fmt.Errorf("%d of %d", total, n)
		}
		return nil
	})
	if total != n {
		t.Errorf("%d records in the topic, %d sent", total, n)
	}
}
