package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tailed yields the responses with a tail, in all versions that have one.
func tailed(yield func(key, version int16) bool) {
	for _, key := range []int16{KeyProduce, KeyFetch, KeyShareFetch, KeyShareAcknowledge} {
		a, _ := Lookup(key)
		for v := a.Since; v <= a.MaxVersion; v++ {
			if !yield(key, v) {
				return
			}
		}
	}
}

// walk relays a frame through w in pieces of the sizes that next returns, and returns
// what the client receives. Where w allows it, some bytes bypass it.
func walk(w *Walker, frame []byte, next func() int, bypass func() bool) ([]byte, error) {
	var out []byte
	in := bytes.Clone(frame)
	for w.Left() > 0 {
		if skip := w.Skip(); skip > 0 && bypass() {
			n := min(int(skip), next())
			out = append(out, in[:n]...)
			in = in[n:]
			w.Advance(int64(n))
			continue
		}
		n := min(len(in), next())
		before := w.Left()
		pass, held, err := w.Feed(in[:n])
		if err != nil {
			return out, err
		}
		if int64(pass+held) != before-w.Left() || pass+held != n {
			return out, fmt.Errorf("fed %d, passed %d, held %d, left %d of %d", n, pass, held, w.Left(), before)
		}
		out = append(out, in[:pass]...)
		in = in[n:]
	}
	return append(out, w.Tail()...), nil
}

func always() bool { return true }
func never() bool  { return false }

// topTags returns the unknown tags of a response.
func topTags(r kmsg.Response) *kmsg.Tags {
	return reflect.ValueOf(r).Elem().FieldByName("UnknownTags").Addr().Interface().(*kmsg.Tags)
}

// unpad removes the padding.
func unpad(t *testing.T, r kmsg.Response, id uint32) {
	var kept kmsg.Tags
	topTags(r).Each(func(k uint32, v []byte) {
		if k != id {
			kept.Set(k, v)
		} else if len(bytes.Trim(v, "\x00")) != 0 {
			t.Fatalf("the padding holds %x", v)
		}
	})
	*topTags(r) = kept
}

// setRecords gives every partition records of some length.
func setRecords(r kmsg.Response, length func() int) {
	records := func() []byte {
		if n := length(); n >= 0 {
			return make([]byte, n)
		}
		return nil
	}
	switch r := r.(type) {
	case *kmsg.FetchResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				r.Topics[i].Partitions[j].RecordBatches = records()
			}
		}
	case *kmsg.ShareFetchResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				r.Topics[i].Partitions[j].Records = records()
			}
		}
	}
}

// resize replaces the hosts by names that make the addresses shorter by slack, or
// longer if slack is negative.
func resize(slack int) func([]Endpoint) error {
	return func(eps []Endpoint) error {
		for i := range eps {
			e := &eps[i]
			n := max(min(slack, len(e.Host)-1), len(e.Host)-32767)
			slack -= n
			e.Host, e.Port = string(bytes.Repeat([]byte{'l'}, len(e.Host)-n)), 19100+e.NodeID&0xff
		}
		return nil
	}
}

