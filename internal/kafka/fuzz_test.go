package kafka

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The fuzz targets check three properties against kmsg: a message that both accept is
// rewritten as the oracle requires, a canonical message is accepted, and the output has
// only local addresses.

// seeds adds a few messages of every version of a key.
func seeds(f *testing.F, key, from, to int16) {
	for v := from; v <= to; v++ {
		for seed := range uint64(4) {
			fill := newFiller(seed)
			fill.plain = true
			f.Add(uint8(v), encode(fill.response(key, v), headers[seed%2]))
		}
	}
}

// slow reports whether kmsg might take minutes to read b: kmsg trusts the number of
// tags and makes up to 2^32 attempts to read from nothing. Numbers above 2^21 have
// three bytes in a row with the top bit set.
func slow(b []byte) bool {
	run := 0
	for _, c := range b {
		if run++; c < 0x80 {
			run = 0
		}
		if run == 3 {
			return true
		}
	}
	return false
}

func FuzzMetadata(f *testing.F)        { fuzzRewrite(f, KeyMetadata) }
func FuzzFindCoordinator(f *testing.F) { fuzzRewrite(f, KeyFindCoordinator) }
func FuzzProduce(f *testing.F)         { fuzzRewrite(f, KeyProduce) }

func fuzzRewrite(f *testing.F, key int16) {
	a, _ := Lookup(key)
	seeds(f, key, a.Since, a.MaxVersion)
	f.Fuzz(func(t *testing.T, v uint8, frame []byte) {
		version := a.Since + int16(v)%(a.MaxVersion-a.Since+1)
		original := bytes.Clone(frame)
		newMapper := func() *testMapper {
			return &testMapper{host: local, hide: func(e Endpoint) bool { return e.NodeID%7 == 3 }}
		}
		m := newMapper()
		out, res, err := rewriteAll(info(key, version, frame), frame, m)
		if !bytes.Equal(frame, original) {
			t.Fatal("the input was changed")
		}
		if slow(frame) {
			return
		}
		message, oracle := decode(key, version, frame)
		canonical := oracle == nil && bytes.Equal(reencode(key, version, frame, message), frame)
		if err != nil {
			if canonical && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrControllers) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if oracle != nil {
			return // bytes after the addresses are not read
		}
		wantRes := replace(message, newMapper())
		got, err := decode(key, version, out)
		if err != nil {
			t.Fatalf("the output is no longer a message: %v", err)
		}
		if !reflect.DeepEqual(res, wantRes) || !bytes.Equal(got.AppendTo(nil), message.AppendTo(nil)) {
			t.Fatalf("got  %+v %x\nwant %+v %x", res, got.AppendTo(nil), wantRes, message.AppendTo(nil))
		}
		replace(got, MapperFunc(func(eps []Endpoint) error {
			for _, e := range eps {
				if e.Host != "localhost" {
					t.Fatalf("%+v is in the output", e)
				}
			}
			return nil
		}))
	})
}

