package inspect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A Producer produces the lines of its input as records.
type Producer struct {
	Server       Server
	Topic        string
	KeySeparator string   // text before it in a line is the key; "": no keys
	Headers      []string // KEY=VALUE, of each record
	Acks         string   // all, 1 or 0
	Compression  string   // none, gzip, snappy, lz4 or zstd
	Count        int      // number of lines; 0: all
	Rate         float64  // records per second; 0: unlimited
	Progress     func(records int)
}

// maxLine limits a line: a broker's default limit for a record is a megabyte.
const maxLine = 16 << 20

// Run produces until the input ends, and returns how many records were acknowledged.
func (p Producer) Run(ctx context.Context, lines io.Reader) (acknowledged int, err error) {
	opts, err := p.options()
	if err != nil {
		return 0, err
	}
	client, err := p.Server.client(ctx, opts...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	done := func(_ *kgo.Record, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			cancel(err)
			return
		}
		if acknowledged++; p.Progress != nil {
			p.Progress(acknowledged)
		}
	}
	err = p.feed(ctx, lines, func(r *kgo.Record) { client.Produce(ctx, r, done) })
	if flushed := client.Flush(ctx); err == nil {
		err = flushed
	}
	mu.Lock()
	defer mu.Unlock()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = cause
	}
	return acknowledged, err
}

// feed makes records of lines.
func (p Producer) feed(ctx context.Context, lines io.Reader, write func(*kgo.Record)) error {
	headers, err := headersOf(p.Headers)
	if err != nil {
		return err
	}
	limit := rate.NewLimiter(rate.Inf, 1)
	if p.Rate > 0 {
		limit = rate.NewLimiter(rate.Limit(p.Rate), 1)
	}
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, maxLine)
	for n := 0; (p.Count == 0 || n < p.Count) && scanner.Scan(); n++ {
		if err := limit.Wait(ctx); err != nil {
			return err
		}
		r := &kgo.Record{Topic: p.Topic, Value: bytes.Clone(scanner.Bytes()), Headers: headers}
		if p.KeySeparator != "" {
			key, value, ok := bytes.Cut(r.Value, []byte(p.KeySeparator))
			if !ok {
				return fmt.Errorf("line %d has no key: it does not contain %q", n+1, p.KeySeparator)
			}
			r.Key, r.Value = key, value
		}
		write(r)
	}
	return scanner.Err()
}

func headersOf(all []string) (headers []kgo.RecordHeader, err error) {
	for _, h := range all {
		key, value, ok := strings.Cut(h, "=")
		if !ok {
			return nil, fmt.Errorf("header %q is not KEY=VALUE", h)
		}
		headers = append(headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	return headers, nil
}

// options are the options of the producer. It distributes records without a key over the
// partitions in turn.
func (p Producer) options() ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil))}
	switch p.Acks {
	case "all":
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, fmt.Errorf("acks %q is not one of all, 1, 0", p.Acks)
	}
	var compression wire.Compression
	if compression.UnmarshalText([]byte(p.Compression)) != nil {
		return nil, fmt.Errorf("compression %q is not one of none, gzip, snappy, lz4, zstd", p.Compression)
	}
	codec := map[wire.Compression]kgo.CompressionCodec{
		wire.None: kgo.NoCompression(), wire.Gzip: kgo.GzipCompression(), wire.Snappy: kgo.SnappyCompression(),
		wire.LZ4: kgo.Lz4Compression(), wire.Zstd: kgo.ZstdCompression(),
	}[compression]
	return append(opts, kgo.ProducerBatchCompression(codec)), nil
}
