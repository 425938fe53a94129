package session

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// taken returns the frames that wait for a viewer, and how many were dropped.
func taken(v *tap.Viewer) (frames []*tap.Frame, dropped uint64) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		f, n, err := v.Next(over)
		dropped += n
		switch {
		case err != nil && !v.Waiting():
			return frames, dropped
		case f != nil:
			frames = append(frames, f)
		}
	}
}

// shown compares the frames that were shown with what the two sides have sent, before
// addresses were replaced.
func (m *model) shown(v *tap.Viewer) error {
	var want [2][][]byte
	for _, e := range m.p {
		want[0] = append(want[0], e.request)
		if e.response != nil && !e.local {
			want[1] = append(want[1], e.response)
		}
	}
	frames, _ := taken(v)
	var got [2][]*tap.Frame
	for _, f := range frames {
		switch {
		case f.Request:
			got[0] = append(got[0], f)
		case !f.Local:
			got[1] = append(got[1], f)
		}
	}
	for side := range got {
		if len(got[side]) > len(want[side]) || m.end == (ending{-1, -1}) && len(got[side]) < len(want[side]) {
			return fmt.Errorf("%d frames were shown, not %d", len(got[side]), len(want[side]))
		}
		for i, f := range got[side] {
			frame := want[side][i][kafka.SizeLen:]
			if f.Size != len(frame) || !bytes.HasPrefix(frame, f.Bytes) || len(f.Bytes) < f.Size && !f.Cut && f.Withheld != tap.Secret {
				return fmt.Errorf("frame %d of side %d: %d of %d bytes were shown, the frame has %d, cut %t", i, side, len(f.Bytes), f.Size, len(frame), f.Cut)
			}
		}
	}
	return nil
}

// watched starts a session whose frames are shown.
func watched(t *testing.T, filter tap.Filter) (*bench, *tap.Viewer) {
	t.Helper()
	frames := &tap.Tap{}
	b := start(t, func(h *Handler) { h.Tap = frames }, nil)
	return b, frames.Watch(filter)
}

// TestAViewerThatDoesNotRead: connections do not wait for a slow viewer, and it is
// notified of the frames that it missed.
func TestAViewerThatDoesNotRead(t *testing.T) {
	b, viewer := watched(t, tap.Filter{Bodies: true})
	const exchanges = 6000
	for id := range int32(exchanges) {
		write(t, b.client, request(heartbeat, 0, id, "body"))
		expect(t, b.broker, request(heartbeat, 0, id, "body"))
		write(t, b.broker, response(id, "answer"))
		expect(t, b.client, response(id, "answer"))
	}
	frames, dropped := taken(viewer)
	if len(frames) == 0 || dropped == 0 || len(frames)+int(dropped) != 2*exchanges {
		t.Errorf("%d frames were shown and %d dropped, of %d", len(frames), dropped, 2*exchanges)
	}
	write(t, b.client, request(heartbeat, 0, 1, "late"))
	expect(t, b.broker, request(heartbeat, 0, 1, "late"))
	write(t, b.broker, response(1, "answer"))
	expect(t, b.client, response(1, "answer"))
	if frames, dropped = taken(viewer); len(frames) != 2 || dropped != 0 {
		t.Errorf("%d frames were shown and %d dropped, of the last 2", len(frames), dropped)
	}
}

// TestShownFrames: a shown frame carries, besides its bytes, its metadata: connection,
// target, client software, addresses.
func TestShownFrames(t *testing.T) {
	b, viewer := watched(t, tap.Filter{})
	hello := request(kafka.KeyApiVersions, 3, 1, "\x00\x08sarama!\x06v1.47\x00")
	write(t, b.client, hello)
	expect(t, b.broker, hello)
	answer := response(1, "\x00\x00\x01\x00\x00\x00\x00\x00")
	write(t, b.broker, answer)
	expect(t, b.client, answer)
	write(t, b.client, request(kafka.KeyFindCoordinator, 0, 2, "f"))
	expect(t, b.broker, request(kafka.KeyFindCoordinator, 0, 2, "f"))
	write(t, b.broker, coordinator(2, realName, 9092))
	expect(t, b.client, coordinator(2, "localhost", 19101))
	write(t, b.client, request(kafka.KeyApiVersions, 99, 3, ""))
	expect(t, b.client, kafka.AppendApiVersionsTooNew(nil, 3))
	write(t, b.client, request(heartbeat, 0, 4, "a part that is not all")[:12])
	_ = b.client.CloseWrite()
	<-b.over
	frames, _ := taken(viewer)
	// The client may send the next request before the pump has shown the response that
	// it wrote.
	slices.SortStableFunc(frames, func(a, b *tap.Frame) int { return cmp.Compare(a.CorrelationID, b.CorrelationID) })
	var got []string
	for _, f := range frames {
		if f.Connection == nil || f.Target != "kafka-1.corp:9092" || time.Since(f.Time) > time.Minute || f.Software != "sarama! v1.47"[:min(13, len(f.Software))] || f.Request && f.Bytes != nil {
			t.Errorf("%+v", f)
		}
		got = append(got, fmt.Sprintf("%t %s:%d %d local=%t cut=%t addresses=%d bytes=%d", f.Request, kafka.Name(f.Key), f.Version, f.CorrelationID, f.Local, f.Cut, f.Addresses, len(f.Bytes)))
	}
	want := []string{
		"true ApiVersions:3 1 local=false cut=false addresses=0 bytes=0",
		"false ApiVersions:3 1 local=false cut=false addresses=0 bytes=12",
		"true FindCoordinator:0 2 local=false cut=false addresses=0 bytes=0",
		"false FindCoordinator:0 2 local=false cut=false addresses=1 bytes=35",
		"true ApiVersions:99 3 local=false cut=false addresses=0 bytes=0",
		"false ApiVersions:99 3 local=true cut=false addresses=0 bytes=0",
		"true Heartbeat:0 4 local=false cut=true addresses=0 bytes=0",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("shown\n%q, want\n%q", got, want)
	}
}

// TestALargeFrameIsShownInPart: a viewer gets the beginning of a large frame, and the
// rest is relayed as usual.
func TestALargeFrameIsShownInPart(t *testing.T) {
	b, viewer := watched(t, tap.Filter{Bodies: true, Records: true})
	ask, answer := request(kafka.KeyFetch, 15, 7, ""), fetched(15, 7, 3<<20)
	for range 2 { // the frame after a large one is only peeked at
		write(t, b.client, ask)
		expect(t, b.broker, ask)
		sent := make(chan error, 1)
		go func() {
			_, err := b.broker.Write(answer)
			sent <- err
		}()
		expect(t, b.client, answer)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	var frames []*tap.Frame
	// The pump may show a response after the client has received it and sent its next
	// request.
	for range 4 {
		f, dropped, err := viewer.Next(t.Context())
		if err != nil || dropped > 0 {
			t.Fatalf("%d frames were dropped, %v", dropped, err)
		}
		if !f.Request {
			frames = append(frames, f)
		}
	}
	if len(frames) != 2 {
		t.Fatalf("%d responses were shown", len(frames))
	}
	for _, f := range frames {
		if f.Cut || f.Size != len(answer)-kafka.SizeLen || len(f.Bytes) != tap.MaxBytes || !bytes.HasPrefix(answer[kafka.SizeLen:], f.Bytes) {
			t.Errorf("%d of %d bytes were shown, cut %t", len(f.Bytes), f.Size, f.Cut)
		}
	}
}
