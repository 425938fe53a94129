package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// heartbeat shows a response to whoever watches, as a pump does.
func heartbeat(t *tap.Tap, id int32, code int16) {
	frame := []byte{0, 0, 0, byte(id), byte(code >> 8), byte(code)}
	v := t.Viewer()
	if v == nil {
		return
	}
	f := tap.Frame{Time: time.Now(), Connection: &tap.Connection{Number: 7, Node: "1"}, Key: 12, CorrelationID: id, Size: len(frame)}
	if one := v.Begin(f); one != nil {
		one.Write(append([]byte{0, 0, 0, 6}, frame...))
		one.End(false)
	}
}

var errSeen = errors.New("seen")

// TestTap: frames go to whoever came last, who is told what was dropped while it did not read.
func TestTap(t *testing.T) {
	frames := &tap.Tap{}
	client := &Client{BaseURL: serve(t, &Server{Source: trouble(), Tap: frames})}
	var said []string
	err := client.Tap(t.Context(), tap.Filter{Errors: true, Bodies: true}, func() {
		heartbeat(frames, 1, 0)
		heartbeat(frames, 2, 27)
	}, func(line []byte) error {
		said = append(said, string(line))
		return errSeen
	})
	if !errors.Is(err, errSeen) || len(said) != 1 || !strings.Contains(said[0], `"errors":[{"path":"errorCode","code":27,"name":"REBALANCE_IN_PROGRESS"`) || !strings.Contains(said[0], `"body":{"errorCode":27`) {
		t.Errorf("%v %s", err, said)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = client.Tap(ctx, tap.Filter{}, cancel, func([]byte) error { return nil })
	if err != nil {
		t.Errorf("a viewer that gives up: %v", err)
	}
	first := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		first <- client.Tap(t.Context(), tap.Filter{}, func() { close(ready) }, func(line []byte) error { return fmt.Errorf("%s", line) })
	}()
	<-ready
	err = client.Tap(t.Context(), tap.Filter{}, func() { heartbeat(frames, 3, 0) }, func([]byte) error { return errSeen })
	if !errors.Is(err, errSeen) {
		t.Errorf("the second: %v", err)
	}
	if err := <-first; err == nil || err.Error() != `{"over":"somebody else watches now"}` {
		t.Errorf("the first: %v", err)
	}
}

// TestTapIsNotRead: what is shown does not wait for who watches, and whoever comes next does
// not either.
func TestTapIsNotRead(t *testing.T) {
	frames := &tap.Tap{}
	client := &Client{BaseURL: serve(t, &Server{Source: trouble(), Tap: frames})}
	const shown = 200_000 // more than all buffers on the way take
	var seen, dropped uint64
	err := client.Tap(t.Context(), tap.Filter{}, func() {
		if frames.Viewer() == nil {
			t.Error("frames are not shown yet")
		}
		for range shown {
			heartbeat(frames, 1, 0) // nobody reads yet
		}
	}, func(line []byte) error {
		var e tap.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Kind != "" {
			seen++
		}
		if dropped += e.Dropped; e.Dropped == 0 && e.Kind == "" || seen+dropped == shown {
			return errSeen
		}
		return nil
	})
	if !errors.Is(err, errSeen) || seen+dropped != shown || dropped == 0 {
		t.Errorf("%d were seen and %d dropped, of %d: %v", seen, dropped, shown, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stuck, err := client.open(ctx, "/tap") // reads nothing, for ever
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	for range shown {
		heartbeat(frames, 1, 0)
	}
	if err := client.Tap(t.Context(), tap.Filter{}, func() { heartbeat(frames, 1, 0) }, func([]byte) error { return errSeen }); !errors.Is(err, errSeen) {
		t.Errorf("behind one that does not read: %v", err)
	}
}

// TestTapEndsWithTheServer: who watches does not hold it up.
func TestTapEndsWithTheServer(t *testing.T) {
	frames := &tap.Tap{}
	client := &Client{BaseURL: serve(t, &Server{Source: trouble(), Tap: frames})}
	err := client.Tap(t.Context(), tap.Filter{}, frames.Close, func([]byte) error { return nil })
	if err == nil || !strings.HasSuffix(err.Error(), "has ended") {
		t.Error(err)
	}
}

// TestTapRefuses: it has to be wanted, and is for this machine.
func TestTapRefuses(t *testing.T) {
	if w := ask(trouble(), true, "GET", "/tap"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "KAFKA_TUNNEL_ADMIN_TAP=true") {
		t.Errorf("without admin.tap: %d %s", w.Code, w.Body)
	}
	if w := ask(trouble(), false, "GET", "/tap"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "loopback only") {
		t.Errorf("beyond loopback: %d %s", w.Code, w.Body)
	}
	frames := &tap.Tap{}
	client := &Client{BaseURL: serve(t, &Server{Source: trouble(), Tap: frames})}
	for query, want := range map[string]string{"api=x": `"x" is no API`, "%zz": "malformed"} {
		if _, err := client.open(t.Context(), "/tap?"+query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", query, err)
		}
	}
	if frames.Viewer() != nil {
		t.Error("somebody watches")
	}
}

// TestRenderFrame: what people see.
func TestRenderFrame(t *testing.T) {
	latency := 0.0123
	at := time.Date(2026, 11, 21, 9, 8, 7, 6e6, time.Local)
	moved := wire.LocatedError{Path: "x", Error: wire.ErrorOf(6)}
	for _, tt := range []struct {
		e    tap.Event
		want string
	}{
		{tap.Event{Time: at, Conn: 7, Node: "1", Kind: tap.Request, API: "Produce", Version: 12, Size: 1234, Software: "sarama\x1b v1"}, "09:08:07.006  #7     node 1     > Produce:12                           1234             sarama\\x1b v1\n"},
		{tap.Event{Time: at, Conn: 7, Node: "1", Kind: tap.Response, API: "Produce", Version: 12, Size: 99, LatencySeconds: &latency, Errors: []wire.LocatedError{moved, moved}, Body: json.RawMessage(`{"a":1}`)}, "09:08:07.006  #7     node 1     < Produce:12                             99       12ms  NOT_LEADER_OR_FOLLOWER x2\n  {\"a\":1}\n"},
		{tap.Event{Time: at, Conn: 123456, Node: "bootstrap", Kind: tap.Token, Size: 9, Cut: true}, "09:08:07.006  #123456  bootstrap  - SASL token                              9             the connection ended inside it\n"},
		{tap.Event{Time: at, Conn: 7, Node: "1", Kind: tap.Response, API: "Fetch", Version: 17, Size: 9, Unread: "5 of its 9 bytes are there"}, "09:08:07.006  #7     node 1     < Fetch:17                                9             not decoded: 5 of its 9 bytes are there\n"},
		{tap.Event{Notice: tap.Notice{Dropped: 42}}, "... 42 frames were dropped: they came faster than they were read\n"},
		{tap.Event{Notice: tap.Notice{Over: "done"}}, "over: done\n"},
	} {
		var b bytes.Buffer
		if err := RenderFrame(&b, tt.e); err != nil || b.String() != tt.want {
			t.Errorf("%q, want\n%q, %v", b.String(), tt.want, err)
		}
	}
}
