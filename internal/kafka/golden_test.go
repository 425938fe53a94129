package kafka

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Tails byte by byte. Other clients decoded the first four too.
func TestTailsByteByByte(t *testing.T) {
	tagged, plain := KeyFetch, KeyShareFetch
	rack := func(n int) string { // a rack of n bytes
		return hex.EncodeToString(append(appendUvarint(nil, uint32(n+1)), bytes.Repeat([]byte{'r'}, n)...))
	}
	zeros := func(n int) string { return strings.Repeat("00", n) }
	const localhost19092 = "0a 6c6f63616c686f7374 00004a94"
	for _, tc := range []struct {
		name          string
		key           int16
		before, after string
		want          Result
	}{
		{"slack 12", tagged,
			"01 | 00 21 | 02 | 00000002 | 16 622d312e6b61666b612e6578616d706c652e636f6d | 00002384 | 00 | 00",
			"02 | 00 15 | 02 | 00000002 | 0a 6c6f63616c686f7374 | 00004a94 | 00 | 00 | 7f 0a 00000000000000000000",
			Result{Rewritten: 1}},
		{"no room", tagged,
			"01 | 00 0e | 02 | 00000002 | 03 6231 | 00002384 | 00 | 00",
			"01 | 7f 0e | " + zeros(14),
			Result{Hidden: 1}},
		{"share, no room", plain,
			"02 00000002 03 6231 00002384 00 00 | 00",
			"01 | 01 7f 0b " + zeros(11),
			Result{Hidden: 1}},
		{"slack 1: cc 00 for 76", tagged,
			"01 | 00 4d | 02 | 00000002 | 0b 62312e6578616d706c65 | 00002384 | " + rack(55) + "| 00",
			"01 | 00 cc00 | 02 | 00000002 | " + localhost19092 + rack(55) + "| 00",
			Result{Rewritten: 1}},
		{"slack 0", tagged,
			"01 | 00 15 | 02 | 00000002 | 0a 62312e6578616d706c | 00002384 | 00 | 00",
			"01 | 00 15 | 02 | 00000002 | " + localhost19092 + "| 00 | 00",
			Result{Rewritten: 1}},
		{"slack 2", tagged,
			"01 | 00 17 | 02 | 00000002 | 0c 62312e6578616d706c6565 | 00002384 | 00 | 00",
			"02 | 00 15 | 02 | 00000002 | " + localhost19092 + "| 00 | 00 | 7f 00",
			Result{Rewritten: 1}},
		{"share, slack 2", plain,
			"02 00000002 0c 62312e6578616d706c6565 00002384 00 00 | 00",
			"02 00000002 " + localhost19092 + " 00 00 | 01 7f 00",
			Result{Rewritten: 1}},
		{"share, slack 1", plain,
			"02 00000002 0b 62312e6578616d706c65 00002384 00 00 | 00",
			"02 00000002 " + localhost19092 + " 00 00 | 80 00",
			Result{Rewritten: 1}},
		{"share, slack 129", plain,
			"02 00000002 8a01 " + hex.EncodeToString(bytes.Repeat([]byte{'h'}, 137)) + " 00002384 00 00 | 00",
			"02 00000002 " + localhost19092 + " 00 00 | 01 7f 7f " + zeros(127),
			Result{Rewritten: 1}},
		{"share, slack 130: an overlong 127", plain,
			"02 00000002 8b01 " + hex.EncodeToString(bytes.Repeat([]byte{'h'}, 138)) + " 00002384 00 00 | 00",
			"02 00000002 " + localhost19092 + " 00 00 | 01 7f ff00 " + zeros(127),
			Result{Rewritten: 1}},
		{"share, slack 131", plain,
			"02 00000002 8c01 " + hex.EncodeToString(bytes.Repeat([]byte{'h'}, 139)) + " 00002384 00 00 | 00",
			"02 00000002 " + localhost19092 + " 00 00 | 01 7f 8001 " + zeros(128),
			Result{Rewritten: 1}},
		{"tags stay, in order", tagged,
			"02 | 00 17 | 02 | 00000002 | 0c 62312e6578616d706c6565 | 00002384 | 00 | 00 | 05 01 aa",
			"03 | 00 15 | 02 | 00000002 | " + localhost19092 + "| 00 | 00 | 05 01 aa | 7f 00",
			Result{Rewritten: 1}},
		{"no room, other tags", tagged,
			"02 | 00 0e | 02 | 00000002 | 03 6231 | 00002384 | 00 | 00 | 05 01 aa",
			"02 | 05 01 aa | 7f 0e | " + zeros(14),
			Result{Hidden: 1}},
		{"a real tag 7f: the next one", tagged,
			"02 | 00 18 | 02 | 00000002 | 0d 62312e6578616d706c656565 | 00002384 | 00 | 00 | 7f 01 aa",
			"03 | 00 15 | 02 | 00000002 | " + localhost19092 + "| 00 | 00 | 7f 01 aa | 8001 00",
			Result{Rewritten: 1}},
		{"no addresses", tagged, "00", "00", Result{}},
		{"no addresses but tags", tagged, "01 05 02 0000", "01 05 02 0000", Result{}},
		{"no addresses, share", plain, "01 00", "01 00", Result{}},
		{"null addresses, share", plain, "00 00", "00 00", Result{}},
		{"an empty array", tagged, "01 00 01 01", "01 00 01 01", Result{}},
	} {
		b, want := unhex(t, tc.before), unhex(t, tc.after)
		if len(b) != len(want) {
			t.Errorf("%s: the test expects %d bytes for %d", tc.name, len(want), len(b))
			continue
		}
		res, err := fitTail(ResponseInfo{Key: tc.key, Version: 2}, b, MapperFunc(func(eps []Endpoint) error {
			eps[0].Host, eps[0].Port = "localhost", 19092
			return nil
		}))
		if err != nil || !reflect.DeepEqual(res, tc.want) || !bytes.Equal(b, want) {
			t.Errorf("%s: %+v %v\ngot  %x\nwant %x", tc.name, res, err, b, want)
		}
	}
}

