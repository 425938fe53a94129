package inspect

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// TestRecordsAreBounded: the records of a small frame are not decompressed above the limit, and
// the event reports that. The frame is not malformed.
func TestRecordsAreBounded(t *testing.T) {
	for _, compression := range []wire.Compression{wire.Gzip, wire.Snappy, wire.LZ4, wire.Zstd} {
		records, err := wire.EncodeRecords([]wire.Batch{{Magic: 2, Compression: compression, Records: []wire.Record{{Value: make(wire.Data, 4<<20)}}}})
		if err != nil {
			t.Fatal(err)
		}
		m := fetchResponse(0, records)
		frame := tap.Frame{Key: m.Key(), Version: m.Version, Bytes: respond(m)}
		e, shown := describe(t, tap.Filter{Bodies: true, Records: true}, frame)
		if !shown || e.Body != nil || e.Unread != "decompressed records larger than 1 MiB are not decoded here" {
			t.Errorf("%v: %t %q %.100s", compression, shown, e.Unread, e.Body)
		}
		if e, _ := describe(t, tap.Filter{Bodies: true}, frame); e.Body == nil || e.Unread != "" {
			t.Errorf("%v without records: %q", compression, e.Unread)
		}
		if _, shown = describe(t, tap.Filter{Records: true, Bodies: true, Errors: true}, frame); shown {
			t.Errorf("%v: it has no error", compression)
		}
	}
}

// fetchResponse returns a Fetch response with the records of one partition and an error code.
func fetchResponse(code int16, records []byte) *kmsg.FetchResponse {
	m := kmsg.NewPtrFetchResponse()
	m.Version = 12
	partition := kmsg.NewFetchResponseTopicPartition()
	partition.ErrorCode, partition.RecordBatches = code, records
	m.Topics = []kmsg.FetchResponseTopic{{Topic: "orders", Partitions: []kmsg.FetchResponseTopicPartition{partition}}}
	return m
}

// respond returns the frame of a response, without its size.
func respond(m kmsg.Response) []byte {
	b := []byte{0, 0, 0, 9}
	if m.IsFlexible() {
		b = append(b, 0)
	}
	return m.AppendTo(b)
}

func describe(t *testing.T, filter tap.Filter, f tap.Frame) (TapEvent, bool) {
	t.Helper()
	f.Connection = &tap.Connection{Number: 7, Cluster: "default", Node: "1"}
	if f.Size == 0 {
		f.Size = len(f.Bytes)
	}
	return NewTapDecoder(filter).Frame(&f)
}

// TestErrors: the errors of a response, also of one that was captured only in part.
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
	one := tap.Frame{Key: m.Key(), Version: m.Version, CorrelationID: 9, Bytes: whole, Latency: time.Second / 2}
	e, shown := describe(t, tap.Filter{Errors: true}, one)
	paths := []string{"topics[0].partitions[1].errorCode", "topics[0].partitions[2].errorCode"}
	if !shown || len(e.Errors) != 2 || e.Errors[0].Path != paths[0] || e.Errors[0].Name != "NOT_LEADER_OR_FOLLOWER" || e.Errors[1].Path != paths[1] || *e.LatencySeconds != 0.5 || e.Body != nil {
		t.Errorf("%t %+v", shown, e)
	}
	one.Bytes, one.Size = whole[:len(whole)-24], len(whole)
	if e, shown = describe(t, tap.Filter{Errors: true, Bodies: true}, one); !shown || len(e.Errors) != 1 || e.Body != nil || !strings.Contains(e.Unread, "incomplete: ") {
		t.Errorf("a part: %t %+v", shown, e)
	}
	one.Bytes = nil
	if e, shown = describe(t, tap.Filter{Errors: true}, one); shown {
		t.Errorf("nothing of it: %+v", e)
	}
	if e, shown = describe(t, tap.Filter{}, tap.Frame{Key: 18, Version: 99, Local: true}); !shown || len(e.Errors) != 1 || e.Errors[0].Name != "UNSUPPORTED_VERSION" {
		t.Errorf("the tunnel's: %t %+v", shown, e)
	}
	if e, shown = describe(t, tap.Filter{Errors: true}, tap.Frame{Key: 3, Version: 12, Bytes: []byte("nonsense")}); !shown || e.Unread == "" {
		t.Errorf("nonsense: %t %+v", shown, e)
	}
	topic.Partitions = topic.Partitions[:1]
	m.Topics[0] = topic
	if e, shown = describe(t, tap.Filter{Errors: true}, tap.Frame{Key: m.Key(), Version: 7, Bytes: respond(m)}); shown {
		t.Errorf("no error: %+v", e)
	}
}

// TestSecretsAreHidden: records, SASL tokens and all other credentials.
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
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}}}
	hmac := kmsg.NewPtrRenewDelegationTokenRequest()
	hmac.HMAC = []byte(secret)
	for _, m := range []wire.Message{authenticate, alter, scram, produce, hmac} {
		frame := wire.AppendRequest(nil, m, 9, nil)[4:]
		for _, all := range []bool{false, true} {
			e, _ := describe(t, tap.Filter{Bodies: true, Records: all}, tap.Frame{Request: true, Key: m.Key(), Version: m.GetVersion(), Bytes: frame})
			if e.Unread != "" || strings.Contains(string(e.Body), "hiddenBytes") == all || !json.Valid(e.Body) {
				t.Errorf("%s, all %t: %s %s", e.API, all, e.Body, e.Unread)
			}
			if strings.Contains(string(e.Body), secret) && !all {
				t.Errorf("%s: %s", e.API, e.Body)
			}
		}
	}
	for _, all := range []bool{false, true} {
		if e, _ := describe(t, tap.Filter{Bodies: true, Records: all}, tap.Frame{Token: true, Request: true, Size: 6}); e.Body != nil || e.Kind != KindToken {
			t.Errorf("a token, all %t: %+v", all, e)
		}
	}
}

// TestLargeFetch: of a large response the error codes before the records are shown. That the
// records are missing is reported where they, or more error codes, were asked for.
func TestLargeFetch(t *testing.T) {
	m := fetchResponse(3, make([]byte, 1<<20))
	body := respond(m)
	for _, tt := range []struct {
		filter tap.Filter
		two    bool // partitions
		unread bool
	}{{tap.Filter{}, false, false}, {tap.Filter{Errors: true}, false, false}, {tap.Filter{Bodies: true}, false, true}, {tap.Filter{}, true, true}} {
		if tt.two {
			m.Topics[0].Partitions = append(m.Topics[0].Partitions, m.Topics[0].Partitions[0])
			body = respond(m)
		}
		v := new(tap.Tap).Watch(tt.filter)
		one := v.Begin(tap.Frame{Key: m.Key(), Version: m.Version, Size: len(body), Connection: &tap.Connection{}})
		one.Write(make([]byte, 4))
		one.Write(body)
		one.End(false)
		f, _, err := v.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e, shown := NewTapDecoder(tt.filter).Frame(f)
		if !shown || len(e.Errors) != 1 || e.Body != nil || (e.Unread != "") != tt.unread {
			t.Errorf("%+v: %t %+v", tt, shown, e)
		}
		v.Close()
	}
}
