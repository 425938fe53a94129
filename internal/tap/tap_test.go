package tap

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pass shows a frame as a pump does.
func pass(v *Viewer, f Frame, b []byte) {
	f.Size = len(b)
	if f.Connection == nil {
		f.Connection = &Connection{Number: 7, Node: "1"}
	}
	one := v.Begin(f)
	if one == nil {
		return
	}
	one.Write([]byte{0, 0})
	one.Write([]byte{0, 0})
	one.Write(b[:len(b)/2])
	one.Write(b[len(b)/2:])
	one.End(false)
}

func next(t *testing.T, v *Viewer) *Frame {
	t.Helper()
	f, dropped, err := v.Next(t.Context())
	if err != nil || dropped != 0 || f == nil {
		t.Fatalf("%v, %d dropped, %v", f, dropped, err)
	}
	return f
}

// TestNobodyWatches: neither where there is no tap at all.
func TestNobodyWatches(t *testing.T) {
	var none *Tap
	if none.Viewer() != nil || new(Tap).Viewer() != nil {
		t.Error("somebody watches")
	}
	none.Close()
}

// TestTheNewestViewerWatches: the one before is told so.
func TestTheNewestViewerWatches(t *testing.T) {
	frames := &Tap{}
	first := frames.Watch(Filter{})
	second := frames.Watch(Filter{})
	if _, _, err := first.Next(t.Context()); !errors.Is(err, ErrReplaced) {
		t.Errorf("the first: %v", err)
	}
	first.Close() // does not end the second
	pass(frames.Viewer(), Frame{Request: true}, []byte("frame"))
	next(t, second)
	frames.Close()
	if _, _, err := second.Next(t.Context()); !errors.Is(err, ErrClosed) || frames.Viewer() != nil {
		t.Errorf("the second: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := frames.Watch(Filter{}).Next(over); !errors.Is(err, context.Canceled) {
		t.Errorf("a viewer that gives up: %v", err)
	}
}

// TestFilter: what is shown, and how much of it is kept.
func TestFilter(t *testing.T) {
	one, two := &Connection{Number: 1, Node: "bootstrap"}, &Connection{Number: 2, Node: "2"}
	request, response, token := Frame{Request: true, Key: 3, Connection: one}, Frame{Key: 3, Connection: two}, Frame{Token: true, Connection: one}
	for _, tt := range []struct {
		name   string
		filter Filter
		frame  Frame
		kept   int // -1: it is not shown
	}{
		{"a request", Filter{}, request, 0},
		{"its body", Filter{Bodies: true}, request, 5},
		{"a response", Filter{}, response, 5},
		{"a token", Filter{Bodies: true}, token, 0},
		{"what it says", Filter{Bodies: true, Records: true}, token, 5},
		{"an API", Filter{APIs: []int16{1, 3}}, request, 0},
		{"another", Filter{APIs: []int16{1}}, request, -1},
		{"a token has none", Filter{APIs: []int16{0}}, token, -1},
		{"a node", Filter{Nodes: []string{"2"}}, response, 5},
		{"another", Filter{Nodes: []string{"2"}}, request, -1},
		{"a connection", Filter{Conns: []uint64{1}}, request, 0},
		{"another", Filter{Conns: []uint64{1}}, response, -1},
		{"errors are in responses", Filter{Errors: true}, request, -1},
		{"errors are in responses", Filter{Errors: true}, response, 5},
		{"errors are in responses", Filter{Errors: true}, token, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := new(Tap).Watch(tt.filter)
			defer v.Close()
			pass(v, tt.frame, []byte("frame"))
			if v.Waiting() != (tt.kept >= 0) {
				t.Fatalf("shown: %t", v.Waiting())
			}
			if tt.kept >= 0 {
				if f := next(t, v); string(f.Bytes) != "frame"[:tt.kept] {
					t.Errorf("%q was kept", f.Bytes)
				}
			}
		})
	}
}

// TestBounds: who does not read is shown less, and then nothing, and is told.
func TestBounds(t *testing.T) {
	v := new(Tap).Watch(Filter{Bodies: true})
	defer v.Close()
	large := make([]byte, MaxBytes+10)
	for range queueLength + 3 {
		pass(v, Frame{}, large)
	}
	var bytes, frames int
	for v.Waiting() {
		f := next(t, v)
		bytes += len(f.Bytes)
		frames++
	}
	if frames != queueLength || bytes > maxHeld || bytes < maxHeld-MaxBytes {
		t.Errorf("%d frames with %d bytes were kept", frames, bytes)
	}
	if f, dropped, err := v.Next(t.Context()); f != nil || dropped != 3 || err != nil {
		t.Errorf("%v, %d dropped, %v", f, dropped, err)
	}
	if held := v.held; held != 0 {
		t.Errorf("%d bytes are held by nobody", held)
	}
	pass(v, Frame{}, large) // what was held is free again
	if f := next(t, v); len(f.Bytes) != MaxBytes {
		t.Errorf("%d bytes were kept", len(f.Bytes))
	}
}

