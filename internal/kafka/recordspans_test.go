package kafka

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// mark is the content of records, and occurs nowhere else.
var mark = []byte("\xa5RECORD\xa5")

// marked returns a frame of an API with record sets of some lengths, and their total length.
func marked(f *filler, request bool, key, version int16) (frame []byte, total int) {
	records := func() []byte {
		b := bytes.Repeat(mark, f.IntN(4))
		total += len(b)
		if len(b) == 0 && f.IntN(2) == 0 {
			return nil
		}
		return b
	}
	if request {
		m := kmsg.NewPtrProduceRequest()
		f.value(reflect.ValueOf(m).Elem())
		m.SetVersion(version)
		for i := range m.Topics {
			for j := range m.Topics[i].Partitions {
				m.Topics[i].Partitions[j].Records = records()
			}
		}
		frame = binary.BigEndian.AppendUint16(nil, uint16(key))
		frame = binary.BigEndian.AppendUint16(frame, uint16(version))
		frame = append(frame, 0, 0, 0, 9, 0, 3, 'a', 'p', 'p')
		if m.IsFlexible() {
			frame = append(frame, headers[1]...)
		}
		return m.AppendTo(frame), total
	}
	m := f.response(key, version)
	switch m := m.(type) {
	case *kmsg.FetchResponse:
		for i := range m.Topics {
			for j := range m.Topics[i].Partitions {
				m.Topics[i].Partitions[j].RecordBatches = records()
			}
		}
	case *kmsg.ShareFetchResponse:
		for i := range m.Topics {
			for j := range m.Topics[i].Partitions {
				m.Topics[i].Partitions[j].Records = records()
			}
		}
	}
	return encode(m, headers[1]), total
}

// without returns the known part of a frame without its records.
func without(frame []byte, spans []Span, known int) (rest []byte) {
	at := 0
	for _, s := range spans {
		rest, at = append(rest, frame[at:s.Start]...), s.End
	}
	return append(rest, frame[at:known]...)
}

// TestRecordSpans: in every version, for whole frames and every prefix of them, exactly
// the bytes that kmsg decodes as records are found.
func TestRecordSpans(t *testing.T) {
	for _, of := range []struct {
		request bool
		key     int16
	}{{true, KeyProduce}, {false, KeyFetch}, {false, KeyShareFetch}} {
		a, _ := Lookup(of.key)
		for version := range a.MaxVersion + 1 {
			for seed := range uint64(20) {
				f := newFiller(seed)
				frame, total := marked(f, of.request, of.key, version)
				spans, known, last := RecordSpans(frame, len(frame), of.request, of.key, version)
				found := 0
				for _, s := range spans {
					found += s.End - s.Start
				}
				if known != len(frame) || last || found != total || bytes.Contains(without(frame, spans, known), mark[1:]) {
					t.Fatalf("%s v%d: %d of %d bytes are known, %d of %d of records", a.Name, version, known, len(frame), found, total)
				}
				final := Span{}
				if len(spans) > 0 {
					final = spans[len(spans)-1]
				}
				for n := range frame {
					spans, known, last := RecordSpans(frame[:n], len(frame), of.request, of.key, version)
					if known > n || last && (known != final.Start || n >= final.End) || bytes.Contains(without(frame[:n], spans, known), []byte("RECORD")) {
						t.Fatalf("%s v%d, %d of %d bytes: %d are known", a.Name, version, n, len(frame), known)
					}
				}
			}
		}
	}
}

// TestLastRecordSpan: last is true only if the bytes end in the last record set.
func TestLastRecordSpan(t *testing.T) {
	partitions := []kmsg.FetchResponseTopicPartition{{RecordBatches: mark}, {RecordBatches: mark}}
	m := kmsg.NewPtrFetchResponse()
	m.Topics = []kmsg.FetchResponseTopic{{Partitions: partitions}, {Partitions: partitions}}
	for version := range m.MaxVersion() + 1 {
		m.SetVersion(version)
		frame := encode(m, headers[0])
		spans, _, _ := RecordSpans(frame, len(frame), false, KeyFetch, version)
		if len(spans) != 4 {
			t.Fatalf("v%d: %v", version, spans)
		}
		for n := range frame {
			_, _, last := RecordSpans(frame[:n], len(frame), false, KeyFetch, version)
			if want := n >= spans[3].Start && n < spans[3].End; last != want {
				t.Errorf("v%d, %d bytes: %t", version, n, last)
			}
		}
	}
}

// TestRecordSpansOfOtherAPIs: for other APIs and versions no bytes are known.
func TestRecordSpansOfOtherAPIs(t *testing.T) {
	frame := make([]byte, 100)
	for _, of := range []struct {
		request      bool
		key, version int16
	}{{true, KeyFetch, 4}, {false, KeyProduce, 4}, {false, KeyMetadata, 1}, {false, KeyFetch, 99}, {false, KeyFetch, -1}, {true, 999, 0}} {
		if spans, known, last := RecordSpans(frame, len(frame), of.request, of.key, of.version); spans != nil || known != 0 || last {
			t.Errorf("%+v: %v, %d", of, spans, known)
		}
	}
}

// TestRecordSpansOfHostileFrames: the spans are ordered, inside the known bytes, and
// few.
func TestRecordSpansOfHostileFrames(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(frame []byte, request bool, key, version int16) {
		spans, known, _ := RecordSpans(frame, len(frame), request, key, version)
		at := 0
		for _, s := range spans {
			if s.Start < at || s.End <= s.Start {
				t.Fatalf("%v", spans)
			}
			at = s.End
		}
		if at > known || known > len(frame) || len(spans) > MaxRecordSpans {
			t.Fatalf("%d spans up to %d, %d of %d bytes are known", len(spans), at, known, len(frame))
		}
	}
	for range 5000 {
		f := newFiller(r.Uint64())
		version := int16(r.IntN(19))
		frame, _ := marked(f, false, KeyFetch, version)
		frame[r.IntN(len(frame))] = byte(r.Uint32())
		check(frame, false, KeyFetch, version)
	}
	many := make([]kmsg.FetchResponseTopicPartition, 2*MaxRecordSpans)
	for i := range many {
		many[i].RecordBatches = []byte{1}
	}
	m := kmsg.NewPtrFetchResponse()
	m.SetVersion(12)
	m.Topics = []kmsg.FetchResponseTopic{{Topic: "t", Partitions: many}}
	check(encode(m, headers[0]), false, KeyFetch, 12)
}
