package session

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// A halfClosed is a request and its response of about a thousand bytes, named by how
// the tunnel treats the response.
type halfClosed struct {
	request, response []byte
	want              []byte // nil: the response itself
}

func halfCloses() map[string]halfClosed {
	fill := strings.Repeat("x", 940)
	named := func(host string, port int32) []byte {
		r := kmsg.NewPtrFindCoordinatorResponse()
		r.SetVersion(4)
		one := kmsg.NewFindCoordinatorResponseCoordinator()
		one.Key, one.NodeID, one.Host, one.Port = fill, 1, host, port
		r.Coordinators = append(r.Coordinators, one)
		return flexible(1, r)
	}
	brokers := func(host string, port int32) []byte {
		r := kmsg.NewPtrMetadataResponse()
		r.SetVersion(9)
		b, topic := kmsg.NewMetadataResponseBroker(), kmsg.NewMetadataResponseTopic()
		b.NodeID, b.Host, b.Port = 1, host, port
		topic.Topic = kmsg.StringPtr(fill)
		r.Brokers, r.Topics = append(r.Brokers, b), append(r.Topics, topic)
		return flexible(1, r)
	}
	return map[string]halfClosed{
		"passed": {request(heartbeat, 0, 1, ""), response(1, fill+strings.Repeat("y", 52)), nil},
		"walked": {request(kafka.KeyFetch, 17, 1, ""), fetched(17, 1, 950), nil},
		"whole":  {request(kafka.KeyFindCoordinator, 4, 1, ""), named(realName, 9092), named("localhost", 19101)},
		"head":   {request(kafka.KeyMetadata, 9, 1, ""), brokers(realName, 9092), brokers("localhost", 19101)},
	}
}

// flexible is a whole response frame with an empty tag section in its header.
func flexible(correlation int32, r kmsg.Response) []byte {
	frame := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(correlation))
	frame = r.AppendTo(append(frame, 0))
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}

// TestAHalfCloseCutsNoResponse: a client that closes its write side after any number of
// response bytes, or before the first, gets the whole response.
func TestAHalfCloseCutsNoResponse(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, test := range halfCloses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := test.want
			if want == nil {
				want = test.response
			}
			for at := range len(test.response) {
				closing := make(chan struct{})
				b := start(t, func(h *Handler) { h.onClose = func() { close(closing) } }, nil)
				write(t, b.client, test.request)
				expect(t, b.broker, test.request)
				write(t, b.broker, test.response[:at])
				_ = b.client.CloseWrite()
				<-closing
				write(t, b.broker, test.response[at:])
				expect(t, b.client, want)
				expectEnd(t, b.client, nil)
				if s := <-b.over; s.Result != ClientClosed || s.Err != nil {
					t.Fatalf("at byte %d: %+v", at, s)
				}
			}
		})
	}
}

// TestAHalfCloseInALargeResponse: a client that reads slowly and closes its write side
// in the middle of a response of 20 MB gets the rest, spliced or through the walker.
func TestAHalfCloseInALargeResponse(t *testing.T) {
	t.Parallel() // it mostly waits
	const size, early = 20 << 20, 200 << 10
	for name, version := range map[string]int16{"passed": 11, "walked": 17} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := fetched(version, 1, size)
			b := start(t, func(h *Handler) { h.Stall = time.Minute }, nil)
			_ = b.client.SetReadBuffer(64 << 10)
			ask := request(kafka.KeyFetch, version, 1, "")
			write(t, b.client, ask)
			expect(t, b.broker, ask)
			var sender sync.WaitGroup
			defer sender.Wait()
			sender.Go(func() { _, _ = b.broker.Write(answer) })
			expect(t, b.client, answer[:early])
			_ = b.client.CloseWrite()
			got, err := io.ReadAll(b.client)
			if err != nil || !bytes.Equal(got, answer[early:]) {
				t.Errorf("%d of %d bytes came after the half-close: %v", len(got), len(answer)-early, err)
			}
			if s := <-b.over; s.Result != ClientClosed || s.Err != nil {
				t.Errorf("summary %+v", s)
			}
		})
	}
}

// TestAClientThatClosesInsideAFetch: a client that closes its socket, not only its
// write side, while a long poll is being answered causes no failure. Consumers stop
// like this.
func TestAClientThatClosesInsideAFetch(t *testing.T) {
	closing := make(chan struct{})
	b := start(t, func(h *Handler) { h.onClose = func() { close(closing) } }, nil)
	ask := request(kafka.KeyFetch, 11, 1, "")
	write(t, b.client, ask)
	expect(t, b.broker, ask)
	_ = b.client.Close()
	<-closing
	answer := fetched(11, 1, 4<<20)
	if _, err := b.broker.Write(answer); err == nil {
		_, _ = io.Copy(io.Discard, b.broker)
	}
	if s := <-b.over; s.Result != ClientClosed || s.Err != nil {
		t.Errorf("summary %+v", s)
	}
}
