package kafka

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// capped changes the decoded message as the tunnel promises to.
func capped(r *kmsg.ApiVersionsResponse) {
	r.ApiKeys = slices.DeleteFunc(r.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
		a, ok := Lookup(k.ApiKey)
		return ok && a.Rewritten() && k.MinVersion > a.MaxVersion
	})
	for i := range r.ApiKeys {
		if a, ok := Lookup(r.ApiKeys[i].ApiKey); ok && a.Rewritten() {
			r.ApiKeys[i].MaxVersion = min(r.ApiKeys[i].MaxVersion, a.MaxVersion)
		}
	}
}

func TestApiVersionsAreCapped(t *testing.T) {
	keys := []int16{0, 1, 3, 10, 18, 60, 78, 79, 2, 55, 94, 95, 200, -1}
	rapid.Check(t, func(t *rapid.T) {
		asked := int16(rapid.IntRange(0, 5).Draw(t, "version"))
		n := rapid.SampledFrom([]int{0, 1, 5, 95, 126, 127, 128, 129, 300}).Draw(t, "entries")
		f := newFiller(rapid.Uint64().Draw(t, "seed"))
		r := f.response(KeyApiVersions, asked).(*kmsg.ApiVersionsResponse)
		r.ErrorCode = rapid.SampledFrom([]int16{0, 35, 42, 129}).Draw(t, "error")
		if r.ErrorCode == 35 {
			r.SetVersion(0)
		}
		r.ApiKeys = r.ApiKeys[:0]
		for range n {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey = keys[f.IntN(len(keys))]
			k.MinVersion, k.MaxVersion = int16(f.IntN(20)-1), int16(f.IntN(20)-1)
			f.tags(&k.UnknownTags)
			r.ApiKeys = append(r.ApiKeys, k)
		}
		frame := encode(r, nil)
		var caps []Cap
		for _, k := range r.ApiKeys {
			switch a, ok := Lookup(k.ApiKey); {
			case !ok || !a.Rewritten() || k.MinVersion <= a.MaxVersion && k.MaxVersion <= a.MaxVersion:
			case k.MinVersion > a.MaxVersion:
				caps = append(caps, Cap{k.ApiKey, k.MaxVersion, -1})
			default:
				caps = append(caps, Cap{k.ApiKey, k.MaxVersion, a.MaxVersion})
			}
		}
		out, res, err := rewriteWhole(nil, info(KeyApiVersions, asked, frame), frame, nil)
		if err != nil || res.Changed() {
			t.Fatal(res, err)
		}
		caps = caps[:min(len(caps), maxCaps)]
		if !slices.Equal(res.Capped, caps) {
			t.Fatalf("capped %v, want %v", res.Capped, caps)
		}
		if len(out) > 0 && &out[0] != &frame[0] {
			t.Fatal("not in place")
		}
		capped(r)
		if want := encode(r, nil); !bytes.Equal(out, want) {
			t.Fatalf("got  %x\nwant %x", out, want)
		}
	})
}

// A broker of Kafka 4.4: the versions that a client sees through the tunnel.
func TestApiVersionsOfANewBroker(t *testing.T) {
	r := kmsg.NewPtrApiVersionsResponse()
	r.SetVersion(4)
	for _, e := range [][3]int16{{0, 0, 14}, {1, 4, 18}, {3, 0, 14}, {10, 0, 7}, {18, 0, 6}, {26, 0, 5}, {60, 0, 2}, {78, 1, 2}, {79, 1, 2}, {95, 0, 3}} {
		r.ApiKeys = append(r.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: e[0], MinVersion: e[1], MaxVersion: e[2]})
	}
	frame := encode(r, nil)
	out, _, err := rewriteWhole(nil, info(KeyApiVersions, 4, frame), frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(KeyApiVersions, 4, out)
	if err != nil {
		t.Fatal(err)
	}
	var have [][3]int16
	for _, k := range got.(*kmsg.ApiVersionsResponse).ApiKeys {
		have = append(have, [3]int16{k.ApiKey, k.MinVersion, k.MaxVersion})
	}
	want := [][3]int16{{0, 0, 13}, {1, 4, 18}, {3, 0, 13}, {10, 0, 6}, {18, 0, 5}, {26, 0, 5}, {60, 0, 2}, {78, 1, 2}, {79, 1, 2}, {95, 0, 3}}
	if !slices.Equal(have, want) {
		t.Errorf("got %v, want %v", have, want)
	}
}

func TestApiVersionsTruncated(t *testing.T) {
	for v := int16(0); v <= 5; v++ {
		f := newFiller(uint64(v))
		r := f.response(KeyApiVersions, v).(*kmsg.ApiVersionsResponse)
		r.ErrorCode = 0
		r.ApiKeys = make([]kmsg.ApiVersionsResponseApiKey, 3)
		frame := encode(r, nil)
		for n := range 4 + 2 + 1 + 3*6 {
			part := bytes.Clone(frame[:n])
			if _, _, err := rewriteWhole(nil, info(KeyApiVersions, v, part), part, nil); !errors.Is(err, ErrMalformed) {
				t.Errorf("v%d, %d bytes: %v", v, n, err)
			}
		}
	}
}

func TestApiVersionsTooNew(t *testing.T) {
	if ApiVersionsTooNew(5) || !ApiVersionsTooNew(6) {
		t.Error("the newest known version is not 5")
	}
	got := hex.EncodeToString(AppendApiVersionsTooNew([]byte{0xaa}, 0x01020304))
	if want := "aa" + "00000010" + "01020304" + "0023" + "00000001" + "001200000005"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
