package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// lines calls each with the lines of JSON that `kafka-tunnel tap` prints.
func lines(f tap.Filter, each func(line []byte) error) func(tap.Message) error {
	decoder := inspect.NewTapDecoder(f)
	return func(m tap.Message) error {
		e, shown := decoder.Message(m)
		if !shown {
			return nil
		}
		line, err := e.AppendJSON(nil)
		if err != nil {
			return err
		}
		return each(bytes.TrimSpace(line))
	}
}

// heartbeat shows a response to the viewer, as a pump does.
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

// TestTap: frames go to the newest viewer.
func TestTap(t *testing.T) {
	frames := &tap.Tap{}
	client := &Client{BaseURL: serve(t, &Server{Source: trouble(), Tap: frames})}
	var said []string
	filter := tap.Filter{Errors: true, Bodies: true}
	err := client.Tap(t.Context(), filter, func() {
		heartbeat(frames, 1, 0)
		heartbeat(frames, 2, 27)
	}, lines(filter, func(line []byte) error {
		said = append(said, string(line))
		return errSeen
	}))
	if !errors.Is(err, errSeen) || len(said) != 1 || !strings.Contains(said[0], `"errors":[{"path":"errorCode","code":27,"name":"REBALANCE_IN_PROGRESS"`) || !strings.Contains(said[0], `"body":{"errorCode":27`) {
		t.Errorf("%v %s", err, said)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = client.Tap(ctx, tap.Filter{}, cancel, func(tap.Message) error { return nil })
	if err != nil {
		t.Errorf("a viewer that leaves: %v", err)
	}
	first := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		first <- client.Tap(t.Context(), tap.Filter{}, func() { close(ready) }, lines(tap.Filter{}, func(line []byte) error { return fmt.Errorf("%s", line) }))
	}()
	<-ready
	err = client.Tap(t.Context(), tap.Filter{}, func() { heartbeat(frames, 3, 0) }, func(tap.Message) error { return errSeen })
	if !errors.Is(err, errSeen) {
		t.Errorf("the second: %v", err)
	}
	if err := <-first; err == nil || err.Error() != `{"over":"another viewer has started"}` {
		t.Errorf("the first: %v", err)
	}
}

// TestTapIsNotRead: frames do not wait for a viewer that does not read, and neither does the
// next viewer.
func TestTapIsNotRead(t *testing.T) {
	frames := &tap.Tap{}
	client := &Client{BaseURL: serve(t, &Server{Source: trouble(), Tap: frames})}
	const shown = 200_000 // more than all buffers in between take
	var seen, dropped uint64
	err := client.Tap(t.Context(), tap.Filter{}, func() {
		if frames.Viewer() == nil {
			t.Error("frames are not shown yet")
		}
		for range shown {
			heartbeat(frames, 1, 0) // not read yet
		}
	}, func(m tap.Message) error {
		if m.Frame != nil {
			seen++
		}
		if dropped += m.Dropped; m.Dropped == 0 && m.Frame == nil || seen+dropped == shown {
			return errSeen
		}
		return nil
	})
	if !errors.Is(err, errSeen) || seen+dropped != shown || dropped == 0 {
		t.Errorf("%d were seen and %d dropped, of %d: %v", seen, dropped, shown, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stuck, err := client.open(ctx, "/tap") // never reads
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	for range shown {
		heartbeat(frames, 1, 0)
	}
	if err := client.Tap(t.Context(), tap.Filter{}, func() { heartbeat(frames, 1, 0) }, func(tap.Message) error { return errSeen }); !errors.Is(err, errSeen) {
		t.Errorf("behind one that does not read: %v", err)
	}
}

// TestAViewerThatDoesNotReadIsBounded: large frames pass at once, and little of them is held.
func TestAViewerThatDoesNotReadIsBounded(t *testing.T) {
	var held, most atomic.Int64
	frames := &tap.Tap{
		Admit: func(n int) bool {
			now := held.Add(int64(n))
			most.Store(max(most.Load(), now))
			return true
		},
		Release: func(n int) { held.Add(-int64(n)) },
	}
	client := &Client{BaseURL: serve(t, &Server{Source: trouble(), Tap: frames})}
	stuck, err := client.open(t.Context(), "/tap?bodies=true&records=true") // never reads
	if err != nil {
		t.Fatal(err)
	}
	large := make([]byte, tap.MaxBytes)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 2000 {
		f := tap.Frame{Time: time.Now(), Connection: &tap.Connection{Number: 7, Node: "1"}, Request: true, Size: len(large)}
		if one := frames.Viewer().Begin(f); one != nil {
			one.Write(append([]byte{0, 16, 0, 0}, large[:60<<10]...))
			one.Write(large[60<<10:])
			one.End(false)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	const bound = 8 << 20 // of the tap
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); most.Load() > bound || most.Load() < bound/2 || grown > bound+2<<20 {
		t.Errorf("%d bytes were admitted at a time, the heap has grown by %d", most.Load(), grown)
	}
	stuck.Close()
	frames.Close()
	if n := held.Load(); n != 0 {
		t.Errorf("%d bytes are held for no viewer", n)
	}
}

// TestTapOfAnotherVersion: a tunnel that answers in another format is named.
func TestTapOfAnotherVersion(t *testing.T) {
	for contentType, want := range map[string]string{
		"application/x-ndjson": "has another version",
		tap.ContentType:        "does not support",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", serverName)
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write(bytes.Repeat([]byte("{}\n"), 100))
		}))
		defer server.Close()
		err := (&Client{BaseURL: server.URL}).Tap(t.Context(), tap.Filter{}, func() {}, func(tap.Message) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", contentType, err)
		}
	}
}

// TestTapEndsWithTheServer: a viewer does not delay it.
func TestTapEndsWithTheServer(t *testing.T) {
	frames := &tap.Tap{}
	client := &Client{BaseURL: serve(t, &Server{Source: trouble(), Tap: frames})}
	err := client.Tap(t.Context(), tap.Filter{}, frames.Close, func(tap.Message) error { return nil })
	if err == nil || !strings.HasSuffix(err.Error(), "has stopped") {
		t.Error(err)
	}
}

// TestTapRefuses: it must be enabled, and is only for this machine.
func TestTapRefuses(t *testing.T) {
	if w := ask(trouble(), true, "GET", "/tap"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "KAFKA_TUNNEL_ADMIN_TAP=true") {
		t.Errorf("without admin.tap: %d %s", w.Code, w.Body)
	}
	if w := ask(trouble(), false, "GET", "/tap"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "loopback only") {
		t.Errorf("beyond loopback: %d %s", w.Code, w.Body)
	}
	frames := &tap.Tap{}
	client := &Client{BaseURL: serve(t, &Server{Source: trouble(), Tap: frames})}
	for query, want := range map[string]string{"api=x": `unknown API "x"`, "%zz": "malformed"} {
		if _, err := client.open(t.Context(), "/tap?"+query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", query, err)
		}
	}
	if frames.Viewer() != nil {
		t.Error("there is a viewer")
	}
}
