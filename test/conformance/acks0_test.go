//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// acks0Requests is how many Produce requests with acks=0 are written, each with
// one record.
const acks0Requests = 1000

// TestAcks0 writes requests that have no response and closes the socket at once: the client can
// never learn of a loss, so there must be none (R10, R14, R17).
func TestAcks0(t *testing.T) {
	c := cluster(t)
	tp := startTunnel(t, startLandscape(t, "--upstream", upstream(c)))
	direct, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...))
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	topic := name(t, "topic")
	createOn(t, direct, topic, 1)

	// A real client, which exits as soon as its last write has returned.
	tape := &tape{}
	client, err := kgo.NewClient(kgo.SeedBrokers(tp.bootstrap), kgo.Dialer(tape.dial),
		kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite(), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range acks0Requests {
		if err := client.ProduceSync(deadline(t), &kgo.Record{Value: []byte(strconv.Itoa(i))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	stored(t, c, topic, 1)

	// The same bytes on new connections: the dial continues although the end of the stream has
	// already arrived.
	leader, frames := tape.produced(t)
	for i, write := range []func(net.Conn, []byte) error{
		func(conn net.Conn, b []byte) error { _, err := conn.Write(b); return err },
		func(conn net.Conn, b []byte) error {
			for i := range b {
				if _, err := conn.Write(b[i : i+1]); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		conn, err := net.Dial("tcp", leader)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(conn, frames); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		stored(t, c, topic, i+2)
	}
	// A single request fits into the buffer for a dial, followed by the end of the stream.
	size := int(binary.BigEndian.Uint32(frames)) + 4
	for range 50 {
		conn, err := net.Dial("tcp", leader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(frames[:size]); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	awaitRecords(t, c, topic, 3*acks0Requests+50)
}

// stored waits until the topic contains every value the given number of times.
func stored(t *testing.T, c *realkafka.Cluster, topic string, times int) {
	t.Helper()
	counts := awaitRecords(t, c, topic, times*acks0Requests)
	for i := range acks0Requests {
		if n := counts[strconv.Itoa(i)]; n != times {
			t.Errorf("record %d is in the topic %d times, want %d", i, n, times)
		}
	}
}

// awaitRecords reads a topic without the tunnel until it contains n records, and returns how
// often each value occurs. It also finds more than n.
func awaitRecords(t *testing.T, c *realkafka.Cluster, topic string, n int) map[string]int {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	counts, total := map[string]int{}, 0
	until(t, time.Minute, fmt.Sprintf("the topic has %d records", n), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			counts[string(r.Value)]++
			total++
		})
		if total < n {
			return fmt.Errorf("there are %d", total)
		}
		return nil
	})
	if total != n {
		t.Errorf("%d records in the topic, want %d", total, n)
	}
	return counts
}

// A tape keeps what a client writes.
type tape struct {
	mu    sync.Mutex
	conns []*tapedConn
}

type tapedConn struct {
	net.Conn
	tape  *tape
	bytes bytes.Buffer // guarded by tape.mu
}

func (t *tape) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	taped := &tapedConn{Conn: conn, tape: t}
	t.conns = append(t.conns, taped)
	return taped, nil
}

// Write implements net.Conn.
func (c *tapedConn) Write(b []byte) (int, error) {
	c.tape.mu.Lock()
	c.bytes.Write(b)
	c.tape.mu.Unlock()
	return c.Conn.Write(b)
}

// produced returns the Produce requests of the connection that carried them, and its address.
func (t *tape) produced(tt *testing.T) (address string, frames []byte) {
	tt.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, c := range t.conns {
		for b := c.bytes.Bytes(); len(b) >= 8; {
			size := int(binary.BigEndian.Uint32(b)) + 4
			if key := binary.BigEndian.Uint16(b[4:]); key == 0 {
				frames = append(frames, b[:size]...)
				address = c.RemoteAddr().String()
				n++
			}
			b = b[size:]
		}
	}
	if n != acks0Requests {
		tt.Fatalf("the client has written %d Produce requests, want %d", n, acks0Requests)
	}
	return address, frames
}
