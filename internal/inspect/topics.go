package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

// Topics prints all topics except Kafka's internal ones, or the partitions of some topics.
func (s Server) Topics(ctx context.Context, out io.Writer, names ...string) error {
	return s.admin(ctx, func(admin *kadm.Client) error {
		if len(names) == 0 {
			return listTopics(ctx, out, admin)
		}
		return describeTopics(ctx, out, admin, names)
	})
}

func listTopics(ctx context.Context, out io.Writer, admin *kadm.Client) error {
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"TOPIC", "PARTITIONS", "REPLICAS", "TROUBLE"}}
	for _, t := range topics.Sorted() {
		trouble := "-"
		if n := count(t, func(p kadm.PartitionDetail) bool { return p.Leader < 0 }); n > 0 {
			trouble = fmt.Sprintf("%d without a leader", n)
		} else if n := count(t, func(p kadm.PartitionDetail) bool { return len(p.ISR) < len(p.Replicas) }); n > 0 {
			trouble = fmt.Sprintf("%d not in sync", n)
		}
		rows = append(rows, []string{t.Topic, strconv.Itoa(len(t.Partitions)), strconv.Itoa(t.Partitions.NumReplicas()), trouble})
		err = errors.Join(err, wrapTopic(terminal.Escape(t.Topic), t.Err))
	}
	return errors.Join(terminal.Table(out, rows...), err)
}

// count returns how many partitions satisfy the condition.
func count(t kadm.TopicDetail, is func(kadm.PartitionDetail) bool) (n int) {
	for _, p := range t.Partitions {
		if is(p) {
			n++
		}
	}
	return n
}

func wrapTopic(topic string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", topic, err)
}

func describeTopics(ctx context.Context, out io.Writer, admin *kadm.Client, names []string) error {
	topics, err := admin.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return err
	}
	starts, err1 := admin.ListStartOffsets(ctx, names...)
	ends, err2 := admin.ListEndOffsets(ctx, names...)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	rows := [][]string{{"TOPIC", "PARTITION", "LEADER", "REPLICAS", "IN SYNC", "FIRST OFFSET", "NEXT OFFSET"}}
	for _, t := range topics.Sorted() {
		if t.Err != nil {
			err = errors.Join(err, wrapTopic(terminal.Escape(t.Topic), t.Err))
			continue
		}
		for _, p := range t.Partitions.Sorted() {
			start, _ := starts.Lookup(t.Topic, p.Partition)
			end, _ := ends.Lookup(t.Topic, p.Partition)
			rows = append(rows, []string{t.Topic, strconv.Itoa(int(p.Partition)), node(p.Leader), ids(p.Replicas), ids(p.ISR), offset(start), offset(end)})
			err = errors.Join(err, wrapTopic(fmt.Sprintf("%s, partition %d", terminal.Escape(t.Topic), p.Partition), cmp.Or(p.Err, start.Err, end.Err)))
		}
	}
	if len(rows) == 1 {
		return err
	}
	return errors.Join(terminal.Table(out, rows...), err)
}

// node is a node id, - for none.
func node(id int32) string {
	if id < 0 {
		return "-"
	}
	return strconv.Itoa(int(id))
}

func ids(all []int32) string {
	var words []string
	for _, id := range all {
		words = append(words, strconv.Itoa(int(id)))
	}
	return strings.Join(words, ",")
}

func offset(o kadm.ListedOffset) string {
	if o.Err != nil || o.Offset < 0 {
		return "-"
	}
	return strconv.FormatInt(o.Offset, 10)
}