func FuzzApiVersions(f *testing.F) {
	seeds(f, KeyApiVersions, 0, 5)
	f.Fuzz(func(t *testing.T, v uint8, frame []byte) {
		version := int16(v % 6)
		layout := version
		if len(frame) >= 6 && frame[4] == 0 && frame[5] == unsupportedVersion {
			layout = 0
		}
		out, _, err := rewriteWhole(nil, info(KeyApiVersions, version, frame), bytes.Clone(frame), nil)
		if slow(frame) {
			return
		}
		message, oracle := decode(KeyApiVersions, layout, frame)
		canonical := oracle == nil && bytes.Equal(reencode(KeyApiVersions, layout, frame, message), frame)
		if err != nil {
			if canonical && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if oracle != nil {
			return
		}
		got, err := decode(KeyApiVersions, layout, out)
		if err != nil {
			t.Fatalf("the output is no longer a message: %v", err)
		}
		capped(message.(*kmsg.ApiVersionsResponse))
		if !bytes.Equal(got.AppendTo(nil), message.AppendTo(nil)) {
			t.Fatalf("got  %x\nwant %x", got.AppendTo(nil), message.AppendTo(nil))
		}
	})
}

func FuzzRequestHeader(f *testing.F) {
	for v := int16(0); v <= 13; v++ {
		r := kmsg.NewPtrProduceRequest()
		r.SetVersion(v)
		r.Acks, r.TransactionID = v%2, new("txn")
		f.Add(request(r, new("client")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseRequestHeader(b)
		if (err == nil) != (len(b) >= RequestHeaderLen) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err != nil {
			return
		}
		_ = TreatmentOf(h.Key, h.Version)
		_, _, _ = ClientSoftware(h.Version, b)
		version := h.Version & 15 % 14
		zero, enough, err := AcksZero(version, b)
		r := kmsg.NewPtrProduceRequest()
		r.SetVersion(version)
		c := newCursor(b, RequestHeaderLen)
		c.nullable(false)
		if r.IsFlexible() {
			c.tags()
		}
		if c.err != nil || slow(b[c.off:]) || r.ReadFrom(b[c.off:]) != nil {
			return
		}
		if len(b) < AcksBound && (err != nil || !enough || zero != (r.Acks == 0)) {
			t.Fatalf("v%d: acks %d, got %v %v %v", version, r.Acks, zero, enough, err)
		}
	})
}

func FuzzDescribeCluster(f *testing.F)        { fuzzRewrite(f, KeyDescribeCluster) }
func FuzzShareAcknowledge(f *testing.F)       { fuzzRewrite(f, KeyShareAcknowledge) }
func FuzzWalkerFetch(f *testing.F)            { fuzzWalker(f, KeyFetch) }
func FuzzWalkerShareFetch(f *testing.F)       { fuzzWalker(f, KeyShareFetch) }
func FuzzWalkerProduce(f *testing.F)          { fuzzWalker(f, KeyProduce) }
func FuzzWalkerShareAcknowledge(f *testing.F) { fuzzWalker(f, KeyShareAcknowledge) }

func fuzzWalker(f *testing.F, key int16) {
	a, _ := Lookup(key)
	for v := a.Since; v <= a.MaxVersion; v++ {
		for seed := range uint64(4) {
			fill := newFiller(seed)
			fill.plain = true
			fill.hosts = []int{3, 9, 10, 11, 20}
			f.Add(uint8(v-a.Since), uint8(seed*50), encode(fill.response(key, v), headers[seed%2]))
		}
	}
	f.Fuzz(func(t *testing.T, v, piece uint8, frame []byte) {
		version := a.Since + int16(v)%(a.MaxVersion-a.Since+1)
		m := &testMapper{host: local, hide: func(e Endpoint) bool { return e.NodeID%7 == 3 }}
		var w Walker
		if err := w.Reset(info(key, version, frame), m); err != nil {
			if len(frame) >= 4 {
				t.Fatal(err)
			}
			return
		}
		out, err := walk(&w, frame, func() int { return int(piece) + 1 }, func() bool { return piece%2 == 0 })
		if slow(frame) {
			return
		}
		message, oracle := decode(key, version, frame)
		if err != nil {
			if oracle == nil && bytes.Equal(reencode(key, version, frame, message), frame) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if len(out) != len(frame) {
			t.Fatalf("%d bytes became %d", len(frame), len(out))
		}
		if oracle != nil {
			return // kmsg reads the tags of partitions
		}
		got, err := decode(key, version, out)
		if err != nil {
			t.Fatalf("the output is no longer a message: %v", err)
		}
		// With or without padding, only the addresses and one tag may differ.
		count := replace(got, MapperFunc(func(eps []Endpoint) error {
			for i := range eps {
				if eps[i].Host != "localhost" {
					t.Fatalf("%+v is in the output", eps[i])
				}
				eps[i].Hidden = true
			}
			return nil
		}))
		if count.Rewritten+count.Hidden != w.Result().Rewritten {
			t.Fatalf("the output has %d addresses, the result is %+v", count.Hidden, w.Result())
		}
		all := replace(message, MapperFunc(func(eps []Endpoint) error {
			for i := range eps {
				eps[i].Hidden = true
			}
			return nil
		}))
		if all.Hidden != w.Result().Rewritten+w.Result().Hidden {
			t.Fatalf("the input has %d addresses, the result is %+v", all.Hidden, w.Result())
		}
		if w.Result().Changed() {
			pad := uint32(padTag)
			topTags(message).Each(func(k uint32, _ []byte) { pad = max(pad, k+1) })
			unpad(t, got, pad)
		}
		if !bytes.Equal(got.AppendTo(nil), message.AppendTo(nil)) {
			t.Fatalf("got  %x\nwant %x", got.AppendTo(nil), message.AppendTo(nil))
		}
	})
}
