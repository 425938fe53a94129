package tap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// some is a frame in which no field has its zero value.
func some() *Frame {
	return &Frame{
		Time: time.Unix(1700000000, 123456789), Connection: &Connection{Number: 1 << 40, Cluster: "default", Node: "2", Client: "127.0.0.1:5"},
		Target: "kafka-1.corp:9092", Software: "kgo v1", Request: true, Token: true, Local: true, Cut: true, AllCodes: true,
		Key: 3, Version: 12, CorrelationID: -7, Size: 900, Latency: 5 * time.Millisecond, Addresses: 3, Withheld: NeedsRecords,
		Bytes: []byte("the first bytes"),
	}
}

func written(t testing.TB, write func(w *Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	write(w)
	return b.Bytes()
}

// TestStream: what is written is read, in pieces of any length.
func TestStream(t *testing.T) {
	gaps := some()
	gaps.Gaps = []kafka.Span{{Start: 3, End: 10}, {Start: 12, End: 13}}
	cut := some()
	cut.Software = strings.Repeat("x", maxText+1)
	b := written(t, func(w *Writer) {
		_ = w.Frame(some())
		_ = w.Dropped(42)
		_ = w.Frame(gaps)
		_ = w.Frame(&Frame{Time: time.Unix(1, 0), Connection: &Connection{}})
		_ = w.Frame(cut)
		_ = w.End("why")
	})
	filled := some()
	filled.Bytes = []byte("the\x00\x00\x00\x00\x00\x00\x00 f\x00irst bytes")
	short := some()
	short.Software = cut.Software[:maxText]
	want := []Message{
		{Frame: some()}, {Dropped: 42}, {Frame: filled},
		{Frame: &Frame{Time: time.Unix(1, 0), Connection: &Connection{}, Bytes: []byte{}}}, {Frame: short}, {End: "why"},
	}
	r := NewReader(&slowReader{b})
	for i := range want {
		m, err := r.Next()
		if err != nil || !reflect.DeepEqual(m, want[i]) {
			t.Errorf("%+v %v, want\n%+v", m.Frame, err, want[i].Frame)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	b = written(t, func(w *Writer) { _, _ = w.Frame(some()), w.Frame(gaps) })
	for n := range b { // cut off anywhere
		r := NewReader(bytes.NewReader(b[:n]))
		for err := error(nil); err == nil; {
			if _, err = r.Next(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("after %d bytes: %v", n, err)
			}
		}
	}
}

// A slowReader returns a few bytes at a time.
type slowReader struct{ b []byte }

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 7)], r.b)
	r.b = r.b[n:]
	return n, nil
}

// TestStreamOfOthers: every length is checked before memory is taken for it.
func TestStreamOfOthers(t *testing.T) {
	payload := func(change func(b []byte) []byte) []byte {
		f := some()
		f.Connection, f.Target, f.Software = &Connection{}, "", ""
		f.Gaps = []kafka.Span{{Start: 3, End: 10}}
		b := written(t, func(w *Writer) { _ = w.Frame(f) })[len(magic):]
		b = change(b)
		binary.BigEndian.PutUint32(b, uint32(len(b)-5))
		return append([]byte(magic), b...)
	}
	const (
		flagsAt = 5 + 16
		sizeAt  = flagsAt + 2 + 8
		gapsAt  = messageHead + frameHead - 2
		textAt  = gapsAt - 2*texts
	)
	at := func(offset int, with ...byte) []byte {
		return payload(func(b []byte) []byte {
			copy(b[offset:], with)
			return b
		})
	}
	for name, b := range map[string][]byte{
		"JSON":                      []byte(`{"time":"2026-11-21T09:08:07Z","conn":1}`),
		"another version":           []byte("kafka-tunnel tap 1\n....."),
		"a message that is long":    append([]byte(magic), 0xff, 0xff, 0xff, 0xff, 'F'),
		"an unknown kind":           append([]byte(magic), 0, 0, 0, 0, 'X'),
		"a short number":            append([]byte(magic), 0, 0, 0, 3, 'D', 0, 0, 1),
		"a long number":             append([]byte(magic), 0, 0, 0, 9, 'D', 0, 0, 0, 0, 0, 0, 0, 1, 1),
		"no number":                 append([]byte(magic), 0, 0, 0, 8, 'D', 0, 0, 0, 0, 0, 0, 0, 0),
		"an end without a reason":   append([]byte(magic), 0, 0, 0, 0, 'E'),
		"an unknown flag":           at(flagsAt, 0x20),
		"an unknown reason":         at(flagsAt+1, byte(endOfWithheld)),
		"a negative size":           at(sizeAt, 0xff),
		"more bytes than the size":  at(sizeAt, 0, 0, 0, 9),
		"a text that is too long":   at(textAt, 0xff, 0xff),
		"gaps that are too many":    at(gapsAt, 0xff, 0xff),
		"gaps without room":         at(gapsAt, 0, 9),
		"a gap that ends early":     at(gapsAt+2, 0, 0, 0, 10),
		"a gap behind all bytes":    at(gapsAt+2, 0, 0, 0, 200, 0, 0, 0, 201),
		"a gap beyond the bound":    at(gapsAt+2, 0, 0, 0, 3, 0x40, 0, 0, 0),
		"gaps that are out of line": payload(func(b []byte) []byte { b[gapsAt+1] = 2; return append(b[:gapsAt+10], b[gapsAt+2:]...) }),
		"a short head":              payload(func(b []byte) []byte { return b[:20] }),
		"no texts":                  payload(func(b []byte) []byte { return b[:textAt+1] }),
		"no gaps":                   payload(func(b []byte) []byte { return b[:gapsAt+2] }),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := NewReader(bytes.NewReader(b)).Next(); !errors.Is(err, ErrFormat) || m != (Message{}) {
				t.Errorf("%+v %v", m.Frame, err)
			}
		})
	}
}

// TestStreamIsRobust: a byte that has changed makes no panic and takes no memory.
func TestStreamIsRobust(t *testing.T) {
	f := some()
	f.Gaps = []kafka.Span{{Start: 3, End: 10}, {Start: 12, End: 13}}
	whole := written(t, func(w *Writer) {
		_ = w.Frame(f)
		_ = w.Frame(f)
	})
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		b := bytes.Clone(whole)
		for range 1 + r.IntN(3) {
			b[len(magic)+r.IntN(len(b)-len(magic))] = byte(r.Uint32())
		}
		messages := NewReader(bytes.NewReader(b))
		for {
			m, err := messages.Next()
			if err != nil {
				break
			}
			if m.Frame != nil && len(m.Frame.Bytes) > min(m.Frame.Size, MaxBytes) {
				t.Fatalf("%d bytes of %d", len(m.Frame.Bytes), m.Frame.Size)
			}
		}
	}
}
