package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// TestResponses: any number of responses, cut into any chunks, are returned whole and
// in order.
func TestResponses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			stream []byte
			wanted []Message
			r      Responses
			codec  Codec
		)
		for i := range rapid.IntRange(0, 6).Draw(t, "responses") {
			api := APIs()[rapid.IntRange(0, len(APIs())-1).Draw(t, "key")]
			version := int16(rapid.IntRange(0, int(api.MaxVersion)).Draw(t, "version"))
			m := randomMessage(t, &codec, rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed"))), Response, api.Key, version)
			stream = append(stream, responseFrame(m, int32(i))...)
			wanted = append(wanted, m)
			r.Expect(int32(i), api.Key, version)
		}
		got := 0
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "chunk")
			if _, err := r.Write(stream[:n]); err != nil {
				t.Fatal(err)
			}
			stream = stream[n:]
			for {
				reply, ok, err := r.NextReply()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				if int(reply.CorrelationID) != got || !bytes.Equal(reply.Message.AppendTo(nil), wanted[got].AppendTo(nil)) {
					t.Fatalf("reply %d: %+v", got, reply)
				}
				got++
			}
		}
		if err := r.End(); err != nil || got != len(wanted) {
			t.Fatalf("%d of %d, %v", got, len(wanted), err)
		}
	})
}

// responseFrame is a response as a broker sends it.
func responseFrame(m Message, correlationID int32) []byte {
	body := binary.BigEndian.AppendUint32(nil, uint32(correlationID))
	if m.IsFlexible() && m.Key() != 18 {
		body = append(body, 0)
	}
	body = m.AppendTo(body)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// TestRequests: a request that is encoded in a frame decodes to the same request, with
// its header.
func TestRequests(t *testing.T) {
	var codec Codec
	id := "a client"
	eachVersion(t, func(t *testing.T, d Direction, api API, version int16) {
		t.Helper()
		if d != Request {
			return
		}
		m := randomMessage(t, &codec, rand.New(rand.NewPCG(3, uint64(version))), d, api.Key, version)
		for _, clientID := range []*string{nil, &id} {
			frame := AppendRequest(nil, m, 77, clientID)
			h, got, err := codec.ParseRequest(frame[4:])
			if err != nil {
				t.Fatalf("%s %d: %v", api.Name, version, err)
			}
			if api.Key == 7 && version == 0 {
				h.ClientID = clientID
			}
			if h.Key != api.Key || h.Version != version || h.CorrelationID != 77 || !reflect.DeepEqual(h.ClientID, clientID) || !bytes.Equal(got.AppendTo(nil), m.AppendTo(nil)) {
				t.Errorf("%s %d: %+v", api.Name, version, h)
			}
			for n := range min(len(frame)-4, 40) {
				if _, _, err := codec.ParseRequest(frame[4 : 4+n]); err == nil && len(m.AppendTo(nil)) > 0 {
					t.Fatalf("%s %d: no error although cut at %d", api.Name, version, n)
				}
			}
			if _, _, err := codec.ParseRequest(append(bytes.Clone(frame[4:]), 1, 2, 3)); !errors.Is(err, ErrLeftOver) {
				t.Errorf("%s %d: no error although bytes follow: %v", api.Name, version, err)
			}
		}
	})
}

// TestFrames: an error has the offset of the frame in the stream.
func TestFrames(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stream string
		frames int
		err    error
		offset int64
	}{
		{"nothing", "", 0, nil, 0},
		{"an empty frame", "\x00\x00\x00\x00", 1, nil, 0},
		{"negative", "\x00\x00\x00\x01x\xff\xff\xff\xff", 1, ErrNegativeLength, 5},
		{"too long", "\x00\x00\x00\x0b12345678901", 0, ErrFrameTooLong, 0},
		{"cut in the length", "\x00\x00\x00\x01x\x00", 1, ErrCutOff, 5},
		{"cut in the frame", "\x00\x00\x00\x03xx", 0, ErrCutOff, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Frames{Max: 10}
			fmt.Fprint(&f, tt.stream)
			n := 0
			var err error
			for err == nil {
				var frame []byte
				if frame, err = f.Next(); frame == nil {
					break
				}
				n++
			}
			if err == nil {
				err = f.End()
			}
			var at *FrameError
			if n != tt.frames || !errors.Is(err, tt.err) || errors.As(err, &at) && at.Offset != tt.offset {
				t.Errorf("%d frames, %v", n, err)
			}
		})
	}
}

// TestUnexpectedResponse: a response without a request is an error, and the next
// response is read.
func TestUnexpectedResponse(t *testing.T) {
	var r Responses
	heartbeat := kmsg.NewPtrHeartbeatResponse()
	for _, id := range []int32{5, 6} {
		if _, err := r.Write(responseFrame(heartbeat, id)); err != nil {
			t.Fatal(err)
		}
	}
	r.Expect(6, 12, 0)
	if _, ok, err := r.NextReply(); !ok || !errors.Is(err, ErrUnexpectedResponse) {
		t.Errorf("%v %v", ok, err)
	}
	if reply, ok, err := r.NextReply(); !ok || err != nil || reply.CorrelationID != 6 {
		t.Errorf("%+v %v %v", reply, ok, err)
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, api := range APIs() {
		m, err := New(Request, api.Key, api.MaxVersion)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(AppendRequest(nil, m, 1, nil)[4:])
	}
	codec := new(Codec)
	f.Fuzz(func(t *testing.T, frame []byte) {
		_, m, err := codec.ParseRequest(frame)
		if err != nil {
			return
		}
		text, err := codec.AppendJSON(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := codec.ParseJSON(Request, m.Key(), m.GetVersion(), text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !bytes.Equal(again.AppendTo(nil), m.AppendTo(nil)) {
			t.Errorf("the encoded bytes differ\n%s", text)
		}
	})
}
