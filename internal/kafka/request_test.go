package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// request returns a request without its size.
func request(r kmsg.Request, clientID *string) []byte {
	f := kmsg.NewRequestFormatter()
	if clientID != nil {
		f = kmsg.NewRequestFormatter(kmsg.FormatterClientID(*clientID))
	}
	return f.AppendRequest(nil, r, 77)[SizeLen:]
}

func TestRequestHeader(t *testing.T) {
	r := kmsg.NewPtrMetadataRequest()
	r.SetVersion(9)
	b := request(r, nil)
	h, err := ParseRequestHeader(b)
	if err != nil || h != (RequestHeader{KeyMetadata, 9, 77}) {
		t.Errorf("%+v, %v", h, err)
	}
	for n := range RequestHeaderLen {
		if _, err := ParseRequestHeader(b[:n]); !errors.Is(err, ErrShort) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	h, err = ParseRequestHeader(bytes.Repeat([]byte{0xff}, 8))
	if err != nil || h != (RequestHeader{-1, -1, -1}) {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestAcksZero(t *testing.T) {
	ids := map[string]*string{"null": nil, "empty": new(""), "short": new("rdkafka"), "long": new(strings.Repeat("x", 32767))}
	for v := int16(0); v <= 13; v++ {
		for _, acks := range []int16{-1, 0, 1} {
			for name, client := range ids {
				for txnName, txn := range ids {
					r := kmsg.NewPtrProduceRequest()
					r.SetVersion(v)
					r.Acks, r.TransactionID = acks, txn
					b := request(r, client)
					at := bytes.LastIndex(b, r.AppendTo(nil)) // the body
					end := at + 2
					if v >= 3 {
						end = len(b) - 4 - 4 // timeout, no topics
					}
					if v >= 9 {
						end = len(b) - 4 - 1 - 1
					}
					what := fmt.Sprintf("v%d acks %d client %s txn %s", v, acks, name, txnName)
					zero, enough, err := AcksZero(v, b[:end])
					if zero != (acks == 0) || !enough || err != nil {
						t.Fatalf("%s: %v %v %v", what, zero, enough, err)
					}
					for _, n := range []int{0, 7, 8, 9, 10, end / 2, end - 2, end - 1} {
						if n < end {
							if zero, enough, err := AcksZero(v, b[:n]); zero || enough || err != nil {
								t.Fatalf("%s, %d of %d bytes: %v %v %v", what, n, end, zero, enough, err)
							}
						}
					}
				}
			}
		}
	}
}

func TestAcksZeroBounded(t *testing.T) {
	header := []byte{0, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xff}
	for name, b := range map[string][]byte{
		"a tag of 2 GiB":           append(bytes.Clone(header), 1, 5, 0xff, 0xff, 0xff, 0xff, 7),
		"a transaction id of 1 GB": append(bytes.Clone(header), 0, 0xff, 0xff, 0xff, 0xff, 3),
		"no number at all":         append(bytes.Clone(header), 0x80, 0x80, 0x80, 0x80, 0x80),
		"endless tags":             append(append(bytes.Clone(header), 0xff, 0xff, 0xff, 0xff, 15), make([]byte, 1<<20)...),
	} {
		if _, _, err := AcksZero(9, b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClientSoftware(t *testing.T) {
	r := kmsg.NewPtrApiVersionsRequest()
	r.ClientSoftwareName, r.ClientSoftwareVersion = "librdkafka", "2.15.0"
	for v := int16(0); v <= 5; v++ {
		r.SetVersion(v)
		b := request(r, new("app"))
		name, release, ok := ClientSoftware(v, b)
		if ok != (v >= 3) || ok && (name != "librdkafka" || release != "2.15.0") {
			t.Errorf("v%d: %q %q %v", v, name, release, ok)
		}
		if _, _, ok := ClientSoftware(v, b[:len(b)/2]); ok {
			t.Errorf("v%d: a truncated request has a name", v)
		}
	}
}

// asRequest returns the frame of a request after its size, with tags in its header.
func asRequest(r kmsg.Request, clientID *string, tags []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(r.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(r.GetVersion()))
	b = binary.BigEndian.AppendUint32(b, 7)
	if clientID == nil {
		b = binary.BigEndian.AppendUint16(b, 0xffff)
	} else {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(*clientID))), *clientID...)
	}
	if r.IsFlexible() {
		b = append(b, tags...)
	}
	return r.AppendTo(b)
}

// waiting returns the requests that have a maximal wait, with that time.
func waiting(version int16) map[kmsg.Request]time.Duration {
	fetch := kmsg.NewPtrFetchRequest()
	fetch.ReplicaID, fetch.MaxWaitMillis = 0x01020304, 500
	share := kmsg.NewPtrShareFetchRequest()
	share.GroupID, share.MemberID, share.MaxWaitMillis = kmsg.StringPtr("group"), kmsg.StringPtr("member"), 700
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "group", 45_000, 300_000
	bare := kmsg.NewPtrShareFetchRequest()
	bare.MaxWaitMillis = 900
	all := map[kmsg.Request]time.Duration{fetch: 500 * time.Millisecond, share: 700 * time.Millisecond, bare: 900 * time.Millisecond, join: 5 * time.Minute}
	if version == 0 {
		all[join] = 45 * time.Second
	}
	return all
}

// TestMaxWait: the result is that of kmsg in all versions, with and without client id
// and tags.
func TestMaxWait(t *testing.T) {
	name := "some client"
	for version := int16(0); version <= 18; version++ {
		for r, want := range waiting(version) {
			if version > apis[r.Key()].MaxVersion {
				continue
			}
			r.SetVersion(version)
			for _, id := range []*string{nil, &name} {
				for _, tags := range headers {
					t.Run(fmt.Sprintf("%s-%d", Name(r.Key()), version), func(t *testing.T) {
						frame := asRequest(r, id, tags)
						h, err := ParseRequestHeader(frame)
						if err != nil {
							t.Fatal(err)
						}
						if got := MaxWait(h, frame); got != want {
							t.Errorf("%v, want %v", got, want)
						}
						// For a part of the request the result is the same, or 0.
						for n := range frame {
							if got := MaxWait(h, frame[:n]); got != want && got != 0 {
								t.Fatalf("%v of %d bytes, want %v or 0", got, n, want)
							}
						}
					})
				}
			}
		}
	}
}

func TestOtherRequestsDoNotWait(t *testing.T) {
	for _, api := range APIs() {
		h := RequestHeader{Key: api.Key}
		want := map[int16]time.Duration{keySyncGroup: syncGroupWait}[api.Key]
		if got := MaxWait(h, make([]byte, 8)); got != want {
			t.Errorf("%s: %v", api.Name, got)
		}
	}
}

// FuzzMaxWait: no request causes a panic or a negative time.
func FuzzMaxWait(f *testing.F) {
	for version := int16(0); version <= 18; version += 6 {
		for r := range waiting(version) {
			r.SetVersion(min(version, apis[r.Key()].MaxVersion))
			f.Add(asRequest(r, nil, headers[1]))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseRequestHeader(b)
		if err != nil {
			return
		}
		if d := MaxWait(h, b); d < 0 {
			t.Errorf("%v", d)
		}
	})
}

func BenchmarkMaxWait(b *testing.B) {
	r := kmsg.NewPtrFetchRequest()
	r.SetVersion(13)
	name := "consumer-group-1"
	frame := asRequest(r, &name, headers[0])
	h, _ := ParseRequestHeader(frame)
	b.ReportAllocs()
	for b.Loop() {
		MaxWait(h, frame)
	}
}
