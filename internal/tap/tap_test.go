package tap

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pass shows a frame as a pump does.
func pass(v *Viewer, f Frame, b []byte) {
	f.Size = len(b)
	if f.Connection == nil {
		f.Connection = &Connection{Number: 7, Node: "1"}
	}
	one := v.Begin(f)
	if one == nil {
		return
	}
	one.Write([]byte{0, 0})
	one.Write([]byte{0, 0})
	one.Write(b[:len(b)/2])
	one.Write(b[len(b)/2:])
	one.End(false)
}

func next(t *testing.T, v *Viewer) *Frame {
	t.Helper()
	f, dropped, err := v.Next(t.Context())
	if err != nil || dropped != 0 || f == nil {
		t.Fatalf("%v, %d dropped, %v", f, dropped, err)
	}
	return f
}

// TestNoViewer: nor one of a tap that is nil.
func TestNoViewer(t *testing.T) {
	var none *Tap
	if none.Viewer() != nil || new(Tap).Viewer() != nil {
		t.Error("there is a viewer")
	}
	none.Close()
}

// TestTheNewestViewerWatches: the one before it ends.
func TestTheNewestViewerWatches(t *testing.T) {
	frames := &Tap{}
	first := frames.Watch(Filter{})
	second := frames.Watch(Filter{})
	if _, _, err := first.Next(t.Context()); !errors.Is(err, ErrReplaced) {
		t.Errorf("the first: %v", err)
	}
	first.Close() // does not end the second
	pass(frames.Viewer(), Frame{Request: true}, []byte("frame"))
	next(t, second)
	frames.Close()
	if _, _, err := second.Next(t.Context()); !errors.Is(err, ErrClosed) || frames.Viewer() != nil {
		t.Errorf("the second: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := frames.Watch(Filter{}).Next(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a viewer that gives up: %v", err)
	}
}

// TestFilter: what is shown, and how much of it is kept.
func TestFilter(t *testing.T) {
	one, two := &Connection{Number: 1, Node: "bootstrap"}, &Connection{Number: 2, Node: "2"}
	request, response, token := Frame{Request: true, Key: 3, Connection: one}, Frame{Key: 3, Connection: two}, Frame{Token: true, Connection: one}
	for _, tt := range []struct {
		name   string
		filter Filter
		frame  Frame
		kept   int // -1: it is not shown
	}{
		{"a request", Filter{}, request, 0},
		{"its body", Filter{Bodies: true}, request, 5},
		{"a response", Filter{}, response, 5},
		{"a token", Filter{Bodies: true}, token, 0},
		{"no query gets it", Filter{Bodies: true, Records: true}, token, 0},
		{"an API", Filter{APIs: []int16{1, 3}}, request, 0},
		{"another", Filter{APIs: []int16{1}}, request, -1},
		{"a token has none", Filter{APIs: []int16{0}}, token, -1},
		{"a node", Filter{Nodes: []string{"2"}}, response, 5},
		{"another", Filter{Nodes: []string{"2"}}, request, -1},
		{"a connection", Filter{Conns: []uint64{1}}, request, 0},
		{"another", Filter{Conns: []uint64{1}}, response, -1},
		{"errors are in responses", Filter{Errors: true}, request, -1},
		{"errors are in responses", Filter{Errors: true}, response, 5},
		{"errors are in responses", Filter{Errors: true}, token, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := new(Tap).Watch(tt.filter)
			defer v.Close()
			pass(v, tt.frame, []byte("frame"))
			if v.Waiting() != (tt.kept >= 0) {
				t.Fatalf("shown: %t", v.Waiting())
			}
			if tt.kept >= 0 {
				if f := next(t, v); string(f.Bytes) != "frame"[:tt.kept] {
					t.Errorf("%q was kept", f.Bytes)
				}
			}
		})
	}
}

