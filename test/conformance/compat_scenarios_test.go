//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// A compatScenario is one thing that applications do with Kafka.
type compatScenario struct {
	name  string
	count int
	task  []string // words besides bootstrap, topic and count
	feeds bool     // the topic is filled past the tunnel before
	// check looks at what came of it, past the tunnel. It may be nil.
	check func(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error
}

// compatScenarios lists all of them, in the order of the table.
func compatScenarios() []compatScenario {
	produce := func(name string, count int, words ...string) compatScenario {
		return compatScenario{name: name, count: count, task: append([]string{"do=produce"}, words...), check: checkProduced}
	}
	consume := func(name string, words ...string) compatScenario {
		return compatScenario{name: name, count: 1000, task: append([]string{"do=consume"}, words...), feeds: true, check: checkConsumed}
	}
	return []compatScenario{
		{name: "admin", task: []string{"do=admin"}, check: checkBrokers},
		produce("acks=0", 300, "acks=0"),
		produce("acks=1", 300, "acks=1"),
		produce("acks=all, headers", 300, "headers=true"),
		produce("gzip", 300, "compression=gzip"),
		produce("snappy", 300, "compression=snappy"),
		produce("lz4", 300, "compression=lz4"),
		produce("zstd", 300, "compression=zstd"),
		produce("0 to 900 000 bytes", 28, "sizes=mixed"),
		produce("idempotent", 300, "idempotent=true"),
		{name: "transactions", count: 300, task: []string{"do=transact"}, check: checkProduced},
		consume("group"),
		consume("group, read committed", "isolation=read_committed"),
		consume("group of KIP-848", "protocol=consumer"),
	}
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

// compatRecord is record i, as clients/README.md has it.
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

// arrives is how long records may take that nobody waits for: those of acks=0 and 1 are
// to be read when the followers have them.
const arrives = 10 * time.Second

// checkProduced wants every record exactly once, as it was meant to be and in order
// within its partition.
func checkProduced(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error {
	early, cancel := context.WithTimeout(ctx, arrives)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := checkOnce(ctx, c, s, topic, said)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-early.Done():
			return err
		}
	}
}

func checkOnce(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, _ compatResult) error {
	seen := make([]int, s.count)
	last := map[int32]int{}
	var wrong []string
	err := readBack(ctx, c, topic, func(r *kgo.Record) {
		i, err := strconv.Atoi(strings.TrimPrefix(string(r.Key), "key-"))
		if err != nil || i < 0 || i >= s.count {
			wrong = append(wrong, fmt.Sprintf("a record with the key %q", r.Key))
			return
		}
		if _, value := compatRecord(s, i); !bytes.Equal(r.Value, value) {
			wrong = append(wrong, fmt.Sprintf("record %d has another value", i))
		}
		if slices.Contains(s.task, "headers=true") && (len(r.Headers) != 1 || r.Headers[0].Key != "n" || string(r.Headers[0].Value) != strconv.Itoa(i)) {
			wrong = append(wrong, fmt.Sprintf("record %d has the headers %v", i, r.Headers))
		}
		if before, ok := last[r.Partition]; ok && before >= i {
			wrong = append(wrong, fmt.Sprintf("record %d behind record %d", i, before))
		}
		last[r.Partition] = i
		seen[i]++
	})
	for i, n := range seen {
		if n != 1 {
			wrong = append(wrong, fmt.Sprintf("record %d came %d times", i, n))
		}
	}
	if len(wrong) > 0 {
		return errors.Join(err, fmt.Errorf("%s (%d problems)", wrong[0], len(wrong)))
	}
	return err
}

// checkConsumed wants what the client has seen to be what is in the partitions, in their
// order, and the group to have committed it.
func checkConsumed(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error {
	hashes := map[int32]*bytes.Buffer{}
	counts := map[string]int{}
	if err := readBack(ctx, c, topic, func(r *kgo.Record) {
		b := hashes[r.Partition]
		if b == nil {
			b = &bytes.Buffer{}
			hashes[r.Partition] = b
		}
		for _, part := range [][]byte{r.Key, r.Value} {
			_ = binary.Write(b, binary.BigEndian, int32(len(part)))
			b.Write(part)
		}
		counts[strconv.Itoa(int(r.Partition))]++
	}); err != nil {
		return err
	}
	if said.Count != s.count || len(said.Partitions) != len(hashes) {
		return fmt.Errorf("%d records of %d partitions came, want %d of %d", said.Count, len(said.Partitions), s.count, len(hashes))
	}
	for number, b := range hashes {
		name := strconv.Itoa(int(number))
		want := sha256.Sum256(b.Bytes())
		if got := said.Partitions[name]; got.Count != counts[name] || got.SHA256 != hex.EncodeToString(want[:]) {
			return fmt.Errorf("partition %s: the records differ, or their order", name)
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...))
	if err != nil {
		return err
	}
	defer client.Close()
	offsets, err := kadm.NewClient(client).FetchOffsets(ctx, "group-"+topic)
	if err != nil {
		return fmt.Errorf("offsets of the group: %w", err)
	}
	var committed int64
	offsets.Each(func(o kadm.OffsetResponse) { committed += o.At })
	if committed != int64(s.count) {
		return fmt.Errorf("the group committed %d of %d records", committed, s.count)
	}
	return nil
}

// checkBrokers wants an admin client to know them all.
func checkBrokers(_ context.Context, c *realkafka.Cluster, _ compatScenario, _ string, said compatResult) error {
	if said.Count != len(c.Brokers) {
		return fmt.Errorf("it knows %d brokers of %d", said.Count, len(c.Brokers))
	}
	return nil
}

// feedCompat fills a topic past the tunnel.
func feedCompat(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableIdempotentWrite())
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for i := range s.count {
		key, value := compatRecord(s, i)
		records = append(records, &kgo.Record{Key: key, Value: value})
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

// newTopic makes a topic past the tunnel and returns when every broker knows it: some
// clients give up when the one that they ask has not heard of it yet.
func newTopic(ctx context.Context, c *realkafka.Cluster, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...))
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err = kadm.NewClient(client).CreateTopic(ctx, 3, int16(min(len(c.Brokers), 3)), nil, topic); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, b := range c.Brokers {
		for err = knowsTopic(ctx, client, b.ID, topic); err != nil; err = knowsTopic(ctx, client, b.ID, topic) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("broker %d: %w", b.ID, err)
			}
		}
	}
	return nil
}

