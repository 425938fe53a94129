package kafka

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// captured is one exchange of testdata/captured, without the sizes.
type captured struct {
	key, version      int16
	request, response []byte
}

func readCaptured(t *testing.T) []captured {
	t.Helper()
	files, err := filepath.Glob("testdata/captured/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []captured
	for _, file := range files {
		var key int16
		if _, err := fmt.Sscanf(filepath.Base(file), "%d-", &key); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var version int16
			var what, digits string
			if _, err := fmt.Sscanf(line, "v%d %s %s", &version, &what, &digits); err != nil {
				t.Fatalf("%s: %q: %v", file, line, err)
			}
			frame, err := hex.DecodeString(digits)
			if err != nil || len(frame) < 8 || int(binary.BigEndian.Uint32(frame)) != len(frame)-SizeLen {
				t.Fatalf("%s: not a frame: %q, %v", file, line, err)
			}
			if what == "request" {
				out = append(out, captured{key: key, version: version, request: frame[SizeLen:]})
				continue
			}
			last := &out[len(out)-1]
			if last.key != key || last.version != version || last.response != nil {
				t.Fatalf("%s: v%d: a response without its request", file, version)
			}
			last.response = frame[SizeLen:]
		}
	}
	return out
}

// realDomain is part of every real name of the captured brokers.
var realDomain = []byte("onprem.invalid")

// shownOnly reports whether an API's responses may show addresses that no client
// connects to.
func shownOnly(key int16) bool {
	return key == 55 // DescribeQuorum: listeners of the controllers
}

func TestCaptured(t *testing.T) {
	all := readCaptured(t)
	keys, named := map[int16]bool{}, map[int16]int{}
	for _, c := range all {
		keys[c.key] = true
		t.Run(fmt.Sprintf("%s v%d", Name(c.key), c.version), func(t *testing.T) {
			h, err := ParseRequestHeader(c.request)
			if err != nil || h.Key != c.key || h.Version != c.version || !Known(h.Key, h.Version) {
				t.Errorf("header %+v, %v", h, err)
			}
			if got := int32(binary.BigEndian.Uint32(c.response)); got != h.CorrelationID {
				t.Errorf("correlation id %d, want %d", got, h.CorrelationID)
			}
			if c.key == KeyProduce {
				if zero, enough, err := AcksZero(c.version, c.request); zero || !enough || err != nil {
					t.Errorf("acks: %v, %v, %v", zero, enough, err)
				}
			}
			if c.key == KeyApiVersions && c.version >= 3 {
				if name, _, ok := ClientSoftware(c.version, c.request); !ok || name == "" {
					t.Error("the request has no client software")
				}
			}
			if bytes.Contains(c.response, realDomain) {
				named[c.key]++
			}
			checkCapturedResponse(t, c)
		})
	}
	if len(keys) < 30 || len(all) < 90 {
		t.Errorf("only %d APIs in %d versions were captured", len(keys), len(all))
	}
	for _, key := range []int16{KeyMetadata, KeyFindCoordinator, KeyDescribeCluster, KeyProduce, KeyFetch, KeyShareFetch} {
		if named[key] == 0 {
			t.Errorf("no captured %s response names a broker", Name(key))
		}
	}
}

// checkCapturedResponse rewrites one response as the relay does and compares the result
// with that of kmsg.
func checkCapturedResponse(t *testing.T, c captured) {
	t.Helper()
	treatment := TreatmentOf(c.key, c.version)
	if treatment == Pass {
		if bytes.Contains(c.response, realDomain) && !shownOnly(c.key) {
			t.Error("a response that passes names a broker")
		}
		return
	}
	layout := c.version
	if c.key == KeyApiVersions && binary.BigEndian.Uint16(c.response[4:]) == 35 {
		layout = 0 // the layout in which every broker answers an unknown version (KIP-511)
	}
	want, err := decode(c.key, layout, c.response)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	h, frame := info(c.key, c.version, c.response), bytes.Clone(c.response)
	switch treatment {
	case Head:
		head, consumed, _, failed := rewriteHead(nil, h, frame, MapperFunc(toLocalhost))
		out, err = append(bytes.Clone(head), frame[consumed:]...), failed
	case Whole:
		if Streams(c.key, c.version) {
			walked, failed := walkCaptured(h, frame)
			if failed != nil || len(walked) != len(frame) || bytes.Contains(walked, realDomain) {
				t.Errorf("streamed: %d bytes of %d, %v", len(walked), len(frame), failed)
			}
			frame = bytes.Clone(c.response)
		}
		out, _, err = rewriteWhole(nil, h, frame, MapperFunc(toLocalhost))
	case Tail:
		out, err = walkCaptured(h, frame)
	}
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, realDomain) {
		t.Error("a real name is in the output")
	}
	got, err := decode(c.key, layout, out)
	if err != nil {
		t.Fatal(err)
	}
	if versions, ok := want.(*kmsg.ApiVersionsResponse); ok {
		capped(versions)
	}
	replace(want, MapperFunc(toLocalhost))
	for _, r := range []kmsg.Response{want, got} { // the padding is an unknown tag
		switch r := r.(type) {
		case *kmsg.FetchResponse:
			r.UnknownTags = kmsg.Tags{}
		case *kmsg.ShareFetchResponse:
			r.UnknownTags = kmsg.Tags{}
		}
	}
	if !bytes.Equal(want.AppendTo(nil), got.AppendTo(nil)) {
		t.Errorf("got  %x\nwant %x", got.AppendTo(nil), want.AppendTo(nil))
	}
}

// walkCaptured feeds a response to a walker in random pieces.
func walkCaptured(h ResponseInfo, frame []byte) (out []byte, err error) {
	var w Walker
	if err := w.Reset(h, MapperFunc(toLocalhost)); err != nil {
		return nil, err
	}
	for w.Left() > 0 {
		piece := bytes.Clone(frame[:1+rand.IntN(len(frame))])
		pass, held, err := w.Feed(piece)
		if err != nil {
			return nil, err
		}
		out = append(out, piece[:pass]...)
		frame = frame[pass+held:]
	}
	return append(out, w.Tail()...), nil
}
