package session

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

func TestMain(m *testing.M) {
	// All runs of the model together run 10 000 programs, this many each, unless the
	// command line sets another number.
	_ = flag.Set("rapid.checks", strconv.Itoa(10_000/modelRuns))
	goleak.VerifyTestMain(m)
}

// bench is a session between a client and a broker that the test plays.
type bench struct {
	client *net.TCPConn // the test's end
	broker *net.TCPConn // the test's end

	inner    *net.TCPConn // the session's own end towards the client
	upstream *net.TCPConn // the session's own end towards the broker
	handler  *Handler

	dialed chan struct{}
	over   chan Summary
}

// start starts a session. change may alter the handler; dial replaces the dial.
func start(t *testing.T, change func(*Handler), dial dialFunc) *bench {
	t.Helper()
	b := &bench{dialed: make(chan struct{}), over: make(chan Summary, 1)}
	var inner, upstream *net.TCPConn
	b.client, inner = testutil.Pair(t)
	b.inner = inner
	b.broker, upstream = testutil.Pair(t)
	b.upstream = upstream
	h := &Handler{Mapper: kafka.MapperFunc(toLocalhost), Hold: time.Minute}
	if change != nil {
		change(h)
	}
	b.handler = h
	var once sync.Once
	if dial == nil {
		dial = to(upstream)
	}
	one := &owner{over: b.over, name: tap.Connection{Number: 7, Node: "1"}, dial: func(ctx context.Context) (net.Conn, string, error) {
		once.Do(func() { close(b.dialed) })
		return dial(ctx)
	}}
	go h.Serve(context.WithoutCancel(t.Context()), inner, one)
	t.Cleanup(func() {
		h.Close()
		_ = b.client.Close()
		_ = b.broker.Close()
	})
	return b
}

func toLocalhost(eps []kafka.Endpoint) error {
	for i := range eps {
		eps[i].Host, eps[i].Port = "localhost", 19100+eps[i].NodeID
	}
	return nil
}

// request is a whole request frame with a null client id.
func request(key, version int16, correlation int32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(10+len(body)))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = append(b, 0xff, 0xff)
	return append(b, body...)
}

// response is a whole response frame.
func response(correlation int32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	return append(b, body...)
}

