package session

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/budget"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// groups is a FindCoordinator response for n groups, with this host.
func groups(n int, host string) []byte {
	r := kmsg.NewPtrFindCoordinatorResponse()
	r.SetVersion(4)
	for i := range n {
		one := kmsg.NewFindCoordinatorResponseCoordinator()
		one.Key, one.NodeID, one.Host, one.Port = fmt.Sprintf("group-%d", i), int32(i%3), host, 9092
		if host == "localhost" {
			one.Port = 19100 + one.NodeID
		}
		r.Coordinators = append(r.Coordinators, one)
	}
	return flexible(1, r)
}

// brokerArray is a Metadata response with n brokers of this host and one large topic.
func brokerArray(n int, host string) []byte {
	r := kmsg.NewPtrMetadataResponse()
	r.SetVersion(9)
	for i := range int32(n) {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = i, host, 9092
		if host == "localhost" {
			b.Port = 19100 + i
		}
		r.Brokers = append(r.Brokers, b)
	}
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic = kmsg.StringPtr(strings.Repeat("t", 300<<10))
	r.Topics = append(r.Topics, topic)
	return flexible(1, r)
}

// produced is a Produce response with one error text of this size and a new leader.
func produced(text int) []byte {
	r := kmsg.NewPtrProduceResponse()
	r.SetVersion(11)
	topic, partition := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
	partition.ErrorMessage = kmsg.StringPtr(strings.Repeat("e", text))
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, partition)
	node := kmsg.NewProduceResponseBroker()
	node.NodeID, node.Host, node.Port = 1, realName, 9092
	r.Topics, r.Brokers = append(r.Topics, topic), append(r.Brokers, node)
	return flexible(1, r)
}

// TestHeldResponses: responses larger than a buffer are rewritten like small ones, with
// large buffers and when only small ones are left. Nothing is held once they have
// passed.
func TestHeldResponses(t *testing.T) {
	tests := map[string]struct{ request, response, want []byte }{
		"whole":                      {request(kafka.KeyFindCoordinator, 4, 1, ""), groups(20_000, realName), groups(20_000, "localhost")},
		"whole, between the buffers": {request(kafka.KeyFindCoordinator, 4, 1, ""), groups(300, realName), groups(300, "localhost")},
		"head":                       {request(kafka.KeyMetadata, 9, 1, ""), brokerArray(5000, realName), brokerArray(5000, "localhost")},
		"head, a few brokers":        {request(kafka.KeyMetadata, 9, 1, ""), brokerArray(3, realName), brokerArray(3, "localhost")},
	}
	for name, test := range tests {
		for kind, large := range map[string]bool{"large buffers": true, "small buffers": false} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				memory := budget.New(16 << 20)
				for !large && memory.LendBuffer(relay.BufferSize) {
				}
				lent, _ := memory.Held() // before the connection starts, which takes buffers too
				b := start(t, func(h *Handler) { h.Budget = memory }, nil)
				write(t, b.client, test.request)
				expect(t, b.broker, test.request)
				var sender sync.WaitGroup
				sender.Go(func() {
					_, _ = b.broker.Write(test.response)
					_, _ = b.broker.Write(response(2, "next"))
				})
				expect(t, b.client, test.want)
				sender.Wait()
				_ = b.client.CloseWrite()
				if s := <-b.over; s.Result != Failed { // no request is in flight for the last response
					t.Logf("summary %+v", s)
				}
				if held, waiting := memory.Held(); held != lent || waiting != 0 {
					t.Errorf("%d bytes are held, %d wait; before %d", held, waiting, lent)
				}
			})
		}
	}
}

// TestLargeProduceStreams: a large Produce response is streamed and not held: 20 MiB
// pass although the budget is used up.
func TestLargeProduceStreams(t *testing.T) {
	b := start(t, func(h *Handler) { h.Budget = budget.New(1 << 20) }, nil)
	all := b.handler.Budget.Request(int(b.handler.Budget.Largest()), nil)
	defer all.Release()
	for b.handler.Budget.LendBuffer(relay.BufferSize) {
	}
	ask := produceV9(1, 11)
	write(t, b.client, ask)
	expect(t, b.broker, ask)
	answer := produced(20 << 20)
	var sender sync.WaitGroup
	defer sender.Wait()
	sender.Go(func() { _, _ = b.broker.Write(answer) })
	got := make([]byte, len(answer)) // at equal length
	if _, err := io.ReadFull(b.client, got); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(got, []byte(realName)) || !bytes.Contains(got, []byte("localhost")) {
		t.Error("the address was not replaced")
	}
}

// TestHoldsWaitInOrder: a response that does not fit into the budget waits, and its
// client can leave meanwhile. A response larger than the whole budget ends its
// connection.
func TestHoldsWaitInOrder(t *testing.T) {
	memory := budget.New(16 << 20)
	ask := request(kafka.KeyFindCoordinator, 4, 1, "")
	begin := func(answer []byte) *bench {
		b := start(t, func(h *Handler) { h.Budget = memory }, nil)
		write(t, b.client, ask)
		expect(t, b.broker, ask)
		var sender sync.WaitGroup
		t.Cleanup(sender.Wait)
		sender.Go(func() { _, _ = b.broker.Write(answer) })
		return b
	}
	all := memory.Request(int(memory.Largest()), nil)
	answer := groups(20_000, realName)
	leaves, stays := begin(answer), begin(answer)
	for _, waiting := memory.Held(); waiting < 2; _, waiting = memory.Held() {
		<-time.After(time.Millisecond)
	}
	relay.Abort(leaves.client)
	if s := <-leaves.over; !failure.Is(s.Err, failure.ClientReset) {
		t.Errorf("summary %+v", s)
	}
	all.Release()
	expect(t, stays.client, groups(20_000, "localhost"))

	large := begin(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 15<<20), 1))
	expectEnd(t, large.client, nil)
	if s := <-large.over; !failure.Is(s.Err, failure.ResponseTooLarge) || !strings.Contains(s.Err.Error(), "memory limit") {
		t.Errorf("summary %+v", s)
	}
}

// TestAStalledHoldEnds: a client that does not read its held response is disconnected
// after others have waited long for the memory, and the others get their responses.
func TestAStalledHoldEnds(t *testing.T) {
	testutil.Long(t) // lasts as long as the budget tolerates a stalled hold
	t.Parallel()
	memory := budget.New(16 << 20)
	b := start(t, func(h *Handler) { h.Budget = memory }, nil)
	_ = b.client.SetReadBuffer(4 << 10)
	ask := request(kafka.KeyFindCoordinator, 4, 1, "")
	write(t, b.client, ask)
	expect(t, b.broker, ask)
	_ = b.inner.SetWriteBuffer(64 << 10)
	answer := groups(60_000, strings.Repeat("h", 60))
	var sender sync.WaitGroup
	defer sender.Wait()
	sender.Go(func() { _, _ = b.broker.Write(answer) })
	for held, _ := memory.Held(); held < int64(len(answer)); held, _ = memory.Held() {
		<-time.After(time.Millisecond)
	}
	other := memory.Request(int(memory.Largest()), nil)
	if err := other.Wait(); err != nil {
		t.Fatal(err)
	}
	other.Release()
	if s := <-b.over; !failure.Is(s.Err, failure.MemoryStalled) {
		t.Errorf("summary %+v", s)
	}
	if _, err := io.Copy(io.Discard, b.client); err != nil && !strings.Contains(err.Error(), syscall.ECONNRESET.Error()) {
		t.Error(err)
	}
}