// knowsTopic asks one broker whether it knows all leaders of a topic.
func knowsTopic(ctx context.Context, client *kgo.Client, broker int, topic string) error {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	answer, err := client.Broker(broker).Request(ctx, req)
	if err != nil {
		return err
	}
	topics := answer.(*kmsg.MetadataResponse).Topics
	if len(topics) != 1 || topics[0].ErrorCode != 0 || len(topics[0].Partitions) != 3 {
		return errors.New("it does not know the topic yet")
	}
	for _, p := range topics[0].Partitions {
		if p.ErrorCode != 0 || p.Leader < 0 {
			return errors.New("a partition has no leader yet")
		}
	}
	return nil
}

// readBack reads a whole topic past the tunnel: only committed records, each partition in
// its order.
func readBack(ctx context.Context, c *realkafka.Cluster, topic string, each func(*kgo.Record)) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// Markers are asked for although they are no records: one may be all that
		// stands at the end of a partition.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ends, err := admin.ListCommittedOffsets(ctx, topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return fmt.Errorf("offsets of %s: %w", topic, err)
	}
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err = errors.Join(err, starts.Error()); err != nil {
		return fmt.Errorf("offsets of %s: %w", topic, err)
	}
	missing := map[int32]int64{} // partition to end offset
	ends.Each(func(end kadm.ListedOffset) {
		if start, _ := starts.Lookup(topic, end.Partition); end.Offset > start.Offset {
			missing[end.Partition] = end.Offset
		}
	})
	for len(missing) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s past the tunnel: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				each(r)
			}
			if r.Offset+1 >= missing[r.Partition] {
				delete(missing, r.Partition)
			}
		})
	}
	return nil
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
	names := map[string]bool{}
	for _, s := range compatScenarios() {
		names[s.name] = true
	}
	if len(names) != len(compatScenarios()) {
		t.Error("two scenarios of one name", slices.Sorted(maps.Keys(names)))
	}
}