func write(t *testing.T, conn net.Conn, frames ...[]byte) {
	t.Helper()
	if _, err := conn.Write(bytes.Join(frames, nil)); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, conn net.Conn, frames ...[]byte) {
	t.Helper()
	want := bytes.Join(frames, nil)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil {
		t.Fatalf("after %d of %d bytes: %v", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x", got, want)
	}
}

func expectEnd(t *testing.T, conn net.Conn, want error) {
	t.Helper()
	rest, err := io.ReadAll(conn)
	if len(rest) > 0 {
		t.Errorf("unexpected bytes % x", rest)
	}
	if !errors.Is(err, want) {
		t.Errorf("the connection ended with %v, want %v", err, want)
	}
}

// heartbeat is an API that always passes.
const heartbeat = 12

func TestFramesPassBothWays(t *testing.T) {
	b := start(t, nil, nil)
	large := strings.Repeat("x", 3*relay.BufferSize)
	write(t, b.client, request(heartbeat, 0, 1, "one"), request(heartbeat, 0, 2, large), request(heartbeat, 0, 3, ""))
	expect(t, b.broker, request(heartbeat, 0, 1, "one"), request(heartbeat, 0, 2, large), request(heartbeat, 0, 3, ""))
	write(t, b.broker, response(1, "a"), response(2, large), response(3, ""))
	expect(t, b.client, response(1, "a"), response(2, large), response(3, ""))
	_ = b.client.Close()
	s := <-b.over
	if s.Result != ClientClosed || s.Err != nil || s.Requests != 3 || s.Target != "kafka-1.corp:9092" {
		t.Errorf("summary %+v", s)
	}
	if s.ToBroker != int64(len(large))+3+3*14 || s.ToClient != int64(len(large))+1+3*8 {
		t.Errorf("%d bytes to the broker, %d to the client", s.ToBroker, s.ToClient)
	}
	expectEnd(t, b.broker, nil)
}

func TestByteAtATime(t *testing.T) {
	b := start(t, nil, nil)
	sent := bytes.Join([][]byte{request(heartbeat, 0, 1, "one"), request(heartbeat, 4, 2, "two")}, nil)
	for i := range sent {
		write(t, b.client, sent[i:i+1])
	}
	expect(t, b.broker, sent)
	back := bytes.Join([][]byte{response(1, "first"), response(2, "second")}, nil)
	for i := range back {
		write(t, b.broker, back[i:i+1])
	}
	expect(t, b.client, back)
}

func TestNothingIsDialledForAPortProbe(t *testing.T) {
	b := start(t, nil, nil)
	_ = b.client.Close()
	if s := <-b.over; s.Result != Silent || s.Err != nil {
		t.Errorf("summary %+v", s)
	}
	select {
	case <-b.dialed:
		t.Error("the upstream was dialled")
	default:
	}
}

func TestRefusedFirstBytes(t *testing.T) {
	tests := []struct {
		name   string
		bytes  []byte
		code   failure.Code
		answer string
	}{
		{"TLS hello", []byte{0x16, 0x03, 0x01, 0x02}, failure.TLSOnPlainPort, ""},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost:9092\r\n\r\n"), failure.HTTPOnKafkaPort, "HTTP/1.1 400"},
		{"HTTP POST", []byte("POST /topics HTTP/1.1\r\n\r\n"), failure.HTTPOnKafkaPort, "HTTP/1.1 400"},
		{"text", []byte("hello, world"), failure.NotKafka, ""},
		{"negative length", []byte{0xff, 0xff, 0xff, 0xff}, failure.NotKafka, ""},
		{"huge length", []byte{0x7f, 0xff, 0xff, 0xff}, failure.NotKafka, ""},
		{"length 0", []byte{0, 0, 0, 0}, failure.NotKafka, ""},
		{"length 7", []byte{0, 0, 0, 7}, failure.NotKafka, ""},
		{"negative key", request(-3, 0, 1, ""), failure.NotKafka, ""},
		{"negative version", request(3, -1, 1, ""), failure.NotKafka, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, nil, nil)
			write(t, b.client, tt.bytes)
			got, err := io.ReadAll(b.client)
			if err != nil {
				t.Errorf("the connection ended with %v, want FIN", err)
			}
			if !strings.HasPrefix(string(got), tt.answer) || tt.answer == "" && len(got) > 0 {
				t.Errorf("answered %q", got)
			}
			s := <-b.over
			if s.Result != Refused || !failure.Is(s.Err, tt.code) {
				t.Errorf("summary %+v, want %s", s, tt.code)
			}
			select {
			case <-b.dialed:
				t.Error("the upstream was dialled")
			default:
			}
		})
	}
}

func TestBadFramesEndTheConnection(t *testing.T) {
	good := request(heartbeat, 0, 1, "")
	tests := []struct {
		name  string
		bytes []byte
		code  failure.Code
	}{
		{"negative length", []byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, failure.BadFrame},
		{"length 7", []byte{0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0}, failure.BadFrame},
		{"too large", request(heartbeat, 0, 2, strings.Repeat("x", 2000)), failure.RequestTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, func(h *Handler) { h.MaxRequest = 1000 }, nil)
			write(t, b.client, good, tt.bytes)
			expect(t, b.broker, good)
			expectEnd(t, b.broker, nil)
			if s := <-b.over; s.Result != Failed || !failure.Is(s.Err, tt.code) {
				t.Errorf("summary %+v, want %s", s, tt.code)
			}
			expectEnd(t, b.client, nil)
		})
	}
}

