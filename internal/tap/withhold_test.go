package tap

import (
	"bytes"
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// secretText is in bodies that must not leave the process.
const secretText = "s3cr3t-s3cr3t-s3cr3t"

// filters are all queries about bodies.
func filters() (all []Filter) {
	for i := range 8 {
		all = append(all, Filter{Errors: i&1 > 0, Bodies: i&2 > 0, Records: i&4 > 0})
	}
	return all
}

// streamed returns the stream that a viewer gets of a frame.
func streamed(t *testing.T, filter Filter, f Frame, body []byte) []byte {
	t.Helper()
	v := new(Tap).Watch(filter)
	defer v.Close()
	pass(v, f, body)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	return written(t, func(w *Writer) {
		for v.Waiting() {
			if f, _, err := v.Next(ended); err == nil && f != nil {
				_ = w.Frame(f)
			}
		}
	})
}

// TestSecretsDoNotLeave: whatever the query asks for, no byte of a body with credentials or
// configurations is in the stream, in any version, in requests and responses.
func TestSecretsDoNotLeave(t *testing.T) {
	const head = 14 // a response may begin with its header, a throttle time and an error code
	none := func(f Frame) {
		t.Helper()
		body := bytes.Repeat([]byte(secretText), 20)
		if !f.Request && !f.Token {
			body = append(make([]byte, head), body...)
		}
		for _, filter := range filters() {
			if b := streamed(t, filter, f, body); bytes.Contains(b, []byte("s3")) {
				t.Errorf("%s v%d, request %t, %+v: %q", kafka.Name(f.Key), f.Version, f.Request, filter, b)
			}
		}
	}
	for _, key := range []kmsg.Key{
		kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.CreateDelegationToken, kmsg.RenewDelegationToken, kmsg.ExpireDelegationToken,
		kmsg.DescribeDelegationToken, kmsg.DescribeUserSCRAMCredentials, kmsg.AlterUserSCRAMCredentials, kmsg.DescribeConfigs,
		kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs, kmsg.Envelope, 999, -1,
	} {
		for version := range int16(8) {
			for _, request := range []bool{true, false} {
				none(Frame{Request: request, Key: int16(key), Version: version})
			}
		}
	}
	none(Frame{Token: true, Request: true})
	none(Frame{Token: true})
	none(Frame{Token: true, Key: kafka.KeyMetadata})
}

// TestErrorCodesOfSecretAPIs: the first error code of a response is sent, and nothing behind it.
func TestErrorCodesOfSecretAPIs(t *testing.T) {
	const code = 58
	after := []byte(secretText)
	for _, request := range kmsgRequests() {
		m := request.ResponseKind()
		key := m.Key()
		if upToCode(key, 0) == 0 {
			continue
		}
		for version := range m.MaxVersion() + 1 {
			m.SetVersion(version)
			switch m := m.(type) {
			case *kmsg.SASLHandshakeResponse:
				m.ErrorCode, m.SupportedMechanisms = code, []string{secretText}
			case *kmsg.SASLAuthenticateResponse:
				m.ErrorCode, m.SASLAuthBytes = code, after
			case *kmsg.CreateDelegationTokenResponse:
				m.ErrorCode, m.HMAC = code, after
			case *kmsg.RenewDelegationTokenResponse:
				m.ErrorCode = code
			case *kmsg.ExpireDelegationTokenResponse:
				m.ErrorCode = code
			case *kmsg.DescribeDelegationTokenResponse:
				m.ErrorCode = code
			case *kmsg.DescribeUserSCRAMCredentialsResponse:
				m.ErrorCode = code
			case *kmsg.DescribeConfigsResponse:
				m.Resources = []kmsg.DescribeConfigsResponseResource{{ErrorCode: code, ResourceName: secretText}}
			case *kmsg.AlterConfigsResponse:
				m.Resources = []kmsg.AlterConfigsResponseResource{{ErrorCode: code, ResourceName: secretText}}
			case *kmsg.IncrementalAlterConfigsResponse:
				m.Resources = []kmsg.IncrementalAlterConfigsResponseResource{{ErrorCode: code, ResourceName: secretText}}
			default:
				t.Fatalf("%T", m)
			}
			frame := []byte{0, 0, 0, 9}
			if m.IsFlexible() {
				frame = append(frame, 0)
			}
			frame = m.AppendTo(frame)
			v := new(Tap).Watch(Filter{})
			pass(v, Frame{Key: key, Version: version}, frame)
			f := next(t, v)
			if n := len(f.Bytes); n < 2 || f.Bytes[n-1] != code || f.Withheld != Secret {
				t.Errorf("%s v%d: %q", kafka.Name(key), version, f.Bytes)
			}
			v.Close()
		}
	}
}

func kmsgRequests() (all []kmsg.Request) {
	for key := range int16(kmsg.MaxKey + 1) {
		if m := kmsg.RequestForKey(key); m != nil {
			all = append(all, m)
		}
	}
	return all
}

// TestRecordsAreAskedFor: they are in the stream with records=true only. Without it a viewer
// gets what surrounds them, if the query asks for it.
func TestRecordsAreAskedFor(t *testing.T) {
	produce := kmsg.NewPtrProduceRequest()
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: []byte(secretText)}}}}
	fetch := kmsg.NewPtrFetchResponse()
	fetch.Topics = []kmsg.FetchResponseTopic{{Topic: "orders", Partitions: []kmsg.FetchResponseTopicPartition{{ErrorCode: 3, RecordBatches: []byte(secretText)}}}}
	share := kmsg.NewPtrShareFetchResponse()
	share.Topics = []kmsg.ShareFetchResponseTopic{{TopicID: [16]byte([]byte("orders..........")), Partitions: []kmsg.ShareFetchResponseTopicPartition{{Records: []byte(secretText)}}}}
	snapshot := kmsg.NewPtrFetchSnapshotResponse()
	snapshot.Topics = []kmsg.FetchSnapshotResponseTopic{{Topic: "orders", Partitions: []kmsg.FetchSnapshotResponseTopicPartition{{Bytes: []byte(secretText)}}}}
	telemetry := kmsg.NewPtrPushTelemetryRequest()
	telemetry.Metrics = []byte(secretText)
	for _, tt := range []struct {
		m       kmsg.Request
		r       kmsg.Response
		version int16
		around  bool // what surrounds the records is sent
	}{
		{m: produce, version: 3, around: true}, {m: produce, version: 9, around: true},
		{r: fetch, version: 4, around: true}, {r: fetch, version: 12, around: true}, {r: share, version: 1, around: true},
		{r: snapshot, version: 0}, {m: telemetry, version: 0},
	} {
		var f Frame
		var b []byte
		if tt.m != nil {
			tt.m.SetVersion(tt.version)
			b = kmsg.NewRequestFormatter().AppendRequest(nil, tt.m, 9)[4:]
			f = Frame{Request: true, Key: tt.m.Key(), Version: tt.version}
		} else {
			tt.r.SetVersion(tt.version)
			b = []byte{0, 0, 0, 9}
			if tt.r.IsFlexible() {
				b = append(b, 0)
			}
			b = tt.r.AppendTo(b)
			f = Frame{Key: tt.r.Key(), Version: tt.version}
		}
		for _, filter := range filters() {
			got := streamed(t, filter, f, b)
			asked := (filter.Bodies || !f.Request) && (!filter.Errors || !f.Request)
			if has := bytes.Contains(got, []byte(secretText)); has != (asked && filter.Records) {
				t.Errorf("%s v%d, %+v: the stream has the records: %t", kafka.Name(f.Key), f.Version, filter, has)
			}
			if bytes.Contains(got, []byte("s3cr")) != (asked && filter.Records) {
				t.Errorf("%s v%d, %+v: the stream has a part of the records", kafka.Name(f.Key), f.Version, filter)
			}
			if has := bytes.Contains(got, []byte("orders")); tt.around && has != asked {
				t.Errorf("%s v%d, %+v: the stream has the topic: %t", kafka.Name(f.Key), f.Version, filter, has)
			}
		}
	}
}

// TestLargeFetchIsCopiedInPart: without bodies, what is behind the first part of a large
// response can leave by the kernel's route.
func TestLargeFetchIsCopiedInPart(t *testing.T) {
	for _, tt := range []struct {
		filter Filter
		most   int
	}{{Filter{}, beforeRecords}, {Filter{Bodies: true}, MaxBytes}, {Filter{Records: true, Bodies: true}, MaxBytes}} {
		v := new(Tap).Watch(tt.filter)
		one := v.Begin(Frame{Key: kafka.KeyFetch, Version: 12, Size: 2 << 20, Connection: &Connection{}})
		one.Write(make([]byte, 4))
		n := 0
		for ; one.Wants(); n += 1 << 10 {
			one.Write(make([]byte, 1<<10))
		}
		if n != tt.most {
			t.Errorf("%+v: %d bytes are copied", tt.filter, n)
		}
		v.Close()
	}
}
