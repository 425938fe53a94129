package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rewriteAll rewrites a frame, whatever its treatment.
func rewriteAll(h ResponseInfo, frame []byte, m Mapper) ([]byte, Result, error) {
	if h.Key == KeyMetadata {
		out, n, res, err := rewriteHead(nil, h, frame, m)
		if err != nil {
			return nil, res, err
		}
		return append(bytes.Clone(out), frame[n:]...), res, nil
	}
	out, res, err := rewriteWhole(nil, h, frame, m)
	return out, res, err
}

func info(key, version int16, frame []byte) ResponseInfo {
	return ResponseInfo{Key: key, Version: version, FrameSize: int32(len(frame))}
}

// testMapper replaces hosts by names of one length and hides some nodes. It counts its
// calls.
type testMapper struct {
	host  func(e Endpoint) string
	hide  func(e Endpoint) bool
	calls int
}

func (m *testMapper) Map(endpoints []Endpoint) error {
	m.calls++
	for i := range endpoints {
		e := &endpoints[i]
		if m.hide != nil && m.hide(*e) {
			e.Hidden = true
			continue
		}
		e.Host, e.Port = m.host(*e), 19100+e.NodeID&0xff
	}
	return nil
}

func local(Endpoint) string { return "localhost" }

// rewritten yields the APIs that are rewritten without streaming, in all versions.
func rewritten(yield func(key, version int16) bool) {
	for _, a := range APIs() {
		if a.Treatment != Head && a.Treatment != Whole || a.Key == KeyApiVersions {
			continue
		}
		for v := a.Since; v <= a.MaxVersion; v++ {
			if !yield(a.Key, v) {
				return
			}
		}
	}
}

// For random messages of every version, the rewritten bytes equal those that kmsg
// encodes when only the addresses change.
func TestRewrittenBytesEqualThoseOfTheOracle(t *testing.T) {
	for key, version := range rewritten {
		t.Run(fmt.Sprintf("%s/v%d", Name(key), version), rapid.MakeCheck(func(t *rapid.T) {
			f := newFiller(rapid.Uint64().Draw(t, "seed"))
			f.counts = []int{rapid.SampledFrom([]int{1, 2, 5, 126, 127, 128, 129}).Draw(t, "brokers")}
			f.hosts = []int{1, rapid.SampledFrom([]int{1, 126, 127, 128, 255}).Draw(t, "host")}
			f.small = true
			f.repeat = rapid.Bool().Draw(t, "repeat")
			if f.counts[0] <= 5 && rapid.IntRange(0, 9).Draw(t, "long") == 0 {
				f.hosts = []int{32767}
			}
			message := f.response(key, version)
			frame := encode(message, rapid.SampledFrom(headers).Draw(t, "header"))
			long := f.text(rapid.SampledFrom([]int{1, 9, 127, 300}).Draw(t, "local"))
			share := rapid.IntRange(0, 3).Draw(t, "hidden") // of 4
			newMapper := func() *testMapper {
				return &testMapper{
					host: func(Endpoint) string { return long },
					hide: func(e Endpoint) bool { return int(e.NodeID&3) < share },
				}
			}
			m := newMapper()
			original := bytes.Clone(frame)
			out, res, err := rewriteAll(info(key, version, frame), frame, m)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(frame, original) {
				t.Fatal("the input was changed")
			}
			if m.calls > 1 {
				t.Fatalf("mapper called %d times", m.calls)
			}
			wantRes := replace(message, newMapper())
			want := reencode(key, version, original, message)
			if diff := cmp.Diff(wantRes, res); diff != "" {
				t.Fatalf("result (-want +got):\n%s", diff)
			}
			// Produce may omit an empty tag 0 or keep it empty.
			if !bytes.Equal(out, want) && !sameMessage(t, key, version, out, want) {
				t.Fatalf("got  %x\nwant %x", out, want)
			}
		}))
	}
}

// reencode encodes the message after the header of the original frame.
func reencode(key, version int16, original []byte, message interface{ AppendTo([]byte) []byte }) []byte {
	c := newCursor(original, 4)
	if apis[key].Flexible(version) && key != KeyApiVersions {
		c.tags()
	}
	return message.AppendTo(bytes.Clone(original[:c.off]))
}

