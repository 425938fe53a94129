//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// arrives is how long unconfirmed records may take: those of acks=0 and 1 can be read once the
// followers have them.
const arrives = 10 * time.Second

// checkProduced requires every record exactly once, unchanged and in order within its
// partition.
func checkProduced(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error {
	early, cancel := context.WithTimeout(ctx, arrives)
	defer cancel()
	return again(early, func() error { return checkOnce(ctx, c, s, topic, said) })
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

// checkConsumed requires that the client received the records of the partitions in order, and
// that the group committed them.
func checkConsumed(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error {
	err := errors.Join(checkRead(ctx, c, s, topic, said), checkCommitted(ctx, c, s, topic))
	if slices.Contains(s.task, "protocol=consumer") {
		err = errors.Join(err, checkProtocol(ctx, c, "group-"+topic))
	}
	return err
}

// checkRead requires that the client received the records of the partitions in order.
func checkRead(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error {
	return checkContents(ctx, c, s, topic, said, func(*kgo.Record) bool { return true })
}

// checkCommitted requires that the group committed all records of the topic.
func checkCommitted(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string) error {
	committed, err := groupOffsets(ctx, c, "group-"+topic, topic)
	if err == nil && committed != int64(s.count) {
		err = fmt.Errorf("the group committed %d of %d records", committed, s.count)
	}
	return err
}

// checkCopied requires that the copies are all records, each once, and that the group committed
// their originals.
func checkCopied(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error {
	return errors.Join(checkOnce(ctx, c, s, topic+"-copies", said), checkCommitted(ctx, c, s, topic))
}

// checkBrokers requires that an admin client lists all brokers, if it can list them.
func checkBrokers(_ context.Context, c *realkafka.Cluster, _ compatScenario, _ string, said compatResult) error {
	if said.Count != -1 && said.Count != len(c.Brokers) {
		return fmt.Errorf("it knows %d brokers of %d", said.Count, len(c.Brokers))
	}
	return nil
}

// checkContents requires that the client received these records of the topic, each partition in
// order.
func checkContents(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult, wanted func(*kgo.Record) bool) error {
	hashes := map[int32]*bytes.Buffer{}
	counts := map[string]int{}
	if err := readBack(ctx, c, topic, func(r *kgo.Record) {
		if !wanted(r) {
			return
		}
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
		return fmt.Errorf("%d records of %d partitions were received, want %d of %d", said.Count, len(said.Partitions), s.count, len(hashes))
	}
	for number, b := range hashes {
		name := strconv.Itoa(int(number))
		want := sha256.Sum256(b.Bytes())
		if got := said.Partitions[name]; got.Count != counts[name] || got.SHA256 != hex.EncodeToString(want[:]) {
			return fmt.Errorf("partition %s: the records differ, or their order", name)
		}
	}
	return nil
}

// checkSought requires the records from the requested time on.
func checkSought(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error {
	return checkContents(ctx, c, s, topic, said, func(r *kgo.Record) bool { return r.Timestamp.UnixMilli() >= compatTime(s.fed()-s.count) })
}

// checkShared requires each record once; a share group has no order.
func checkShared(_ context.Context, _ *realkafka.Cluster, s compatScenario, _ string, said compatResult) error {
	if said.Count != s.count {
		return fmt.Errorf("%d records were received, want %d", said.Count, s.count)
	}
	return nil
}

// checkProtocol requires a group of KIP-848: some clients silently fall back to the classic
// protocol.
func checkProtocol(ctx context.Context, c *realkafka.Cluster, group string) error {
	return c.Ask(func(client *kgo.Client) error {
		for _, shard := range client.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
			if shard.Err != nil {
				return shard.Err
			}
			for _, g := range shard.Resp.(*kmsg.ListGroupsResponse).Groups {
				if g.Group == group && !strings.EqualFold(g.GroupType, "consumer") {
					return fmt.Errorf("the group is of the type %q", g.GroupType)
				}
			}
		}
		return nil
	})
}

// checkACLs requires that the client lists the entry of prepareACL.
func checkACLs(_ context.Context, _ *realkafka.Cluster, _ compatScenario, _ string, said compatResult) error {
	if said.Count != 1 {
		return fmt.Errorf("it lists %d entries, want 1", said.Count)
	}
	return nil
}

// checkThrottled requires the records, spread over the time that the quota of prepareQuota
// enforces: brokers have timestamped them.
func checkThrottled(ctx context.Context, c *realkafka.Cluster, s compatScenario, topic string, said compatResult) error {
	if err := checkProduced(ctx, c, s, topic, said); err != nil {
		return err
	}
	var first, last time.Time
	if err := readBack(ctx, c, topic, func(r *kgo.Record) {
		if first.IsZero() || r.Timestamp.Before(first) {
			first = r.Timestamp
		}
		if r.Timestamp.After(last) {
			last = r.Timestamp
		}
	}); err != nil {
		return err
	}
	if took := last.Sub(first); took < quotaTime {
		return fmt.Errorf("4 MB came within %v: the quota did not hold the client", took)
	}
	return nil
}
