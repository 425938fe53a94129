package kafka

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// patchAll returns the patch of a frame, whatever its treatment, and how many bytes of
// the frame it replaces.
func patchAll(h ResponseInfo, frame []byte, m Mapper) (Patch, int, Result, error) {
	if h.Key == KeyMetadata {
		return PatchHead(h, frame, m)
	}
	p, res, err := PatchWhole(h, frame, m)
	return p, len(frame), res, err
}

// A message written in pieces of any size, with long and short names and hidden nodes,
// equals the one written at once. Its length is known before.
func TestPatchInPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for key, version := range rewritten {
		for i := range 60 {
			f := newFiller(uint64(i))
			f.counts, f.repeat = []int{1, 2, 5, 40}, i%2 == 0
			frame := encode(f.response(key, version), headers[i%3])
			original := bytes.Clone(frame)
			name := strings.Repeat("l", []int{1, 9, 127, 3000}[i%4])
			newMapper := func() *testMapper {
				return &testMapper{host: func(Endpoint) string { return name }, hide: func(e Endpoint) bool { return i%3 == 0 && e.NodeID%2 == 0 }}
			}
			want, wantRes, err := rewriteAll(info(key, version, frame), frame, newMapper())
			if err != nil {
				t.Fatal(err)
			}
			p, consumed, res, err := patchAll(info(key, version, frame), frame, newMapper())
			if err != nil || !reflect.DeepEqual(res, wantRes) || p.InPlace() == res.Changed() {
				t.Fatal(err, res, wantRes, p.InPlace())
			}
			size := p.Len()
			var out []byte
			for more := size > 0; more; {
				var piece []byte
				buf := make([]byte, rng.IntN(10), 10+rng.IntN(1200))
				if piece, more = p.Next(buf); len(piece) > cap(buf) || more && len(piece) < cap(buf) {
					t.Fatalf("%d bytes in a buffer of %d, more %v", len(piece), cap(buf), more)
				}
				out = append(out, piece...)
			}
			if len(out) != size || p.Len() != size {
				t.Fatalf("%d bytes, want %d", len(out), size)
			}
			if out = append(out, frame[consumed:]...); !bytes.Equal(out, want) || !bytes.Equal(frame, original) {
				t.Fatalf("%s v%d\ngot  %x\nwant %x", Name(key), version, out, want)
			}
			if piece, more := p.Next(make([]byte, 10)); len(piece) > 0 || more {
				t.Fatal("bytes follow the end")
			}
		}
	}
}

// Writing a large message allocates no more than the buffer.
func TestPatchHoldsNoCopy(t *testing.T) {
	frame := addresses(KeyFindCoordinator, 6, 60_000, 3, 20, 60)
	p, _, err := PatchWhole(info(KeyFindCoordinator, 6, frame), frame, MapperFunc(toLocalhost))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 48<<10)
	spent := leastAllocated(0, func() {
		for q, more := p, true; more; {
			_, more = q.Next(buf)
		}
	})
	if pieces := uint64(p.Len()/len(buf) + 1); spent > 64*pieces { // an edit that is split at the end of the buffer
		t.Errorf("%d bytes allocated for %d", spent, p.Len())
	}
}

// The Mapper gets each endpoint once, in the order of the message. Endpoints that
// differ in id, host or port are distinct.
func TestMapperGetsDistinctEndpoints(t *testing.T) {
	var want []Endpoint
	for i := range int32(2000) {
		want = append(want, Endpoint{NodeID: i, Host: "a", Port: 1}, Endpoint{NodeID: i, Host: "ab", Port: 1}, Endpoint{NodeID: i, Host: "a", Port: 2})
	}
	r := newCoordinator(6)
	for _, n := range []int{1, 5, fewEndpoints, fewEndpoints + 1, 100, len(want)} {
		r.Coordinators = nil
		for range 3 {
			for _, e := range want[:n] {
				addCoordinator(r, "group", 0, e.NodeID, e.Host, e.Port)
				addCoordinator(r, "nobody", 15, -1, "", -1)
			}
		}
		frame := encode(r, headers[1])
		var got []Endpoint
		out, res, err := rewriteWhole(nil, info(KeyFindCoordinator, 6, frame), frame, MapperFunc(func(eps []Endpoint) error {
			got = slices.Clone(eps)
			for i := range eps {
				eps[i].Host, eps[i].Port = "localhost", 100*eps[i].NodeID+eps[i].Port
				eps[i].Hidden = eps[i].NodeID == 1
			}
			return nil
		}))
		if err != nil || !slices.Equal(got, want[:n]) {
			t.Fatalf("%d: %v, %d endpoints", n, err, len(got))
		}
		message, err := decodeCoordinator(6, out)
		if err != nil {
			t.Fatal(err)
		}
		hidden := 0
		for i, c := range message.Coordinators {
			e := want[i/2%n]
			switch {
			case i%2 == 1 || e.NodeID == 1:
				if c.NodeID != -1 || c.Host != "" || c.Port != -1 || c.ErrorCode != 15 {
					t.Fatalf("%d: %+v", i, c)
				}
				hidden += 1 - i%2
			case c.NodeID != e.NodeID || c.Host != "localhost" || c.Port != 100*e.NodeID+e.Port:
				t.Fatalf("%d: %+v for %+v", i, c, e)
			}
		}
		if res.Hidden != hidden || res.Rewritten != 3*n-hidden {
			t.Errorf("%d: %+v", n, res)
		}
	}
}

// The short path over an element ends where the long one does, or is not taken.
func TestShortSpan(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	taken := 0
	for range 100_000 {
		s := shape{flexible: true, key: rng.IntN(2) == 0, code: rng.IntN(2) == 0, text: rng.IntN(2) == 0, fenced: rng.IntN(2) == 0}
		b := make([]byte, rng.IntN(40))
		for i := range b {
			b[i] = []byte{0, 1, 2, byte(rng.IntN(12)), 0x7f, 0x80, 0xff}[rng.IntN(7)]
		}
		short, long := newCursor(b, 0), newCursor(b, 0)
		got, ok := short.shortSpan(s)
		want := long.longSpan(s)
		if !ok {
			continue
		}
		if taken++; got != want || short.off != long.off || long.err != nil {
			t.Fatalf("%+v %x: %+v to %d, want %+v to %d, %v", s, b, got, short.off, want, long.off, long.err)
		}
	}
	if taken < 1000 {
		t.Errorf("taken %d times", taken)
	}
}

func BenchmarkFindCoordinatorMany(b *testing.B) {
	frame := addresses(KeyFindCoordinator, 6, 60_000, 3, 20, 60)
	h := info(KeyFindCoordinator, 6, frame)
	buf := make([]byte, 48<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		p, _, err := PatchWhole(h, frame, MapperFunc(toLocalhost))
		if err != nil {
			b.Fatal(err)
		}
		for more := true; more; {
			_, more = p.Next(buf)
		}
	}
}