func sameMessage(t interface{ Fatal(...any) }, key, version int16, a, b []byte) bool {
	x, err := decode(key, version, a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := decode(key, version, b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x.AppendTo(nil), y.AppendTo(nil))
}

// For any received part of a Metadata response, the result is that of the whole, or a
// request for more bytes, at least twice as many.
func TestHeadAsksForMore(t *testing.T) {
	for v := int16(0); v <= 13; v++ {
		f := newFiller(uint64(v))
		f.counts, f.hosts = []int{5}, []int{1, 30}
		frame := encode(f.response(KeyMetadata, v), headers[1])
		h := info(KeyMetadata, v, frame)
		want, consumed, _, err := rewriteHead(nil, h, frame, &testMapper{host: local})
		if err != nil {
			t.Fatal(err)
		}
		want = bytes.Clone(want)
		for n := range len(frame) {
			m := &testMapper{host: local}
			out, k, _, err := rewriteHead(nil, h, frame[:n], m)
			if n >= consumed {
				if err != nil || k != consumed || !bytes.Equal(out, want) {
					t.Fatalf("v%d with %d of %d bytes: %d, %v", v, n, len(frame), k, err)
				}
				continue
			}
			if !errors.Is(err, ErrShort) || m.calls != 0 {
				t.Fatalf("v%d with %d of %d bytes: %v", v, n, len(frame), err)
			}
			if k <= n || k > max(consumed, 2*n) || k > len(frame) {
				t.Fatalf("v%d with %d of %d bytes asks for %d, needs %d", v, n, len(frame), k, consumed)
			}
		}
	}
}

// A broker array that arrives in small pieces is read only a few times, and nothing is
// allocated before all of it has arrived.
func TestHeadIsReadOnlyAFewTimes(t *testing.T) {
	tags := func(n int) []byte { return append(appendUvarint(nil, uint32(n)), bytes.Repeat([]byte{9, 0}, n)...) }
	longTail := func() []byte { // few elements remain, each longer than the earlier ones
		frame := addresses(KeyMetadata, 1, 50_000, 1000, 0, 0)
		binary.BigEndian.PutUint32(frame[4:], 51_000)
		rest := addresses(KeyMetadata, 1, 1000, 1000, 100, 300)
		return append(frame, rest[8:]...)
	}
	for _, tc := range []struct {
		name    string
		version int16
		frame   []byte
	}{
		{"1 MiB of brokers", 12, addresses(KeyMetadata, 12, 20_000, 10_000, 30, 10)},
		{"most of the smallest", 0, addresses(KeyMetadata, 0, maxElements, 100, 0, 0)},
		{"short ones, then long ones", 1, longTail()},
		{"a header of tags", 9, slices.Concat([]byte{0, 0, 0, 1}, tags(500_000), []byte{0, 0, 0, 0, 1, 0})},
		{"a broker of tags", 9, slices.Concat([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 2}, make([]byte, 4), []byte{2, 'h'}, make([]byte, 4), []byte{0}, tags(500_000), []byte{0})},
	} {
		for _, piece := range []int{1, 1 << 10, 64 << 10} {
			h := info(KeyMetadata, tc.version, tc.frame)
			h.FrameSize += 1 << 20 // topics
			calls := 0
			for n, need := 0, 0; ; n = min(n+piece, len(tc.frame)) {
				if n < need {
					if n == len(tc.frame) {
						n = need // topics, which are not read
					} else {
						continue
					}
				}
				calls++
				received := append(tc.frame[:min(n, len(tc.frame)):min(n, len(tc.frame))], make([]byte, max(0, n-len(tc.frame)))...)
				var err error
				spent := leastAllocated(512, func() { _, need, _, err = PatchHead(h, received, MapperFunc(toLocalhost)) })
				if err == nil {
					break
				}
				if !errors.Is(err, ErrShort) || spent > 512 || need <= n || need > MetadataBound {
					t.Fatalf("%s: with %d bytes: %v, %d bytes allocated, asks for %d", tc.name, n, err, spent, need)
				}
			}
			if calls > 22 { // from 1 byte to 1 MiB, doubled each time
				t.Errorf("%s, %d bytes in pieces of %d: read %d times", tc.name, len(tc.frame), piece, calls)
			}
		}
	}
}

func TestMapperErrorIsPassedOn(t *testing.T) {
	boom := errors.New("boom")
	for key, version := range rewritten {
		f := newFiller(3)
		f.counts = []int{2}
		frame := encode(f.response(key, version), headers[0])
		if key == KeyFindCoordinator && version <= 3 {
			frame = encodeCoordinator(version)
		}
		_, _, err := rewriteAll(info(key, version, frame), frame, MapperFunc(func([]Endpoint) error { return boom }))
		if err != boom { //nolint:errorlint // not even wrapped
			t.Errorf("%s v%d: %v", Name(key), version, err)
		}
	}
}

func encodeCoordinator(version int16) []byte {
	c := newCoordinator(version)
	c.NodeID, c.Host, c.Port = 1, "kafka-1.corp", 9092
	return encode(c, headers[0])
}

// Without an address the mapper is not called, and the frame itself is returned.
func TestNothingToRewrite(t *testing.T) {
	for key, version := range rewritten {
		if key == KeyFindCoordinator && version <= 3 {
			continue
		}
		f := newFiller(3)
		f.counts = []int{0}
		frame := encode(f.response(key, version), headers[0])
		m := &testMapper{host: local}
		out, res, err := rewriteAll(info(key, version, frame), frame, m)
		if err != nil || res.Changed() || m.calls != 0 || !bytes.Equal(out, frame) {
			t.Errorf("%s v%d: %v %v, %d calls", Name(key), version, res, err, m.calls)
		}
	}
}

// A coordinator that was not found is unchanged; a hidden one becomes an error; one
// with an error of its own keeps it.
func TestCoordinators(t *testing.T) {
	type coordinator struct {
		code int16
		node int32
		host string
		port int32
	}
	for _, tc := range []struct {
		name     string
		in, want coordinator
		hide     bool
		calls    int
	}{
		{"found", coordinator{0, 1, "b1", 9092}, coordinator{0, 1, "localhost", 19101}, false, 1},
		{"not found", coordinator{15, -1, "", -1}, coordinator{15, -1, "", -1}, false, 0},
		{"other error", coordinator{30, -1, "", -1}, coordinator{30, -1, "", -1}, false, 0},
		{"hidden", coordinator{0, 1, "b1", 9092}, coordinator{15, -1, "", -1}, true, 1},
		{"error with an address", coordinator{16, 1, "b1", 9092}, coordinator{16, 1, "localhost", 19101}, false, 1},
		{"no coordinator, with an address", coordinator{16, -1, "b1", 9092}, coordinator{16, -1, "", -1}, false, 0},
		{"hidden with an error", coordinator{16, 1, "b1", 9092}, coordinator{16, -1, "", -1}, true, 1},
	} {
		for v := int16(0); v <= 6; v++ {
			r := newCoordinator(v)
			r.ErrorCode, r.NodeID, r.Host, r.Port = tc.in.code, tc.in.node, tc.in.host, tc.in.port
			addCoordinator(r, "group", tc.in.code, tc.in.node, tc.in.host, tc.in.port)
			addCoordinator(r, "other", 0, 9, "b9", 9)
			m := &testMapper{host: local, hide: func(e Endpoint) bool { return tc.hide && e.NodeID != 9 }}
			frame := encode(r, headers[1])
			out, _, err := rewriteWhole(nil, info(KeyFindCoordinator, v, frame), frame, m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decodeCoordinator(v, out)
			if err != nil {
				t.Fatal(err)
			}
			have := coordinator{got.ErrorCode, got.NodeID, got.Host, got.Port}
			calls := tc.calls
			if v >= 4 {
				c := got.Coordinators[0]
				have, calls = coordinator{c.ErrorCode, c.NodeID, c.Host, c.Port}, 1
				if o := got.Coordinators[1]; o.Host != "localhost" || o.Port != 19109 || o.Key != "other" || c.Key != "group" {
					t.Errorf("%s v%d: the other one: %+v", tc.name, v, o)
				}
			}
			if have != tc.want || m.calls != calls {
				t.Errorf("%s v%d: %+v after %d calls", tc.name, v, have, m.calls)
			}
		}
	}
}

func TestUnsupportedVersions(t *testing.T) {
	frame := make([]byte, 20)
	if _, _, _, err := rewriteHead(nil, info(KeyFetch, 17, frame), frame, nil); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	if _, _, err := rewriteWhole(nil, info(KeyFetch, 17, frame), frame, nil); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}

func TestLocalHostTooLong(t *testing.T) {
	frame := encodeCoordinator(2)
	m := &testMapper{host: func(Endpoint) string { return string(make([]byte, 32768)) }}
	if _, _, err := rewriteWhole(nil, info(KeyFindCoordinator, 2, frame), frame, m); err == nil {
		t.Error("no error")
	}
}

func TestBounds(t *testing.T) {
	if WholeBound(KeyApiVersions) != 256<<10 || WholeBound(KeyProduce) != 16<<20 {
		t.Error("not the bounds of R18")
	}
	frame := make([]byte, 256<<10+1)
	if _, _, err := rewriteWhole(nil, info(KeyApiVersions, 0, frame), frame, nil); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	// A broker array that ends after 1 MiB.
	f := newFiller(1)
	f.counts, f.hosts = []int{40}, []int{32767}
	frame = encode(f.response(KeyMetadata, 9), headers[0])
	if _, _, _, err := rewriteHead(nil, info(KeyMetadata, 9, frame), frame, nil); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	// The rest may have any size.
	f.counts, f.hosts = []int{30}, []int{32767}
	frame = encode(f.response(KeyMetadata, 9), headers[0])
	h := ResponseInfo{KeyMetadata, 9, 1<<31 - 1}
	if _, _, _, err := rewriteHead(nil, h, frame, &testMapper{host: local}); err != nil {
		t.Error(err)
	}
}