// For random responses in random pieces the length stays the same, and kmsg decodes the
// original with other addresses, up to the padding. Every class of slack occurs.
func TestWalkerAgainstOracle(t *testing.T) {
	classes := map[string]int{}
	rng := rand.New(rand.NewPCG(1, 2))
	var w Walker
	for i := range testutil.Rounds(1000) {
		for key, version := range tailed {
			f := newFiller(uint64(i)<<8 | uint64(uint16(key))<<4 | uint64(version))
			f.counts = []int{0, 1, 1, 2, 3}
			f.hosts = []int{1, 5, 20, 127, 200}
			f.repeat = i%4 == 0
			switch rng.IntN(100) {
			case 0:
				f.counts = []int{126, 127, 128}
			case 1:
				f.hosts = []int{255, 16380, 16390, 32767}
			}
			r := f.response(key, version)
			setRecords(r, func() int {
				switch rng.IntN(200) {
				case 0:
					return rng.IntN(1 << 20)
				case 1, 2, 3, 4, 5:
					return -1
				}
				return rng.IntN(300)
			})
			frame := encode(r, headers[i%3])
			wanted := []int{-1 - rng.IntN(10), 0, 1, 2, 2 + rng.IntN(200), 127 + rng.IntN(4), 128}[rng.IntN(7)]
			hide := rng.IntN(8) == 0
			m := MapperFunc(func(eps []Endpoint) error {
				_ = resize(wanted)(eps)
				for j := range eps {
					eps[j].Hidden = hide && eps[j].NodeID%2 == 0
				}
				return nil
			})

			// The expected message.
			want, err := decode(key, version, frame)
			if err != nil {
				t.Fatal(err)
			}
			wantRes := replace(want, m)
			slack := len(frame) - len(reencode(key, version, frame, want))
			pad := uint32(padTag)
			topTags(want).Each(func(k uint32, _ []byte) { pad = max(pad, k+1) })
			if wantRes.Changed() && slack < 0 {
				wantRes = Result{Hidden: wantRes.Rewritten + wantRes.Hidden}
				replace(want, MapperFunc(func(eps []Endpoint) error {
					for j := range eps {
						eps[j].Hidden = true
					}
					return nil
				}))
			}
			if wantRes.Changed() {
				switch {
				case slack < 0:
					classes["< 0"]++
				case slack == 130:
					classes["130"]++
				case slack >= 2:
					classes[">= 2"]++
				default:
					classes[fmt.Sprint(slack)]++
				}
			}

			// The actual message.
			if err := w.Reset(info(key, version, frame), m); err != nil {
				t.Fatal(err)
			}
			largest := []int{1, 2, 7, 100, 5000, 1 << 21}[rng.IntN(6)]
			if len(frame) > 100_000 {
				largest = max(largest, 5000)
			}
			out, err := walk(&w, frame, func() int { return 1 + rng.IntN(largest) }, func() bool { return rng.IntN(2) == 0 })
			if tailSize := tailOf(t, key, version, frame); tailSize > TailBound {
				if !errors.Is(err, ErrTooLarge) {
					t.Fatalf("a tail of %d bytes: %v", tailSize, err)
				}
				classes["too large"]++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(out) != len(frame) {
				t.Fatalf("%d bytes became %d", len(frame), len(out))
			}
			got, err := decode(key, version, out)
			if err != nil {
				t.Fatal(err)
			}
			if wantRes.Changed() {
				unpad(t, got, pad)
			}
			if !reflect.DeepEqual(w.Result(), wantRes) || !bytes.Equal(got.AppendTo(nil), want.AppendTo(nil)) {
				t.Fatalf("%s v%d, slack %d: %+v, want %+v\ngot  %.2000x\nwant %.2000x", Name(key), version, slack,
					w.Result(), wantRes, got.AppendTo(nil), want.AppendTo(nil))
			}
		}
	}
	t.Log(classes)
	for _, class := range []string{">= 2", "1", "0", "< 0", "130"} {
		if classes[class] < testutil.Rounds(100) {
			t.Errorf("slack %s occurred only %d times", class, classes[class])
		}
	}
}

// tailOf returns the length of a frame's tail.
func tailOf(t *testing.T, key, version int16, frame []byte) int {
	l, ok := beforeTail(key, version)
	var s scan
	s.reset(l, int64(len(frame)))
	at, err := s.feed(frame)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return len(frame) - at
}

// Cut into two pieces at any offset, and byte by byte, the result is the same.
func TestWalkerSplitAnywhere(t *testing.T) {
	for key, version := range tailed {
		f := newFiller(7)
		f.counts = []int{2}
		r := f.response(key, version)
		setRecords(r, func() int { return 40 })
		frame := encode(r, headers[1])
		var w Walker
		run := func(next func() int, bypass func() bool) []byte {
			if err := w.Reset(info(key, version, frame), MapperFunc(toLocalhost)); err != nil {
				t.Fatal(err)
			}
			out, err := walk(&w, frame, next, bypass)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		whole := run(func() int { return len(frame) }, never)
		if bytes.Equal(whole, frame) || !bytes.Contains(whole, []byte("localhost")) {
			t.Fatal("nothing was rewritten")
		}
		one := func() int { return 1 }
		if got := run(one, never); !bytes.Equal(got, whole) {
			t.Errorf("%s v%d byte by byte differs", Name(key), version)
		}
		if got := run(one, always); !bytes.Equal(got, whole) {
			t.Errorf("%s v%d byte by byte with Skip differs", Name(key), version)
		}
		for n := 1; n < len(frame); n++ {
			first := n
			if got := run(func() int { k := first; first = len(frame); return k }, never); !bytes.Equal(got, whole) {
				t.Errorf("%s v%d cut at %d differs", Name(key), version, n)
			}
		}
	}
}

// Responses without topics, such as throttled ones and errors, have a tail too.
func TestWalkerWithoutTopics(t *testing.T) {
	throttled := kmsg.NewPtrFetchResponse()
	throttled.SetVersion(17)
	throttled.ThrottleMillis = 5000
	broker := kmsg.NewFetchResponseBroker()
	broker.NodeID, broker.Host, broker.Port = 2, "kafka-2.onprem.corp", 9092
	throttled.Brokers = append(throttled.Brokers, broker)

	failed := kmsg.NewPtrShareFetchResponse()
	failed.SetVersion(1)
	failed.ErrorCode, failed.ErrorMessage = 6, new("moved")
	endpoint := kmsg.NewShareFetchResponseNodeEndpoint()
	endpoint.NodeID, endpoint.Host, endpoint.Port = 2, "kafka-2.onprem.corp", 9092
	failed.NodeEndpoints = append(failed.NodeEndpoints, endpoint)

	for _, r := range []kmsg.Response{throttled, failed} {
		frame := encode(r, headers[0])
		var w Walker
		if err := w.Reset(info(r.Key(), r.GetVersion(), frame), MapperFunc(toLocalhost)); err != nil {
			t.Fatal(err)
		}
		pass, held, err := w.Feed(frame)
		if err != nil || pass != len(frame) || held != 0 || !reflect.DeepEqual(w.Result(), Result{Rewritten: 1}) {
			t.Fatal(pass, held, err, w.Result())
		}
		if bytes.Contains(frame, []byte("onprem")) || !bytes.Contains(frame, []byte("localhost")) {
			t.Errorf("%q", frame)
		}
	}
}

// An address that does not fit leaves no trace in the output.
func TestWalkerLeavesNoTrace(t *testing.T) {
	for key, version := range tailed {
		f := newFiller(1)
		f.counts, f.hosts = []int{3}, []int{6}
		frame := encode(f.response(key, version), headers[0])
		var hosts []string
		var w Walker
		_ = w.Reset(info(key, version, frame), MapperFunc(func(eps []Endpoint) error {
			for i := range eps {
				hosts = append(hosts, eps[i].Host)
				eps[i].Host = "localhost"
			}
			return nil
		}))
		out, err := walk(&w, frame, func() int { return 9 }, never)
		if err != nil || !reflect.DeepEqual(w.Result(), Result{Hidden: 3}) {
			t.Fatal(err, w.Result())
		}
		for _, h := range hosts {
			if bytes.Contains(out, []byte(h)) {
				t.Errorf("%s v%d: %s is in the output", Name(key), version, h)
			}
		}
	}
}

// The walker does not read the next frame, and can be used again.
func TestWalkerStopsAtTheFrame(t *testing.T) {
	f := newFiller(1)
	f.counts, f.hosts = []int{1}, []int{30}
	var w Walker
	for range 3 {
		frame := encode(f.response(KeyFetch, 17), headers[0])
		stream := append(bytes.Clone(frame), frame...)
		if err := w.Reset(info(KeyFetch, 17, frame), MapperFunc(toLocalhost)); err != nil {
			t.Fatal(err)
		}
		pass, held, err := w.Feed(stream)
		if err != nil || pass != len(frame) || held != 0 || w.Left() != 0 || len(w.Tail()) != 0 {
			t.Fatal(pass, held, err)
		}
		if !bytes.Equal(stream[len(frame):], frame) {
			t.Fatal("the next frame was changed")
		}
		if pass, held, err := w.Feed(stream[len(frame):]); pass != 0 || held != 0 || err != nil {
			t.Fatal(pass, held, err)
		}
	}
}
