package session

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

const realName = "kafka-1.onprem.corp"

// metadata is a Metadata v1 response frame with one broker and many topics.
func metadata(correlation int32, host string, port int32, topics int) []byte {
	r := kmsg.NewPtrMetadataResponse()
	r.Version = 1
	broker := kmsg.NewMetadataResponseBroker()
	broker.NodeID, broker.Host, broker.Port = 1, host, port
	r.Brokers = append(r.Brokers, broker)
	for range topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = kmsg.StringPtr(strings.Repeat("t", 100))
		r.Topics = append(r.Topics, topic)
	}
	return response(correlation, string(r.AppendTo(nil)))
}

// coordinator is a FindCoordinator v0 response frame.
func coordinator(correlation int32, host string, port int32) []byte {
	r := kmsg.NewPtrFindCoordinatorResponse()
	r.NodeID, r.Host, r.Port = 1, host, port
	return response(correlation, string(r.AppendTo(nil)))
}

// produce is a Produce v3 request frame.
func produce(correlation int32, acks int16, clientID string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(kafka.KeyProduce))
	b = binary.BigEndian.AppendUint16(b, 3)
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = binary.BigEndian.AppendUint16(b, uint16(len(clientID)))
	b = append(b, clientID...)
	b = binary.BigEndian.AppendUint16(b, 0xffff) // no transactional id
	b = binary.BigEndian.AppendUint16(b, uint16(acks))
	b = append(b, 0, 0, 0, 9, 0, 0, 0, 0) // time-out, no topics
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func TestAddressesAreReplaced(t *testing.T) {
	for _, pieces := range []int{1, 2, 3, 7, 1 << 20} { // bytes per write; the last: everything in one write
		b := start(t, nil, nil)
		asked := bytes.Join([][]byte{
			request(kafka.KeyMetadata, 1, 1, "m"), request(heartbeat, 0, 2, ""), request(kafka.KeyFindCoordinator, 0, 3, "f"), request(kafka.KeyMetadata, 1, 4, "m"),
		}, nil)
		write(t, b.client, asked)
		expect(t, b.broker, asked)
		answer := bytes.Join([][]byte{
			metadata(1, realName, 9092, 3), response(2, "h"), coordinator(3, realName, 9092), metadata(4, realName, 9092, 3),
		}, nil)
		go func() {
			for len(answer) > 0 {
				n := min(pieces, len(answer))
				if _, err := b.broker.Write(answer[:n]); err != nil {
					return
				}
				answer = answer[n:]
			}
		}()
		expect(t, b.client,
			metadata(1, "localhost", 19101, 3), response(2, "h"), coordinator(3, "localhost", 19101), metadata(4, "localhost", 19101, 3))
	}
}

func TestLargeMetadataIsNotHeld(t *testing.T) {
	b := start(t, nil, nil)
	write(t, b.client, request(kafka.KeyMetadata, 1, 1, ""))
	expect(t, b.broker, request(kafka.KeyMetadata, 1, 1, ""))
	answer := metadata(1, realName, 9092, 20_000)
	half := len(answer) / 2
	write(t, b.broker, answer[:half]) // the rest never arrives
	got := make([]byte, 1_000_000)
	if _, err := io.ReadFull(b.client, got); err != nil {
		t.Fatal(err)
	}
	if want := metadata(1, "localhost", 19101, 20_000); !bytes.Equal(got, want[:len(got)]) {
		t.Error("the first half differs")
	}
}