// An entry that the mapper hides is removed, and padding takes its space.
func TestTailWithHiddenEntry(t *testing.T) {
	b := unhex(t, "01 | 00 1b | 03 | 00000001 03 6231 00002384 00 00 | 00000002 03 6232 00002384 00 00")
	want := unhex(t, "02 | 00 0e | 02 | 00000002 03 6c32 00004a7e 00 00 | 7f 0b 0000000000000000000000")
	res, err := fitTail(ResponseInfo{Key: KeyFetch, Version: 16}, b, MapperFunc(func(eps []Endpoint) error {
		eps[0].Hidden = true
		eps[1].Host, eps[1].Port = "l2", 19070
		return nil
	}))
	if err != nil || !reflect.DeepEqual(res, Result{Rewritten: 1, Hidden: 1}) || !bytes.Equal(b, want) {
		t.Errorf("%+v %v\ngot  %x\nwant %x", res, err, b, want)
	}
}

// From 128 on, the number of tags takes a second byte. The padding is shorter by that
// byte, and a slack of 2 is not enough for another tag.
func TestTailWithManyTags(t *testing.T) {
	for _, key := range []int16{KeyFetch, KeyShareFetch} {
		for tags := uint32(125); tags <= 129; tags++ {
			for slack := -3; slack <= 5; slack++ {
				array := appendUvarint(nil, 2)
				array = append(array, 0, 0, 0, 1)
				array = appendTestString(array, "kafka.corp", true)
				array = append(array, 0, 0, 0, 1, 0, 0)
				var b []byte
				if key == KeyFetch {
					b = append(appendUvarint(b, tags), 0, byte(len(array)))
				}
				b = append(b, array...)
				others := tags
				if key == KeyFetch {
					others--
				} else {
					b = appendUvarint(b, tags)
				}
				for i := range others {
					b = append(appendUvarint(b, 200+i), 0)
				}
				old := len(b)
				res, err := fitTail(ResponseInfo{Key: key}, b, MapperFunc(resize(slack)))
				if err != nil || len(b) != old || (res.Hidden == 1) != (slack < 0) {
					t.Fatalf("%s, %d tags, slack %d: %+v %v", Name(key), tags, slack, res, err)
				}
				c := newCursor(b, 0)
				c.readTail(&tail{list: &list{}}, key == KeyFetch)
				if c.err != nil {
					t.Fatalf("%s, %d tags, slack %d: %v\n%x", Name(key), tags, slack, c.err, b)
				}
			}
		}
	}
}
