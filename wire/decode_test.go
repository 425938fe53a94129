package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestDecodeCut: a message that ends too early causes an error with offset and field;
// so do bytes after the message.
func TestDecodeCut(t *testing.T) {
	var c Codec
	eachVersion(t, func(t *testing.T, d Direction, api API, version int16) {
		t.Helper()
		body := randomMessage(t, &c, rand.New(rand.NewPCG(9, uint64(version))), d, api.Key, version).AppendTo(nil)
		for n := range min(len(body), 200) {
			var at *DecodeError
			if _, err := c.Decode(d, api.Key, version, body[:n]); !errors.As(err, &at) || at.Offset > n {
				t.Fatalf("%s %v %d, cut at %d: %v", api.Name, d, version, n, err)
			}
		}
		var at *DecodeError
		if _, err := c.Decode(d, api.Key, version, append(body, 0)); !errors.Is(err, ErrLeftOver) || !errors.As(err, &at) || at.Offset != len(body) {
			t.Fatalf("%s %v %d with a byte after it: %v", api.Name, d, version, err)
		}
	})
}

// TestDecodeWrong: the texts of errors have path and offset.
func TestDecodeWrong(t *testing.T) {
	for _, tt := range []struct {
		name         string
		d            Direction
		key, version int16
		body, want   string
	}{
		{"an array that is not there", Response, 3, 1, "\x00\x00\x00\x09", "at byte 4, brokers: the message ends too early: a length of 9, and 0 bytes are left"},
		{"an element", Response, 3, 1, "\x00\x00\x00\x02\x00\x00\x00\x01\x00\x01x\x00\x00\x23\x84\xff\xff\x00\x00\x00\x02\x00\x05", "at byte 23, brokers[1].host: the message ends too early: a length of 5, and 0 bytes are left"},
		{"a negative length", Response, 3, 1, "\xff\xff\xff\xfe", "at byte 4, brokers: invalid length: -2"},
		{"more tags than bytes", Request, 38, 3, "\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f", "at byte 16: the message ends too early"},
		{"a tag that is longer than the rest", Response, 12, 4, "\x00\x00\x00\x00\x00\x00\x01\x05\x03ab", "at byte 9, unknownTaggedFields: the message ends too early"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Codec
			_, err := c.Decode(tt.d, tt.key, tt.version, []byte(tt.body))
			if err == nil || err.Error() != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	var c Codec
	for _, api := range APIs() {
		for _, d := range []Direction{Request, Response} {
			m, err := New(d, api.Key, api.MaxVersion)
			if err != nil {
				f.Fatal(err)
			}
			fill(reflect.ValueOf(m).Elem())
			f.Add(d == Response, api.Key, api.MaxVersion, m.AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, response bool, key, version int16, body []byte) {
		d := Request
		if response {
			d = Response
		}
		m, err := c.Decode(d, key, version, body)
		if err != nil {
			return
		}
		written := m.AppendTo(nil)
		again, err := c.Decode(d, key, version, written)
		if err != nil {
			t.Fatalf("the encoded message cannot be decoded: %v", err)
		}
		if !bytes.Equal(again.AppendTo(nil), written) {
			t.Error("the encoded bytes differ")
		}
	})
}

// TestShare: with Share, byte fields are parts of the frame; without it they are
// copies.
func TestShare(t *testing.T) {
	m := kmsg.NewPtrSASLAuthenticateRequest()
	m.SASLAuthBytes = []byte("token")
	body := m.AppendTo(nil)
	for _, share := range []bool{false, true} {
		got, err := (&Codec{Share: share}).Decode(Request, m.Key(), m.Version, body)
		if err != nil {
			t.Fatal(err)
		}
		b := got.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes
		if string(b) != "token" || (&b[len(b)-1] == &body[len(body)-1]) != share {
			t.Errorf("share %t: %q", share, b)
		}
	}
}