// TestAdmission: what is held goes through the tap's admission, what is not admitted is left
// out, and all of it is released, whatever becomes of the viewer.
func TestAdmission(t *testing.T) {
	held, most := 0, 2000
	frames := &Tap{
		Admit: func(n int) bool {
			if held+n > most {
				return false
			}
			held += n
			return true
		},
		Release: func(n int) { held -= n },
	}
	v := frames.Watch(Filter{Bodies: true})
	for range 3 {
		pass(v, Frame{}, make([]byte, 900))
	}
	for _, want := range []int{900, 900, 0} {
		if f := next(t, v); len(f.Bytes) != want {
			t.Errorf("%d bytes were kept, want %d", len(f.Bytes), want)
		}
	}
	if held != 0 {
		t.Errorf("%d bytes are held behind the last frame", held)
	}
	pass(v, Frame{}, make([]byte, 900))
	late := v.Begin(Frame{Size: 10, Connection: &Connection{Node: "1"}})
	late.Write(make([]byte, 4+5))
	next(t, v)
	frames.Watch(Filter{}) // replaces v, which holds a frame in part and another one in its reader
	if held != 0 {
		t.Errorf("%d bytes are held for a viewer that has ended", held)
	}
	late.Write(make([]byte, 5))
	late.End(false)
	if _, _, err := v.Next(t.Context()); err != nil {
		t.Errorf("what was in the queue: %v", err)
	}
	if _, _, err := v.Next(t.Context()); !errors.Is(err, ErrReplaced) || held != 0 {
		t.Errorf("%v, %d bytes are held", err, held)
	}
	frames.Close()
}

// TestRecordsAreBounded: what a small frame means is not unpacked in the tunnel, and the event
// says so. It is no malformed frame.
func TestRecordsAreBounded(t *testing.T) {
	for _, compression := range []wire.Compression{wire.Gzip, wire.Snappy, wire.LZ4, wire.Zstd} {
		records, err := wire.EncodeRecords([]wire.Batch{{Magic: 2, Compression: compression, Records: []wire.Record{{Value: make(wire.Data, 4<<20)}}}})
		if err != nil {
			t.Fatal(err)
		}
		m := kmsg.NewPtrFetchResponse()
		m.Version = 12
		topic, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		partition.RecordBatches = records
		topic.Partitions = append(topic.Partitions, partition)
		m.Topics = append(m.Topics, topic)
		frame := Frame{Key: m.Key(), Version: m.Version, Bytes: respond(m)}
		e, shown := describe(t, Filter{Bodies: true, Records: true}, frame)
		if !shown || e.Body != nil || e.Unread != "decompressed records larger than 1 MiB are not decoded here" {
			t.Errorf("%v: %t %q %.100s", compression, shown, e.Unread, e.Body)
		}
		if e, _ := describe(t, Filter{Bodies: true}, frame); e.Body == nil || e.Unread != "" {
			t.Errorf("%v without records: %q", compression, e.Unread)
		}
		if _, shown = describe(t, Filter{Records: true, Bodies: true, Errors: true}, frame); shown {
			t.Errorf("%v: it has no error", compression)
		}
	}
}

// TestTheNumberOfDroppedFramesStandsWhereTheyWere.
func TestTheNumberOfDroppedFramesStandsWhereTheyWere(t *testing.T) {
	v := new(Tap).Watch(Filter{})
	defer v.Close()
	for range queueLength + 5 {
		pass(v, Frame{CorrelationID: 1}, nil)
	}
	next(t, v)
	pass(v, Frame{CorrelationID: 2}, nil)
	for range queueLength - 1 {
		if f := next(t, v); f.CorrelationID != 1 {
			t.Fatal("the last one is too early")
		}
	}
	if f, dropped, err := v.Next(t.Context()); f.CorrelationID != 2 || dropped != 5 || err != nil {
		t.Errorf("%v, %d dropped, %v", f, dropped, err)
	}
}

// respond is a response as it stands after its size.
func respond(m kmsg.Response) []byte {
	b := []byte{0, 0, 0, 9}
	if m.IsFlexible() {
		b = append(b, 0)
	}
	return m.AppendTo(b)
}

func describe(t *testing.T, filter Filter, f Frame) (Event, bool) {
	t.Helper()
	f.Connection = &Connection{Number: 7, Cluster: "default", Node: "1"}
	if f.Size == 0 {
		f.Size = len(f.Bytes)
	}
	return NewDescriber(filter).Describe(&f)
}