func TestUnexpectedResponses(t *testing.T) {
	tests := []struct {
		name  string
		bytes []byte
		code  failure.Code
	}{
		{"wrong correlation id", response(2, "secret.onprem.corp"), failure.UnexpectedResponse},
		{"length 3", []byte{0, 0, 0, 3, 0, 0, 0, 1}, failure.ResponseMalformed},
		{"a TLS alert", []byte{21, 3, 3, 0, 2, 2, 40}, failure.BrokerExpectsTLS},
		{"a TLS alert after a response", append(response(1, ""), 21, 3, 3, 0, 2, 2, 40, 0), failure.UnexpectedResponse},
		{"negative length", []byte{0x80, 0, 0, 3, 0, 0, 0, 1}, failure.ResponseMalformed},
		{"one response too many", append(response(1, ""), response(1, "secret.onprem.corp")...), failure.UnexpectedResponse},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, nil, nil)
			write(t, b.client, request(heartbeat, 0, 1, ""))
			expect(t, b.broker, request(heartbeat, 0, 1, ""))
			write(t, b.broker, tt.bytes)
			got, _ := io.ReadAll(b.client)
			if bytes.Contains(got, []byte("secret")) {
				t.Error("bytes of the response have passed")
			}
			if s := <-b.over; s.Result != Failed || !failure.Is(s.Err, tt.code) {
				t.Errorf("summary %+v, want %s", s, tt.code)
			}
		})
	}
}

func TestTheClientGetsTheLastResponses(t *testing.T) {
	b := start(t, nil, nil)
	write(t, b.client, request(heartbeat, 0, 1, ""), request(heartbeat, 0, 2, ""))
	expect(t, b.broker, request(heartbeat, 0, 1, ""), request(heartbeat, 0, 2, ""))
	_ = b.client.CloseWrite()
	write(t, b.broker, response(1, "one"), response(2, "two"))
	expect(t, b.client, response(1, "one"), response(2, "two"))
	expectEnd(t, b.client, nil)
	if s := <-b.over; s.Result != ClientClosed || s.Err != nil {
		t.Errorf("summary %+v", s)
	}
	expectEnd(t, b.broker, nil)
}

func TestTheBrokersLastBytesReachTheClient(t *testing.T) {
	b := start(t, nil, nil)
	write(t, b.client, request(heartbeat, 0, 1, ""))
	expect(t, b.broker, request(heartbeat, 0, 1, ""))
	write(t, b.broker, response(1, "bye"))
	_ = b.broker.Close()
	expect(t, b.client, response(1, "bye"))
	expectEnd(t, b.client, nil)
	if s := <-b.over; s.Result != BrokerClosed || s.Err != nil {
		t.Errorf("summary %+v", s)
	}
}

func TestAResetOnOneSideResetsTheOther(t *testing.T) {
	t.Run("broker", func(t *testing.T) {
		b := start(t, nil, nil)
		write(t, b.client, request(heartbeat, 0, 1, ""))
		expect(t, b.broker, request(heartbeat, 0, 1, ""))
		relay.Abort(b.broker)
		expectEnd(t, b.client, syscall.ECONNRESET)
		if s := <-b.over; !failure.Is(s.Err, failure.BrokerReset) {
			t.Errorf("summary %+v", s)
		}
	})
	t.Run("client", func(t *testing.T) {
		b := start(t, nil, nil)
		write(t, b.client, request(heartbeat, 0, 1, ""))
		expect(t, b.broker, request(heartbeat, 0, 1, ""))
		relay.Abort(b.client)
		expectEnd(t, b.broker, syscall.ECONNRESET)
		if s := <-b.over; !failure.Is(s.Err, failure.ClientReset) {
			t.Errorf("summary %+v", s)
		}
	})
}

