package kafka

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

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

// waiting are the requests that say how long they wait, with that time.
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

// TestMaxWait compares with kmsg in all versions, with and without client id and tags.
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
						// Of a part it never says anything else: it says it, or 0.
						for n := range frame {
							if got := MaxWait(h, frame[:n]); got != want && got != 0 {
								t.Fatalf("%v of %d bytes, want %v or nothing", got, n, want)
							}
						}
					})
				}
			}
		}
	}
}

func TestOthersDoNotWait(t *testing.T) {
	for _, api := range APIs() {
		h := RequestHeader{Key: api.Key}
		want := map[int16]time.Duration{keySyncGroup: syncGroupWait}[api.Key]
		if got := MaxWait(h, make([]byte, 8)); got != want {
			t.Errorf("%s: %v", api.Name, got)
		}
	}
}

// FuzzMaxWait: whatever a client sends, no panic and no negative time.
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