// TestErrors: those of a response, also of one of which only a part is there.
func TestErrors(t *testing.T) {
	m := kmsg.NewPtrListOffsetsResponse()
	m.Version = 7
	topic := kmsg.NewListOffsetsResponseTopic()
	topic.Topic = "orders"
	for _, code := range []int16{0, 6, 3} {
		p := kmsg.NewListOffsetsResponseTopicPartition()
		p.ErrorCode = code
		topic.Partitions = append(topic.Partitions, p)
	}
	m.Topics = append(m.Topics, topic)
	whole := respond(m)
	one := Frame{Key: m.Key(), Version: m.Version, CorrelationID: 9, Bytes: whole, Latency: time.Second / 2}
	e, shown := describe(t, Filter{Errors: true}, one)
	paths := []string{"topics[0].partitions[1].errorCode", "topics[0].partitions[2].errorCode"}
	if !shown || len(e.Errors) != 2 || e.Errors[0].Path != paths[0] || e.Errors[0].Name != "NOT_LEADER_OR_FOLLOWER" || e.Errors[1].Path != paths[1] || *e.LatencySeconds != 0.5 || e.Body != nil {
		t.Errorf("%t %+v", shown, e)
	}
	one.Bytes, one.Size = whole[:len(whole)-24], len(whole)
	if e, shown = describe(t, Filter{Errors: true, Bodies: true}, one); !shown || len(e.Errors) != 1 || e.Body != nil || !strings.Contains(e.Unread, "are there") {
		t.Errorf("a part: %t %+v", shown, e)
	}
	one.Bytes = nil
	if e, shown = describe(t, Filter{Errors: true}, one); shown {
		t.Errorf("nothing of it: %+v", e)
	}
	if e, shown = describe(t, Filter{}, Frame{Key: 18, Version: 99, Local: true}); !shown || len(e.Errors) != 1 || e.Errors[0].Name != "UNSUPPORTED_VERSION" {
		t.Errorf("the tunnel's: %t %+v", shown, e)
	}
	if e, shown = describe(t, Filter{Errors: true}, Frame{Key: 3, Version: 12, Bytes: []byte("nonsense")}); !shown || e.Unread == "" {
		t.Errorf("nonsense: %t %+v", shown, e)
	}
	topic.Partitions = topic.Partitions[:1]
	m.Topics[0] = topic
	if e, shown = describe(t, Filter{Errors: true}, Frame{Key: m.Key(), Version: 7, Bytes: respond(m)}); shown {
		t.Errorf("no error: %+v", e)
	}
}

// TestSecretsAreHidden: records, SASL tokens and what else lets its reader in.
func TestSecretsAreHidden(t *testing.T) {
	const secret = "s3cr3t"
	authenticate := kmsg.NewPtrSASLAuthenticateRequest()
	authenticate.SASLAuthBytes = []byte("\x00user\x00" + secret)
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource, config := kmsg.NewIncrementalAlterConfigsRequestResource(), kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "ssl.keystore.password", kmsg.StringPtr(secret)
	resource.Configs = append(resource.Configs, config)
	alter.Resources = append(alter.Resources, resource)
	scram := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	upsertion := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	upsertion.SaltedPassword = []byte(secret)
	scram.Upsertions = append(scram.Upsertions, upsertion)
	records, err := wire.EncodeRecords([]wire.Batch{{Magic: 2, Records: []wire.Record{{Value: wire.Data(secret)}}}})
	if err != nil {
		t.Fatal(err)
	}
	produce := kmsg.NewPtrProduceRequest()
	produce.Version = 9
	topic, partition := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	partition.Records = records
	topic.Partitions = append(topic.Partitions, partition)
	produce.Topics = append(produce.Topics, topic)
	hmac := kmsg.NewPtrRenewDelegationTokenRequest()
	hmac.HMAC = []byte(secret)
	for _, m := range []wire.Message{authenticate, alter, scram, produce, hmac} {
		frame := wire.AppendRequest(nil, m, 9, nil)[4:]
		for _, all := range []bool{false, true} {
			e, _ := describe(t, Filter{Bodies: true, Records: all}, Frame{Request: true, Key: m.Key(), Version: m.GetVersion(), Bytes: frame})
			if e.Unread != "" || strings.Contains(string(e.Body), "hiddenBytes") == all || !json.Valid(e.Body) {
				t.Errorf("%s, all %t: %s %s", e.API, all, e.Body, e.Unread)
			}
			if strings.Contains(string(e.Body), secret) && !all {
				t.Errorf("%s: %s", e.API, e.Body)
			}
		}
	}
	for all, want := range map[bool]string{false: "", true: `"AHVzZXIA"`} {
		if e, _ := describe(t, Filter{Bodies: true, Records: all}, Frame{Token: true, Request: true, Bytes: []byte("\x00user\x00")}); string(e.Body) != want || e.Kind != Token {
			t.Errorf("a token, all %t: %+v", all, e)
		}
	}
}

// TestQuery: what is written is read, and what is not understood is said.
func TestQuery(t *testing.T) {
	f := Filter{APIs: []int16{1, 3}, Nodes: []string{"2", "bootstrap"}, Conns: []uint64{7}, Errors: true, Bodies: true, Records: true}
	if got, err := ParseQuery(f.Query()); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := ParseQuery(url.Values{"api": {"fetch"}, "records": {"true"}}); err != nil || got.APIs[0] != 1 || !got.Bodies {
		t.Errorf("%+v %v", got, err)
	}
	for query, want := range map[string]string{
		"api=Nonsense": `"Nonsense" is no API`,
		"node=x":       "neither an id nor bootstrap",
		"conn=-1":      "not the number of a connection",
		"errors=maybe": "true or false",
		"topic=orders": `"topic" is not understood`,
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = ParseQuery(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", query, err)
		}
	}
}
