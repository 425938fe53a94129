package brokers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// three are the specs of most tests.
var three = []Spec{
	{ID: 1, Advertise: "kafka-1.onprem.invalid:9092", Aliases: []string{"kafka-1.virtual:9092"}},
	{ID: 2, Advertise: "kafka-2.onprem.invalid:9092"},
	{ID: 3, Advertise: "kafka-3.onprem.invalid:9092"},
}

// start runs a cluster for the time of a test.
func start(t *testing.T, opts Options) *Cluster {
	t.Helper()
	c, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// client returns a Kafka client whose dialer knows the advertised names.
func client(t *testing.T, c *Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		for _, b := range c.Brokers() {
			if b.Advertised() == address {
				return new(net.Dialer).DialContext(ctx, network, b.Address())
			}
		}
		return nil, fmt.Errorf("no broker advertises %s", address)
	}
	opts = append([]kgo.Opt{kgo.SeedBrokers(c.Brokers()[0].Advertised()), kgo.Dialer(dial), kgo.AllowAutoTopicCreation()}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// exchange sends one request on a connection of its own and returns the answer's
// bytes after the correlation id.
func exchange(t *testing.T, b *Broker, key, version int16, body []byte) ([]byte, error) {
	t.Helper()
	conn, err := net.Dial("tcp", b.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return exchangeOn(conn, key, version, body)
}

// exchangeOn is exchange on an open connection.
func exchangeOn(conn net.Conn, key, version int16, body []byte) ([]byte, error) {
	frame := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	frame = binary.BigEndian.AppendUint16(frame, uint16(key))
	frame = binary.BigEndian.AppendUint16(frame, uint16(version))
	frame = binary.BigEndian.AppendUint32(frame, 77)
	if _, err := conn.Write(append(frame, body...)); err != nil {
		return nil, err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, err
	}
	if id := binary.BigEndian.Uint32(head[4:]); id != 77 {
		return nil, fmt.Errorf("correlation id %d", id)
	}
	answer := make([]byte, binary.BigEndian.Uint32(head)-4)
	_, err := io.ReadFull(conn, answer)
	return answer, err
}

func TestProduceAndConsume(t *testing.T) {
	c := start(t, Options{Brokers: three})
	cl := client(t, c, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for i := range 30 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte{byte(i)}}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < 30; {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		got += fetches.NumRecords()
	}
}

func TestIdsAndNames(t *testing.T) {
	specs := []Spec{{ID: 7, Advertise: "localhost:9092"}, {ID: 0, Advertise: "b0:1"}, {ID: 101, Advertise: "b101:2"}}
	c := start(t, Options{Brokers: specs})
	meta := metadata(t, c)
	want := map[int32]string{7: "localhost:9092", 0: "b0:1", 101: "b101:2"}
	if len(meta.Brokers) != len(want) || meta.ControllerID != 101 {
		t.Errorf("%d brokers, controller %d", len(meta.Brokers), meta.ControllerID)
	}
	for _, b := range meta.Brokers {
		if got := fmt.Sprintf("%s:%d", b.Host, b.Port); got != want[b.NodeID] {
			t.Errorf("node %d advertises %s", b.NodeID, got)
		}
	}
	c.Broker(7).Advertise("moved:3")
	for _, b := range metadata(t, c).Brokers {
		if b.NodeID == 7 && b.Host != "moved" {
			t.Errorf("node 7 advertises %s", b.Host)
		}
	}
}

// metadata asks the first broker.
func metadata(t *testing.T, c *Cluster) *kmsg.MetadataResponse {
	t.Helper()
	answer, err := exchange(t, c.Brokers()[0], 3, 1, []byte{0xff, 0xff, 0, 0, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	meta := kmsg.NewPtrMetadataResponse()
	meta.SetVersion(1)
	if err := meta.ReadFrom(answer); err != nil {
		t.Fatal(err)
	}
	return meta
}

func TestAddAndRemove(t *testing.T) {
	c := start(t, Options{Brokers: three})
	if _, err := c.Add(Spec{ID: 2, Advertise: "x:1"}); err == nil {
		t.Error("a second node 2 was added")
	}
	if _, err := c.Add(Spec{ID: 9, Advertise: "kafka-9.onprem.invalid:9092"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(1); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(3); err == nil {
		t.Error("the controller was removed")
	}
	var ids []int32
	for _, b := range metadata(t, c).Brokers {
		ids = append(ids, b.NodeID)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []int32{2, 3, 9}) {
		t.Errorf("nodes %v", ids)
	}
	cl := client(t, c)
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t"}).FirstErr(); err != nil {
		t.Error(err)
	}
}

func TestBadSpecs(t *testing.T) {
	for _, specs := range [][]Spec{
		nil,
		{{ID: -1, Advertise: "a:1"}},
		{{ID: 1001, Advertise: "a:1"}},
		{{ID: 1, Advertise: "a:1"}, {ID: 1, Advertise: "b:1"}},
		{{ID: 1, Advertise: "a"}},
		{{ID: 1, Advertise: ":1"}},
		{{ID: 1, Advertise: "a:x"}},
	} {
		if c, err := Start(Options{Brokers: specs}); err == nil {
			c.Close()
			t.Errorf("%v was taken", specs)
		}
	}
}

func TestDataDirSurvives(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		c := start(t, Options{Brokers: three, DataDir: dir})
		cl := client(t, c, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if i == 0 {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("kept")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		fetches := cl.PollFetches(t.Context())
		if r := fetches.Records(); len(r) != 1 || string(r[0].Value) != "kept" {
			t.Errorf("run %d: %d records, %v", i, len(r), fetches.Err())
		}
		cl.Close()
		c.Close()
	}
}

func TestBrokerDown(t *testing.T) {
	for _, target := range []string{"1", "kafka-1.onprem.invalid:9092", "kafka-1.virtual:9092"} {
		set := &faults.Set{}
		c := start(t, Options{Brokers: three, Faults: set})
		b := c.Broker(1)
		open, err := net.Dial("tcp", b.Address())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exchangeOn(open, keyApiVersions, 0, []byte{0xff, 0xff}); err != nil {
			t.Fatal(err)
		}
		f, err := set.Add(faults.Fault{Kind: faults.BrokerDown, Target: target})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("open connection: %v, want a reset", err)
		}
		open.Close()
		if conn, err := net.Dial("tcp", b.Address()); err == nil {
			conn.Close()
			t.Error("a broker that is down took a connection")
		}
		if _, err := exchange(t, c.Broker(2), keyApiVersions, 0, []byte{0xff, 0xff}); err != nil {
			t.Errorf("broker 2: %v", err)
		}
		set.Remove(f.ID)
		if _, err := exchange(t, b, keyApiVersions, 0, []byte{0xff, 0xff}); err != nil {
			t.Errorf("after the return: %v", err)
		}
		c.Close()
		set.Close()
	}
}

func TestGuardAnswersFutureApiVersions(t *testing.T) {
	c := start(t, Options{Brokers: three})
	conn, err := net.Dial("tcp", c.Brokers()[0].Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, body := range [][]byte{{0xff, 0xff}, []byte("anything that a later Kafka may put here")} {
		answer, err := exchangeOn(conn, keyApiVersions, 9, body)
		if err != nil {
			t.Fatal(err)
		}
		resp := kmsg.NewPtrApiVersionsResponse()
		if err := resp.ReadFrom(answer); err != nil || resp.ErrorCode != kerr.UnsupportedVersion.Code || len(resp.ApiKeys) != 1 {
			t.Errorf("error code %d, %d keys, %v", resp.ErrorCode, len(resp.ApiKeys), err)
		}
	}
	if _, err := exchangeOn(conn, keyApiVersions, 0, []byte{0xff, 0xff}); err != nil {
		t.Errorf("the connection does not go on: %v", err)
	}
}

func TestGuardRefuses(t *testing.T) {
	c := start(t, Options{Brokers: three})
	frames := map[string][]byte{
		"unknown key":     {0, 0, 0, 10, 0, 55, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"key of nobody":   {0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"negative key":    {0, 0, 0, 10, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"version too new": {0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff},
		"version too old": {0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"negative":        {0, 0, 0, 10, 0, 18, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff},
		"size 0":          {0, 0, 0, 0, 0, 18, 0, 0, 0, 0, 0, 1},
		"size 9":          {0, 0, 0, 9, 0, 18, 0, 0, 0, 0, 0, 1, 0xff},
		"size negative":   {0xff, 0xff, 0xff, 0xff, 0, 18, 0, 0, 0, 0, 0, 1},
		"size huge":       {0x7f, 0xff, 0xff, 0xff, 0, 18, 0, 0, 0, 0, 0, 1},
		"http":            []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"tls":             {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0, 0},
	}
	for name, frame := range frames {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", c.Brokers()[0].Address())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(frame); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("%d bytes came back", n)
			}
		})
	}
	if got := c.Refused(); got != int64(len(frames)) {
		t.Errorf("%d refused, want %d", got, len(frames))
	}
	if _, err := exchange(t, c.Brokers()[0], keyApiVersions, 0, []byte{0xff, 0xff}); err != nil {
		t.Errorf("the broker is gone: %v", err)
	}
}

// TestNoRequestEndsTheProcess sends requests of every kind that the guard lets
// through, with empty and with random bodies: whatever the answer, the cluster
// still works.
func TestNoRequestEndsTheProcess(t *testing.T) {
	c := start(t, Options{Brokers: three})
	b := c.Brokers()[0]
	random := rand.New(rand.NewPCG(1, 2))
	for key, v := range *c.table.Load() {
		for version := v.low; version <= v.high; version++ {
			req := kmsg.RequestForKey(key)
			req.SetVersion(version)
			header := []byte{0xff, 0xff}
			if req.IsFlexible() {
				header = append(header, 0)
			}
			// Bytes under 0x80: else kmsg may take a number of tagged fields for
			// billions and count to it.
			noise := make([]byte, random.IntN(60))
			for i := range noise {
				noise[i] = byte(random.UintN(128))
			}
			for _, body := range [][]byte{req.AppendTo(slices.Clone(header)), append(slices.Clone(header), noise...), header} {
				conn, err := net.Dial("tcp", b.Address())
				if err != nil {
					t.Fatal(err)
				}
				frame := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
				frame = append(frame, byte(key>>8), byte(key), byte(version>>8), byte(version), 0, 0, 0, 1)
				conn.Write(append(frame, body...))
				conn.(*net.TCPConn).CloseWrite()
				conn.SetReadDeadline(time.Now().Add(time.Second))
				conn.Read(make([]byte, 4))
				conn.Close()
			}
		}
	}
	if len(metadata(t, c).Brokers) != 3 {
		t.Error("the cluster lost brokers")
	}
}
