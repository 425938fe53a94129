package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
)

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A frame that ends too early causes an error and never a panic. It passes only if the
// missing bytes are not read.
func TestTruncatedAtEveryOffset(t *testing.T) {
	for key, version := range rewritten {
		f := newFiller(uint64(version))
		f.counts, f.hosts = []int{2}, []int{30}
		frame := encode(f.response(key, version), headers[1])
		// Bytes after the last address are not read.
		lastHost := 0
		_, _, _ = rewriteAll(info(key, version, frame), frame, MapperFunc(func(eps []Endpoint) error {
			if len(eps) > 0 {
				lastHost = bytes.LastIndex(frame, []byte(eps[len(eps)-1].Host))
			}
			return nil
		}))
		for n := range frame {
			out, _, err := rewriteAll(info(key, version, frame[:n]), frame[:n:n], &testMapper{host: local})
			if err == nil && n <= lastHost {
				t.Errorf("%s v%d: %d of %d bytes are accepted: %x", Name(key), version, n, len(frame), out)
			}
			if err != nil && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s v%d: %d bytes: %v", Name(key), version, n, err)
			}
		}
	}
}

// Any byte of a message replaced by an extreme value causes no panic, and no allocation
// of a size that the message only claims.
func TestExtremeBytes(t *testing.T) {
	for key, version := range rewritten {
		f := newFiller(uint64(version) + 5)
		f.counts = []int{3}
		frame := encode(f.response(key, version), headers[1])
		broken := make([]byte, len(frame))
		for at := range frame {
			for _, with := range [][]byte{{0xff}, {0x7f}, {0x80}, {0}, {0xff, 0xff, 0xff, 0xff}, {0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff, 0x0f}} {
				copy(broken, frame)
				copy(broken[at:], with)
				_, _, err := rewriteAll(info(key, version, broken), broken, &testMapper{host: local})
				if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrControllers) {
					t.Fatalf("%s v%d, byte %d: %v", Name(key), version, at, err)
				}
			}
		}
	}
}

// Lengths that exceed the frame are refused without an allocation of that size.
func TestLengthsBeyondTheFrame(t *testing.T) {
	i32 := func(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	correlation, throttle := i32(1), i32(0)
	for _, tc := range []struct {
		name         string
		key, version int16
		frame        []byte
		fill         int // zero bytes appended
	}{
		{"a million brokers, none there", KeyMetadata, 0, join(correlation, i32(1_000_000)), 0},
		{"a million brokers, rubbish there", KeyMetadata, 1, join(correlation, i32(1_000_000)), 1 << 20},
		{"2^31-1 brokers", KeyMetadata, 3, join(correlation, throttle, i32(math.MaxInt32)), 100},
		{"-2 brokers", KeyMetadata, 3, join(correlation, throttle, i32(-2)), 100},
		{"-2^31 brokers", KeyMetadata, 3, join(correlation, throttle, i32(math.MinInt32)), 100},
		{"2^32-1 brokers", KeyMetadata, 12, join(correlation, []byte{0}, throttle, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}), 100},
		{"2^32-1 tags in the header", KeyMetadata, 12, join(correlation, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}), 1 << 19},
		{"a tag of 4 GiB", KeyMetadata, 12, join(correlation, []byte{1, 3, 0xff, 0xff, 0xff, 0xff, 0x0f}), 100},
		{"a host of -1 bytes", KeyMetadata, 0, join(correlation, i32(1), i32(7), []byte{0xff, 0xff}), 100},
		{"a null host", KeyMetadata, 12, join(correlation, []byte{0}, throttle, []byte{2}, i32(7), []byte{0}), 100},
		{"a number of six bytes", KeyMetadata, 12, join(correlation, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}), 100},
		{"a number above 32 bits", KeyMetadata, 12, join(correlation, []byte{0x80, 0x80, 0x80, 0x80, 0x10}), 100},
		{"coordinators", KeyFindCoordinator, 4, join(correlation, []byte{0}, throttle, []byte{0xff, 0xff, 0xff, 0x7f}), 1000},
		{"topics", KeyProduce, 10, join(correlation, []byte{0}, []byte{0xff, 0xff, 0xff, 0x7f}), 1000},
		{"a number of six bytes before topics", KeyProduce, 10, join(correlation, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}, []byte{1}, throttle, []byte{0}), 0},
		{"a number above 32 bits before topics", KeyProduce, 10, join(correlation, []byte{0x80, 0x80, 0x80, 0x80, 0x10}, []byte{1}, throttle, []byte{0}), 0},
		{"nested topics of nothing", KeyProduce, 10, join(correlation, []byte{0}, bytes.Repeat([]byte{0xff, 0xff, 0x7f}, 1000)), 0},
		{"tags of nothing", KeyProduce, 10, join(correlation, []byte{0, 1}, throttle, []byte{0xff, 0xff, 0xff, 0x7f}), 1 << 20},
		{"bytes after the tags", KeyProduce, 10, join(correlation, []byte{0, 1}, throttle, []byte{0, 0}), 0},
		{"tag 0 twice", KeyProduce, 10, join(correlation, []byte{0, 1}, throttle, []byte{2, 0, 1, 1, 0, 1, 1}), 0},
		{"tag 0 longer than its array", KeyProduce, 10, join(correlation, []byte{0, 1}, throttle, []byte{1, 0, 2, 1, 0}), 0},
		{"tag 0 shorter than its array", KeyProduce, 10, join(correlation, []byte{0, 1}, throttle, []byte{1, 0, 5, 2}, i32(1), []byte{2, 'a'}, i32(1), []byte{0, 0}), 0},
		{"versions", KeyApiVersions, 0, join(correlation, []byte{0, 0}, i32(math.MaxInt32)), 1000},
		{"-2 versions", KeyApiVersions, 0, join(correlation, []byte{0, 0}, i32(-2)), 1000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			frame := append(tc.frame, make([]byte, tc.fill)...)
			var err error
			spent := allocated(func() { _, _, err = rewriteAll(info(tc.key, tc.version, frame), frame, &testMapper{host: local}) })
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("got %v", err)
			}
			if spent > 16<<10 {
				t.Errorf("%d bytes allocated", spent)
			}
		})
	}
}

// Errors name the place in the message.
func TestErrorsNameThePlace(t *testing.T) {
	frame := []byte{0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe}
	_, _, _, err := rewriteHead(nil, info(KeyMetadata, 0, frame), frame, nil)
	if want := "Metadata v0 response: malformed message at byte 8 of 8"; fmt.Sprint(err) != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
