package tunnel

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
)

// trickled writes one byte at a time.
type trickled struct{ net.Conn }

func (c trickled) Write(b []byte) (int, error) {
	for i := range b {
		if n, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i + n, err
		}
	}
	return len(b), nil
}

// TestAcksZeroThenClose: all records arrive of a client that writes 1 000 requests with
// acks=0 and closes its socket at once. Such a client could never learn of a loss (R14,
// R17).
func TestAcksZeroThenClose(t *testing.T) {
	t.Parallel()
	const requests = 1000
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"whole":          func(c net.Conn) net.Conn { return c },
		"byte at a time": func(c net.Conn) net.Conn { return trickled{c} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := newTestbed(t, lab.Options{Brokers: 1})
			dial := func(ctx context.Context, network, address string) (net.Conn, error) {
				var d net.Dialer
				conn, err := d.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return wrap(conn), nil
			}
			cl := bed.client(t, kgo.Dialer(dial), kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite(), kgo.DefaultProduceTopic("t"))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for i := range requests {
				if err := cl.ProduceSync(ctx, &kgo.Record{Value: []byte(strconv.Itoa(i))}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			cl.Close()

			reader, err := kgo.NewClient(kgo.SeedBrokers(bed.lab.Bootstrap()...), kgo.Dialer(bed.lab.DialDirect),
				kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			seen := map[string]int{}
			for len(seen) < requests {
				fetches := reader.PollFetches(ctx)
				if ctx.Err() != nil {
					t.Fatalf("%d of %d records arrived", len(seen), requests)
				}
				fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
			}
			for value, n := range seen {
				if n != 1 {
					t.Errorf("record %s arrived %d times", value, n)
				}
			}
		})
	}
}
