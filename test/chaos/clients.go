package chaos

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func itoa(n int) string { return strconv.Itoa(n) }

// A counter counts for all clients of a run.
type counter = atomic.Int64

// dialTCP is a plain dialer.
func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

// client returns a client of the run, with franz-go's defaults except for those with long
// pauses in a short run.
func (r *run) client(kind string, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(r.clientOpts(kind, opts...)...)
}

func (r *run) clientOpts(kind string, opts ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(r.seeds...),
		kgo.Dialer(r.witness.dial),
		kgo.ClientID(kind),
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.UnknownTopicRetries(-1),
		kgo.DisableClientMetrics(),
		kgo.WithHooks(&hooks{run: r}),
		kgo.WithLogger(clientLog{run: r, kind: kind}),
	}, opts...)
}

// hooks count connections that end.
type hooks struct{ run *run }

// OnBrokerDisconnect counts connections.
func (h *hooks) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) { h.run.broken.Add(1) }

// A clientLog searches a client's log for errors that the client does not report to its
// application.
type clientLog struct {
	run  *run
	kind string
}

// Level returns the level of the log.
func (clientLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log searches for protocol errors: they are problems even if the client continues.
func (l clientLog) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	for i := 1; i < len(keyvals); i += 2 {
		if err, ok := keyvals[i].(error); ok && Classify(err) == Protocol {
			l.run.errs.Add(l.kind, msg, err)
			l.run.problem(fmt.Sprintf("%s: the client logs %q: %v", l.kind, msg, err))
		}
	}
}

// admin returns a client that connects to the brokers directly.
func (r *run) admin() (*kadm.Client, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.land.Bootstrap()...), kgo.Dialer(r.land.DialDirect), kgo.DisableClientMetrics())
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(cl), nil
}

// createTopics creates topics on the brokers directly.
func (r *run) createTopics(ctx context.Context, names ...string) error {
	admin, err := r.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	_, err = admin.CreateTopics(ctx, partitions, 1, nil, names...)
	return err
}

// ends returns the end offset of each partition, with read_committed or without.
func ends(ctx context.Context, admin *kadm.Client, topic string, committed bool) (map[int32]int64, error) {
	list := admin.ListEndOffsets
	if committed {
		list = admin.ListCommittedOffsets
	}
	offsets, err := list(ctx, topic)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, err
	}
	m := map[int32]int64{}
	offsets.Each(func(o kadm.ListedOffset) { m[o.Partition] = o.Offset })
	return m, nil
}

// readTopic reads a whole topic from the brokers directly.
func (r *run) readTopic(ctx context.Context, topic string, committed bool) (Log, error) {
	admin, err := r.admin()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	until, err := ends(ctx, admin, topic, committed)
	if err != nil {
		return nil, err
	}
	level := kgo.ReadUncommitted()
	if committed {
		level = kgo.ReadCommitted()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.land.Bootstrap()...), kgo.Dialer(r.land.DialDirect), kgo.DisableClientMetrics(),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(level), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	log := Log{}
	position := map[int32]int64{}
	for !reached(position, until) {
		fetches := cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("topic %s was read up to %v of %v: %w", topic, position, until, err)
		}
		fetches.EachRecord(func(rec *kgo.Record) { log.add(rec, position) })
	}
	return log, nil
}

// add adds a record, unless it is a transaction marker, and advances the position.
func (l Log) add(rec *kgo.Record, position map[int32]int64) {
	position[rec.Partition] = rec.Offset + 1
	if !rec.Attrs.IsControl() {
		l[rec.Partition] = append(l[rec.Partition], Value{Offset: rec.Offset, Bytes: []byte(strings.Clone(string(rec.Value)))})
	}
}

// reached reports whether all positions are at the ends or beyond.
func reached(position, until map[int32]int64) bool {
	for p, end := range until {
		if position[p] < end {
			return false
		}
	}
	return true
}