func TestMalformedResponsesDoNotPass(t *testing.T) {
	broken := func(f func([]byte)) []byte {
		b := metadata(1, realName, 9092, 1)
		f(b)
		return b
	}
	tests := []struct {
		name  string
		bytes []byte
		code  failure.Code
	}{
		{"a count beyond the frame", broken(func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<30) }), failure.ResponseMalformed},
		{"a negative count", broken(func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<31) }), failure.ResponseMalformed},
		{"a host beyond the frame", broken(func(b []byte) { binary.BigEndian.PutUint16(b[16:], 30000) }), failure.ResponseMalformed},
		{"nothing but the correlation id", response(1, ""), failure.ResponseMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, nil, nil)
			write(t, b.client, request(kafka.KeyMetadata, 1, 1, ""))
			expect(t, b.broker, request(kafka.KeyMetadata, 1, 1, ""))
			write(t, b.broker, tt.bytes)
			if got, _ := io.ReadAll(b.client); len(got) > 0 {
				t.Errorf("%d bytes have reached the client", len(got))
			}
			if s := <-b.over; !failure.Is(s.Err, tt.code) {
				t.Errorf("summary %+v, want %s", s, tt.code)
			}
		})
	}
}

func TestRefusedVersionsDoNotPass(t *testing.T) {
	for _, r := range []struct {
		key, version int16
		code         failure.Code
	}{
		{kafka.KeyMetadata, 14, failure.VersionTooNew},
		{kafka.KeyProduce, 14, failure.VersionTooNew},
		{kafka.KeyFindCoordinator, 7, failure.VersionTooNew},
		{kafka.KeyFetch, 19, failure.VersionTooNew},
		{kafka.KeyDescribeCluster, 3, failure.VersionTooNew},
		{kafka.KeyShareFetch, 3, failure.VersionTooNew},
		{kafka.KeyShareAcknowledge, 3, failure.VersionTooNew},
	} {
		b := start(t, nil, nil)
		write(t, b.client, request(heartbeat, 0, 1, ""), request(r.key, r.version, 2, ""))
		expect(t, b.broker, request(heartbeat, 0, 1, ""))
		expectEnd(t, b.broker, nil)
		if s := <-b.over; !failure.Is(s.Err, r.code) {
			t.Errorf("%s v%d: summary %+v, want %s", kafka.Name(r.key), r.version, s, r.code)
		}
	}
}

func TestATooNewApiVersionsIsAnsweredInOrder(t *testing.T) {
	tooNew := func(correlation int32) []byte { return request(kafka.KeyApiVersions, 6, correlation, "body") }
	answer := func(correlation int32) []byte { return kafka.AppendApiVersionsTooNew(nil, correlation) }

	b := start(t, nil, nil)
	write(t, b.client, tooNew(1)) // nothing is in flight: answered at once
	expect(t, b.client, answer(1))
	write(t, b.client, request(heartbeat, 0, 2, ""), tooNew(3), tooNew(4), request(heartbeat, 0, 5, ""), tooNew(6))
	expect(t, b.broker, request(heartbeat, 0, 2, ""), request(heartbeat, 0, 5, ""))
	write(t, b.broker, response(2, "two"))
	expect(t, b.client, response(2, "two"), answer(3), answer(4))
	write(t, b.broker, response(5, "five"))
	expect(t, b.client, response(5, "five"), answer(6))
	write(t, b.client, tooNew(7))
	expect(t, b.client, answer(7))
}

func TestAcksZeroHasNoResponse(t *testing.T) {
	b := start(t, nil, nil)
	frames := [][]byte{produce(1, 0, "app"), produce(2, 1, "app"), produce(3, 0, strings.Repeat("i", 32767)), request(heartbeat, 0, 4, "")}
	write(t, b.client, frames...)
	expect(t, b.broker, frames...)
	write(t, b.broker, response(2, "p"), response(4, "h"))
	expect(t, b.client, response(2, "p"), response(4, "h"))
}

func TestAcksZeroWrittenBeforeTheDialIsDelivered(t *testing.T) {
	release := make(chan struct{})
	broker, upstream := testutil.Pair(t)
	b := start(t, nil, slowDial(release, func() net.Conn { return upstream }))
	frames := [][]byte{produce(1, 0, ""), produce(2, 0, "")}
	write(t, b.client, frames...)
	<-b.dialed
	_ = b.client.Close()
	close(release)
	expect(t, broker, frames...)
	expectEnd(t, broker, nil)
	if s := <-b.over; s.Err != nil {
		t.Errorf("summary %+v", s)
	}
}

