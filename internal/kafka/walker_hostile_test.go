package kafka

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestWalkerErrors(t *testing.T) {
	var w Walker
	for _, h := range []ResponseInfo{{KeyFetch, 15, 100}, {KeyFetch, 19, 100}, {KeyProduce, 9, 100}, {KeyProduce, 14, 100}, {KeyMetadata, 12, 100}, {KeyShareFetch, -1, 100}, {99, 0, 100}} {
		if err := w.Reset(h, nil); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%+v: %v", h, err)
		}
	}
	for _, size := range []int32{-1, 0, 3} {
		if err := w.Reset(ResponseInfo{KeyFetch, 16, size}, nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("size %d: %v", size, err)
		}
	}
	boom := errors.New("boom")
	for key, version := range tailed {
		f := newFiller(1)
		f.counts = []int{1}
		frame := encode(f.response(key, version), headers[0])
		calls := 0
		m := MapperFunc(func([]Endpoint) error { calls++; return boom })
		for _, piece := range []int{1, len(frame)} {
			_ = w.Reset(info(key, version, frame), m)
			out, err := walk(&w, frame, func() int { return piece }, never)
			if err != boom || len(out) >= len(frame) { //nolint:errorlint // not even wrapped
				t.Errorf("%s v%d: %v", Name(key), version, err)
			}
			if _, _, again := w.Feed(frame); again != boom { //nolint:errorlint // not even wrapped
				t.Errorf("%s v%d: %v afterwards", Name(key), version, again)
			}
			if w.Tail() != nil {
				t.Error("an error has a tail")
			}
		}
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
		// The size is not that of the message: too small or too large.
		for _, wrong := range []int{len(frame) - 1, len(frame) + 1} {
			h := info(key, version, frame)
			h.FrameSize = int32(wrong)
			_ = w.Reset(h, MapperFunc(toLocalhost))
			if _, err := walk(&w, append(bytes.Clone(frame), 0), func() int { return 5 }, never); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s v%d, %d bytes for %d: %v", Name(key), version, wrong, len(frame), err)
			}
		}
	}
}

// A frame cut at every offset, or with any byte replaced by an extreme value, causes an
// error or a result, and never a panic or a hang.
func TestWalkerHostile(t *testing.T) {
	for key, version := range tailed {
		f := newFiller(4)
		f.counts, f.hosts = []int{2}, []int{12}
		frame := encode(f.response(key, version), headers[1])
		var w Walker
		for n := 4; n < len(frame); n++ {
			_ = w.Reset(info(key, version, frame[:n]), MapperFunc(toLocalhost))
			if _, err := walk(&w, frame[:n], func() int { return 3 }, never); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s v%d, %d of %d bytes: %v", Name(key), version, n, len(frame), err)
			}
		}
		broken := make([]byte, len(frame))
		for at := range frame {
			for _, with := range [][]byte{{0xff}, {0x7f}, {0x80}, {0}, {0xff, 0xff, 0xff, 0xff, 0x0f}, {0x80, 0x80, 0x80, 0x80, 0x80}} {
				copy(broken, frame)
				copy(broken[at:], with)
				_ = w.Reset(info(key, version, broken), MapperFunc(toLocalhost))
				_, err := walk(&w, broken, func() int { return 50 }, always)
				if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
					t.Fatalf("%s v%d, byte %d: %v", Name(key), version, at, err)
				}
			}
		}
	}
}

// The walker holds no more than the tail, and not even that when the tail is too long.
func TestWalkerMemory(t *testing.T) {
	f := newFiller(1)
	f.counts, f.hosts = []int{3000}, []int{20}
	frame := encode(f.response(KeyFetch, 17), headers[0])
	var w Walker
	_ = w.Reset(info(KeyFetch, 17, frame), MapperFunc(toLocalhost))
	_, err := walk(&w, frame, func() int { return 1000 }, never)
	if !errors.Is(err, ErrTooLarge) || cap(w.held) != 0 {
		t.Errorf("%v, %d bytes held", err, cap(w.held))
	}
	r := kmsg.NewPtrFetchResponse()
	r.SetVersion(17)
	r.Topics = make([]kmsg.FetchResponseTopic, 1)
	r.Topics[0].Partitions = make([]kmsg.FetchResponseTopicPartition, 40)
	setRecords(r, func() int { return 1 << 20 })
	frame = encode(r, headers[0])
	var spent uint64
	_ = w.Reset(info(KeyFetch, 17, frame), MapperFunc(toLocalhost))
	spent = allocated(func() {
		for rest := frame; w.Left() > 0; {
			pass, held, err := w.Feed(rest[:min(64<<10-1, len(rest))])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[pass+held:]
		}
	})
	if spent > 4<<10 {
		t.Errorf("%d bytes allocated for a frame of %d", spent, len(frame))
	}
}

// A Produce response of many partitions is streamed and not held, and its addresses are
// replaced.
func TestWalkerStreamsLargeProduce(t *testing.T) {
	frame := encode(produceResponse(12, 480_000, 3), headers[0])
	if len(frame) < 15<<20 {
		t.Fatalf("only %d bytes", len(frame))
	}
	h := info(KeyProduce, 12, frame)
	var w Walker
	spent := leastAllocated(4<<10, func() { feed(t, &w, h, frame, 48<<10) })
	if w.Result().Rewritten != 3 || spent > 4<<10 {
		t.Errorf("%+v, %d bytes allocated", w.Result(), spent)
	}
}

// A number of topics too large for the frame is refused when it is read, not at the end
// of the frame.
func TestWalkerRefusesEarly(t *testing.T) {
	start := append(make([]byte, 4+1+4+2+4), 0xff, 0x7f) // 16382 topics
	var w Walker
	_ = w.Reset(ResponseInfo{KeyFetch, 17, 16382 + int32(len(start)) - 1}, nil)
	if _, _, err := w.Feed(start); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	_ = w.Reset(ResponseInfo{KeyFetch, 17, 16382 + int32(len(start))}, nil)
	if pass, _, err := w.Feed(start); pass != len(start) || err != nil {
		t.Error(err)
	}
}
