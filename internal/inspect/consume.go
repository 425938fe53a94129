package inspect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A Consumer prints records.
type Consumer struct {
	Server Server
	Topic  string
	Group  string // a consumer group, whose offsets are committed; "": none
	From   string // start, end, an offset, or a time (RFC 3339, or an age such as 1h)
	Count  int    // number of records; 0: unlimited
	End    bool   // stop at the end that the partitions had at the start
	// Progress is called with the number of printed records; it may be nil.
	Progress func(records int)
	Format   string // in the syntax of franz-go and rpk: "%k %v\n"
}

// Run prints until it has printed Count records, or with End all records, or until ctx ends,
// which is not an error.
func (c Consumer) Run(ctx context.Context, out io.Writer) (printed int, err error) {
	format, err := kgo.NewRecordFormatter(c.Format)
	if err != nil {
		return 0, fmt.Errorf("format %q: %w", c.Format, err)
	}
	start, err := c.start()
	if err != nil {
		return 0, err
	}
	opts := []kgo.Opt{kgo.ConsumeTopics(c.Topic), kgo.ConsumeResetOffset(start)}
	if c.Group != "" {
		opts = append(opts, kgo.ConsumerGroup(c.Group), kgo.DisableAutoCommit())
	}
	client, err := c.Server.client(ctx, opts...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	endOffsets, err := c.endOffsets(ctx, client)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriter(out)
	defer func() { err = errors.Join(err, w.Flush()) }()
	var line []byte
	for (c.Count == 0 || printed < c.Count) && (!c.End || len(endOffsets) > 0) {
		fetches := client.PollRecords(ctx, c.Count-printed)
		if ctx.Err() != nil {
			return printed, nil
		}
		if err := fetches.Err(); err != nil {
			return printed, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			line = format.AppendRecord(line[:0], r)
			_, _ = w.Write(line) // Flush returns the error
			printed++
			if r.Offset+1 >= endOffsets[r.Partition] {
				delete(endOffsets, r.Partition)
			}
		})
		if err := w.Flush(); err != nil {
			return printed, err
		}
		if c.Progress != nil {
			c.Progress(printed)
		}
		if c.Group != "" {
			if err := client.CommitUncommittedOffsets(ctx); err != nil {
				return printed, fmt.Errorf("commit: %w", err)
			}
		}
	}
	return printed, nil
}

// endOffsets are the end offsets of the partitions that have records.
func (c Consumer) endOffsets(ctx context.Context, client *kgo.Client) (map[int32]int64, error) {
	endOffsets := map[int32]int64{}
	if !c.End {
		return endOffsets, nil
	}
	admin := kadm.NewClient(client)
	ends, err := admin.ListEndOffsets(ctx, c.Topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return nil, err
	}
	starts, err := admin.ListStartOffsets(ctx, c.Topic)
	if err = errors.Join(err, starts.Error()); err != nil {
		return nil, err
	}
	ends.Each(func(end kadm.ListedOffset) {
		if start, _ := starts.Lookup(c.Topic, end.Partition); end.Offset > start.Offset {
			endOffsets[end.Partition] = end.Offset
		}
	})
	return endOffsets, nil
}

// start parses From.
func (c Consumer) start() (kgo.Offset, error) {
	o := kgo.NewOffset()
	switch c.From {
	case "start":
		return o.AtStart(), nil
	case "end":
		return o.AtEnd(), nil
	}
	if n, err := strconv.ParseInt(c.From, 10, 64); err == nil && n >= 0 {
		return o.At(n), nil
	}
	if at, err := time.Parse(time.RFC3339, c.From); err == nil {
		return o.AfterMilli(at.UnixMilli()), nil
	}
	if ago, err := time.ParseDuration(c.From); err == nil && ago > 0 {
		return o.AfterMilli(time.Now().Add(-ago).UnixMilli()), nil
	}
	return o, fmt.Errorf("from %q is not start, end, an offset, a time such as 2006-01-02T15:04:05Z, or an age such as 1h", c.From)
}