func TestAStalledFrameEndsTheConnection(t *testing.T) {
	short := func(h *Handler) { h.Stall = 20 * time.Millisecond }
	t.Run("client", func(t *testing.T) {
		b := start(t, short, nil)
		write(t, b.client, request(heartbeat, 0, 1, "whole"), request(heartbeat, 0, 2, "half")[:16])
		expect(t, b.broker, request(heartbeat, 0, 1, "whole"))
		if s := <-b.over; !failure.Is(s.Err, failure.ClientStalled) {
			t.Errorf("summary %+v", s)
		}
	})
	t.Run("broker", func(t *testing.T) {
		b := start(t, short, nil)
		write(t, b.client, request(heartbeat, 0, 1, ""))
		expect(t, b.broker, request(heartbeat, 0, 1, ""))
		write(t, b.broker, response(1, "half")[:6])
		if s := <-b.over; !failure.Is(s.Err, failure.BrokerStalled) {
			t.Errorf("summary %+v", s)
		}
	})
}

func TestADialThatFailsClosesTheClient(t *testing.T) {
	want := failure.New(failure.BrokerUnreachable, nil).For("kafka-1.corp:9092", "")
	b := start(t, nil, func(context.Context) (net.Conn, string, error) { return nil, "kafka-1.corp:9092", want })
	write(t, b.client, request(heartbeat, 0, 1, ""))
	expectEnd(t, b.client, syscall.ECONNRESET)
	if s := <-b.over; s.Result != NotReached || !errors.Is(s.Err, want) {
		t.Errorf("summary %+v", s)
	}
}

// slowDial waits until its context ends or release is closed.
func slowDial(release <-chan struct{}, conn func() net.Conn) dialFunc {
	return func(ctx context.Context) (net.Conn, string, error) {
		select {
		case <-release:
			return conn(), "kafka-1.corp:9092", nil
		case <-ctx.Done():
			return nil, "kafka-1.corp:9092", failure.New(failure.ProxySilent, ctx.Err())
		}
	}
}

func TestAClientThatLeavesCancelsTheDial(t *testing.T) {
	for _, leave := range []func(net.Conn){func(c net.Conn) { _ = c.Close() }, relay.Abort} {
		b := start(t, nil, slowDial(nil, nil))
		write(t, b.client, request(heartbeat, 0, 1, ""))
		<-b.dialed
		leave(b.client)
		if s := <-b.over; s.Result != NotReached || !failure.Is(s.Err, failure.ClientGone) && !failure.Is(s.Err, failure.ClientReset) {
			t.Errorf("summary %+v", s)
		}
	}
}

func TestTheHoldTimeLimitsTheDial(t *testing.T) {
	b := start(t, func(h *Handler) { h.Hold = 20 * time.Millisecond }, slowDial(nil, nil))
	write(t, b.client, request(heartbeat, 0, 1, ""))
	expectEnd(t, b.client, syscall.ECONNRESET)
	if s := <-b.over; !failure.Is(s.Err, failure.ProxySilent) {
		t.Errorf("summary %+v", s)
	}
}

func TestBytesSentDuringTheDialAreDelivered(t *testing.T) {
	release := make(chan struct{})
	broker, upstream := testutil.Pair(t)
	b := start(t, nil, slowDial(release, func() net.Conn { return upstream }))
	frames := [][]byte{request(heartbeat, 0, 1, "x")}
	write(t, b.client, frames[0])
	<-b.dialed
	for i := range int32(40) { // more bytes than are read ahead
		f := request(heartbeat, 0, 2+i, strings.Repeat("y", 1000))
		frames = append(frames, f)
		write(t, b.client, f)
	}
	close(release)
	expect(t, broker, frames...)
}

func TestStopEndsEveryConnection(t *testing.T) {
	near, inner := testutil.Pair(t)
	over := make(chan Summary, 1)
	h := &Handler{}
	go func() { h.Serve(t.Context(), inner, &owner{dial: slowDial(nil, nil), over: over}) }()
	write(t, near, request(heartbeat, 0, 1, ""))
	h.Close()
	if s := <-over; s.Result != Stopped {
		t.Errorf("summary %+v", s)
	}
}