func TestManyRequestsInFlight(t *testing.T) {
	// The client sends more requests than the queue holds, and no response is read
	// until all are written: the broker sees at most the queue's capacity, and in the
	// end everything arrives.
	b := start(t, nil, nil)
	const n = 3 * queueCapacity
	written := make(chan error, 1)
	go func() {
		for i := range int32(n) {
			if _, err := b.client.Write(request(heartbeat, 0, i, "")); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	go func() {
		for i := range int32(n) {
			frame := make([]byte, 14)
			if _, err := io.ReadFull(b.broker, frame); err != nil {
				return
			}
			if _, err := b.broker.Write(response(i, "")); err != nil {
				return
			}
		}
	}()
	for i := range int32(n) {
		expect(t, b.client, response(i, ""))
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

// TestNoAllocationPerFrame: no frame costs an allocation, whether it passes, is
// inspected or is spliced.
func TestNoAllocationPerFrame(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops buffers on purpose")
	}
	produced := func(version int16) []byte {
		r := kmsg.NewPtrProduceResponse()
		r.SetVersion(version)
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic = "topic"
		topic.Partitions = append(topic.Partitions, kmsg.NewProduceResponseTopicPartition())
		r.Topics = append(r.Topics, topic)
		head := []byte{0, 0, 0, 0, 0, 0, 0, 7}
		if r.IsFlexible() {
			head = append(head, 0)
		}
		frame := r.AppendTo(head)
		binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
		return frame
	}
	large := strings.Repeat("x", 200<<10)
	for _, tt := range []struct {
		name       string
		ask, reply []byte
	}{
		{"small", request(heartbeat, 0, 7, "body"), response(7, "answer")},
		{"a large request", request(heartbeat, 0, 7, large), response(7, "answer")},
		{"a large response", request(heartbeat, 0, 7, "body"), response(7, large)},
		{"Produce v9", produce(7, 1, "app"), produced(9)},
		{"Produce v11", request(kafka.KeyProduce, 11, 7, "\x00\x00\x00\x01"), produced(11)},
		{"Produce v13", request(kafka.KeyProduce, 13, 7, "\x00\x00\x00\x01"), produced(13)},
		{"Fetch v15", request(kafka.KeyFetch, 15, 7, ""), fetched(15, 7, 1000)},
		{"Fetch v17", request(kafka.KeyFetch, 17, 7, ""), fetched(17, 7, 1000)},
		{"Fetch v17, large", request(kafka.KeyFetch, 17, 7, ""), fetched(17, 7, len(large))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n := allocations(t, tt.ask, tt.reply); n >= 1 {
				t.Errorf("%v allocations for a request and its response", n)
			}
		})
	}
}

// allocations returns the number of allocations for one request and its response.
func allocations(t *testing.T, ask, reply []byte) float64 {
	t.Helper()
	near, inner := testutil.Pair(t)
	broker, upstream := testutil.Pair(t)
	for _, conn := range []*net.TCPConn{near, inner, broker, upstream} { // all bytes in flight must fit
		_ = conn.SetReadBuffer(1 << 20)
		_ = conn.SetWriteBuffer(1 << 20)
	}
	h := &Handler{Mapper: kafka.MapperFunc(toLocalhost)}
	over := make(chan Summary, 1)
	go func() {
		h.Serve(t.Context(), inner, &owner{dial: to(upstream), over: over})
	}()
	buf := make([]byte, max(len(ask), len(reply)))
	exchange := func() {
		if _, err := near.Write(ask); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(broker, buf[:len(ask)]); err != nil {
			t.Error(err)
		}
		if _, err := broker.Write(reply); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(near, buf[:len(reply)]); err != nil {
			t.Error(err)
		}
	}
	_ = near.SetDeadline(time.Now().Add(time.Minute))
	_ = broker.SetDeadline(time.Now().Add(time.Minute))
	for range 20 { // buffers, pipes and the queue are allocated
		exchange()
	}
	n := testing.AllocsPerRun(200, exchange)
	h.Close()
	<-over
	return n
}
