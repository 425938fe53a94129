package inspect

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// TestAPINames: the tools have one name for an API, whether package wire decodes its frames or
// the daemon names it.
func TestAPINames(t *testing.T) {
	ours := kafka.APIs()
	for i, api := range wire.APIs() {
		if len(ours) <= i || ours[i].Key != api.Key || ours[i].Name != api.Name || ours[i].MaxVersion != api.MaxVersion || ours[i].FirstFlexible != api.FirstFlexible {
			t.Errorf("%+v is not in the table of internal/kafka", api)
		}
	}
}

// frame is a request with its length, as a client sends it.
func frame(key, version int16, id int32) []byte {
	m := kmsg.RequestForKey(key)
	m.SetVersion(version)
	client := "app"
	return wire.AppendRequest(nil, m, id, &client)
}

// TestDecode: frames with and without their lengths, in every encoding.
func TestDecode(t *testing.T) {
	two := append(frame(3, 12, 7), frame(12, 0, 8)...)
	heartbeat := []byte("\x00\x00\x00\x06\x00\x00\x00\x09\x00\x1b")
	for _, tt := range []struct {
		name     string
		d        Decoder
		input    []byte
		want     []string // parts of the values
		err      string
		encoding string
	}{
		{"two requests", Decoder{}, two, []string{`"offset":0,"api":"Metadata","key":3,"version":12,"correlationId":7,"clientId":"app","request":{"topics":`, `"api":"Heartbeat"`}, "", "raw"},
		{"hex", Decoder{}, []byte(hex.EncodeToString(two)), []string{`"Metadata"`, `"Heartbeat"`}, "", "hex"},
		{"hex in lines", Decoder{}, []byte(fmt.Sprintf("% x\n% x\n", two[:20], two[20:])), []string{`"Metadata"`, `"Heartbeat"`}, "", "hex"},
		{"hexdump -C", Decoder{}, []byte(hex.Dump(two)), []string{`"Metadata"`, `"Heartbeat"`}, "", "hex"},
		{"base64", Decoder{}, []byte(base64.StdEncoding.EncodeToString(two) + "\n"), []string{`"Metadata"`, `"Heartbeat"`}, "", "base64"},
		{"without length", Decoder{}, frame(3, 12, 7)[4:], []string{`"Metadata"`}, "", "raw"},
		{"Produce without length", Decoder{}, frame(0, 9, 7)[4:], []string{`"Produce"`}, "", "raw"},
		{"a response", Decoder{Response: "Heartbeat:0"}, heartbeat, []string{`"correlationId":9,"response":{"errorCode":27,"error":{"code":27,"name":"REBALANCE_IN_PROGRESS"`}, "", "raw"},
		{"a response without length", Decoder{Response: "12:0"}, heartbeat[4:], []string{`"correlationId":9`}, "", "raw"},
		{"a response that is taken for a request", Decoder{}, heartbeat, nil, "byte 0 of the input: not a request: ", "raw"},
		{"a response without a version", Decoder{Response: "Heartbeat"}, heartbeat, nil, "the version is missing", "raw"},
		{"cut off", Decoder{}, two[:len(two)-3], []string{`"Metadata"`}, "the stream ends inside a frame", "raw"},
		{"a body that is too short", Decoder{Response: "Metadata:0"}, []byte("\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x00\x05\x00\x00"), nil, "byte 12 of the input: Metadata response, version 0: at byte 8, brokers: the message ends too early: a length of 5, and 2 bytes are left", "raw"},
		{"nothing", Decoder{}, nil, nil, "the input is empty", "raw"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, encoding, err := wire.ReadDump(tt.input, "auto")
			if err != nil || encoding != tt.encoding {
				t.Fatalf("%s, want %s, %v", encoding, tt.encoding, err)
			}
			var got []string
			err = tt.d.Decode(b, func(value []byte) error { got = append(got, string(value)); return nil })
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want %s", err, tt.err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("%q", got)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("%s, want %s", got[i], want)
				}
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(frame(3, 12, 7), "", false)
	f.Add(append(frame(0, 9, 7), frame(1, 18, 8)...), "", true)
	f.Add([]byte("\x00\x00\x00\x06\x00\x00\x00\x09\x00\x1b"), "Heartbeat:0", false)
	f.Fuzz(func(t *testing.T, input []byte, response string, records bool) {
		b, _, err := wire.ReadDump(input, "auto")
		if err != nil {
			t.Fatal(err)
		}
		var last int64 = -1
		err = Decoder{Response: response, Records: records}.Decode(b, func(value []byte) error {
			if !bytes.HasPrefix(value, []byte(`{"offset":`)) {
				t.Errorf("%s", value)
			}
			last++
			return nil
		})
		var at *wire.DecodeError
		if errors.As(err, &at) && at.Offset > len(b) {
			t.Errorf("%v: there are %d bytes", err, len(b))
		}
		if n := len(b); err == nil && n >= 4 && last < 0 && binary.BigEndian.Uint32(b) > 0 {
			t.Errorf("nothing came of %d bytes", n)
		}
	})
}
