package session

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// startParking starts a session whose pumps park after a millisecond without bytes.
// parked waits until one more pump parks.
func startParking(t *testing.T) (b *bench, parked func()) {
	t.Helper()
	parks := make(chan struct{}, 100)
	b = start(t, func(h *Handler) {
		h.every = time.Millisecond
		h.Stall = time.Minute
		h.Freed = func() { parks <- struct{}{} }
	}, nil)
	return b, func() {
		t.Helper()
		select {
		case <-parks:
		case <-time.After(time.Minute):
			t.Fatal("no pump parks")
		}
	}
}

// exchange sends a request and its response through the session.
func (b *bench) exchange(t *testing.T, correlation int32) {
	t.Helper()
	write(t, b.client, request(heartbeat, 0, correlation, "ask"))
	expect(t, b.broker, request(heartbeat, 0, correlation, "ask"))
	write(t, b.broker, response(correlation, "answer"))
	expect(t, b.client, response(correlation, "answer"))
}

func TestPumpsParkAndResume(t *testing.T) {
	b, parked := startParking(t)
	for i := range int32(10) {
		b.exchange(t, i)
		parked()
		parked() // both of them
	}
	_ = b.client.CloseWrite()
	expectEnd(t, b.broker, nil)
	if s := <-b.over; s.Result != ClientClosed || s.Requests != 10 || s.Err != nil {
		t.Errorf("summary %+v", s)
	}
}

// TestParkWithARequestInFlight: the pumps park during a long poll, such as that of a
// consumer without new records.
func TestParkWithARequestInFlight(t *testing.T) {
	b, parked := startParking(t)
	write(t, b.client, request(heartbeat, 0, 1, ""))
	expect(t, b.broker, request(heartbeat, 0, 1, ""))
	parked()
	parked()
	write(t, b.broker, response(1, "late"))
	expect(t, b.client, response(1, "late"))
}

// TestNoParkInsideAFrame: a pump does not park inside a frame, so the limit on silence
// there still applies.
func TestNoParkInsideAFrame(t *testing.T) {
	var looks atomic.Int64
	b := start(t, func(h *Handler) {
		h.every = time.Millisecond
		h.Stall = 50 * time.Millisecond
		h.onCheck = func() { looks.Add(1) }
	}, nil)
	b.exchange(t, 1)
	write(t, b.client, request(heartbeat, 0, 2, "begun and not finished")[:20])
	select {
	case s := <-b.over:
		if !failure.Is(s.Err, failure.ClientStalled) {
			t.Errorf("summary %+v after %d checks", s, looks.Load())
		}
	case <-time.After(time.Minute):
		t.Error("an unfinished frame has no time limit")
	}
}

// TestEndsWhileParked: every event that ends a connection also ends one whose pumps are
// parked.
func TestEndsWhileParked(t *testing.T) {
	for name, test := range map[string]struct {
		inFlight       bool
		end            func(b *bench)
		client, broker error
		result         Result
	}{
		"the client closes":               {end: func(b *bench) { _ = b.client.CloseWrite() }, result: ClientClosed},
		"the client closes during a poll": {inFlight: true, end: func(b *bench) { _ = b.client.CloseWrite(); _, _ = b.broker.Write(response(9, "")) }, result: ClientClosed},
		"the broker closes":               {end: func(b *bench) { _ = b.broker.CloseWrite() }, result: BrokerClosed},
		"the broker closes during a poll": {inFlight: true, end: func(b *bench) { _ = b.broker.CloseWrite() }, result: BrokerClosed},
		"the client resets":               {end: func(b *bench) { relay.Abort(b.client) }, client: net.ErrClosed, broker: syscall.ECONNRESET, result: Failed},
		"the broker resets":               {end: func(b *bench) { relay.Abort(b.broker) }, broker: net.ErrClosed, client: syscall.ECONNRESET, result: Failed},
		"an unexpected response arrives":  {end: func(b *bench) { _, _ = b.broker.Write(response(3, "")) }, result: Failed},
	} {
		t.Run(name, func(t *testing.T) {
			b, parked := startParking(t)
			b.exchange(t, 1)
			if test.inFlight {
				write(t, b.client, request(heartbeat, 0, 9, ""))
				expect(t, b.broker, request(heartbeat, 0, 9, ""))
			}
			parked()
			parked()
			test.end(b)
			s := <-b.over
			if s.Result != test.result {
				t.Errorf("summary %+v", s)
			}
			for conn, want := range map[*net.TCPConn]error{b.client: test.client, b.broker: test.broker} {
				if _, err := io.ReadAll(conn); !errors.Is(err, want) {
					t.Errorf("one side ended with %v, want %v", err, want)
				}
			}
		})
	}
}

func TestStoppedWhileParked(t *testing.T) {
	near, inner := testutil.Pair(t)
	_, upstream := testutil.Pair(t)
	parks, over := make(chan struct{}, 100), make(chan Summary, 1)
	h := &Handler{every: time.Millisecond, Freed: func() { parks <- struct{}{} }}
	go h.Serve(t.Context(), inner, &owner{dial: to(upstream), over: over})
	write(t, near, request(heartbeat, 0, 1, ""))
	<-parks
	<-parks
	h.Close()
	if s := <-over; s.Result != Stopped {
		t.Errorf("summary %+v", s)
	}
}