// TestBounds: a viewer that does not read is shown less, and then nothing, and is sent the number.
func TestBounds(t *testing.T) {
	v := new(Tap).Watch(Filter{Bodies: true})
	defer v.Close()
	large := make([]byte, MaxBytes+10)
	for range queueLength + 3 {
		pass(v, Frame{}, large)
	}
	var bytes, frames int
	for v.Waiting() {
		f := next(t, v)
		bytes += len(f.Bytes)
		frames++
	}
	if frames != queueLength || bytes > maxHeld || bytes < maxHeld-MaxBytes {
		t.Errorf("%d frames with %d bytes were kept", frames, bytes)
	}
	if f, dropped, err := v.Next(t.Context()); f != nil || dropped != 3 || err != nil {
		t.Errorf("%v, %d dropped, %v", f, dropped, err)
	}
	if held := v.held; held != 0 {
		t.Errorf("%d bytes are held for no frame", held)
	}
	pass(v, Frame{}, large) // what was held is free again
	if f := next(t, v); len(f.Bytes) != MaxBytes {
		t.Errorf("%d bytes were kept", len(f.Bytes))
	}
}

// TestAdmission: what is held goes through the tap's admission, what is not admitted is left
// out, and all of it is released, whatever becomes of the viewer.
func TestAdmission(t *testing.T) {
	held, most := 0, 2000
	frames := &Tap{
		Admit: func(n int) bool {
			if held+n > most {
				return false
			}
			held += n
			return true
		},
		Release: func(n int) { held -= n },
	}
	v := frames.Watch(Filter{Bodies: true})
	for range 3 {
		pass(v, Frame{}, make([]byte, 900))
	}
	for _, want := range []int{900, 900, 0} {
		if f := next(t, v); len(f.Bytes) != want {
			t.Errorf("%d bytes were kept, want %d", len(f.Bytes), want)
		}
	}
	if held != 0 {
		t.Errorf("%d bytes are held behind the last frame", held)
	}
	pass(v, Frame{}, make([]byte, 900))
	late := v.Begin(Frame{Size: 10, Connection: &Connection{Node: "1"}})
	late.Write(make([]byte, 4+5))
	next(t, v)
	frames.Watch(Filter{}) // replaces v, which holds a frame in part and another one in its reader
	if held != 0 {
		t.Errorf("%d bytes are held for a viewer that has ended", held)
	}
	late.Write(make([]byte, 5))
	late.End(false)
	if _, _, err := v.Next(t.Context()); err != nil {
		t.Errorf("what was in the queue: %v", err)
	}
	if _, _, err := v.Next(t.Context()); !errors.Is(err, ErrReplaced) || held != 0 {
		t.Errorf("%v, %d bytes are held", err, held)
	}
	frames.Close()
}

// TestTheNumberOfDroppedFramesComesInTheirPlace.
func TestTheNumberOfDroppedFramesComesInTheirPlace(t *testing.T) {
	v := new(Tap).Watch(Filter{})
	defer v.Close()
	for range queueLength + 5 {
		pass(v, Frame{CorrelationID: 1}, nil)
	}
	next(t, v)
	pass(v, Frame{CorrelationID: 2}, nil)
	for range queueLength - 1 {
		if f := next(t, v); f.CorrelationID != 1 {
			t.Fatal("the last one is too early")
		}
	}
	if f, dropped, err := v.Next(t.Context()); f.CorrelationID != 2 || dropped != 5 || err != nil {
		t.Errorf("%v, %d dropped, %v", f, dropped, err)
	}
}

// TestQuery: what is written is read, and what is not understood is an error.
func TestQuery(t *testing.T) {
	f := Filter{APIs: []int16{1, 3}, Nodes: []string{"2", "bootstrap"}, Conns: []uint64{7}, Errors: true, Bodies: true, Records: true}
	if got, err := ParseQuery(f.Query()); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := ParseQuery(url.Values{"api": {"fetch"}, "records": {"true"}}); err != nil || got.APIs[0] != 1 || !got.Bodies {
		t.Errorf("%+v %v", got, err)
	}
	for query, want := range map[string]string{
		"api=Nonsense": `unknown API "Nonsense"`,
		"node=x":       "neither an id nor bootstrap",
		"conn=-1":      "not a connection number",
		"errors=maybe": "true or false",
		"topic=orders": `unknown parameter "topic"`,
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = ParseQuery(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", query, err)
		}
	}
}
