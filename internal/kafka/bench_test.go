package kafka

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Deciding that a frame passes allocates nothing.
func TestDecisionsAllocateNothing(t *testing.T) {
	produce := kmsg.NewPtrProduceRequest()
	produce.SetVersion(12)
	produce.Acks = 1
	b := request(produce, new("rdkafka"))
	var versions [][]byte
	for v := int16(0); v <= 5; v++ {
		r := kmsg.NewPtrApiVersionsResponse()
		r.SetVersion(v)
		for _, a := range APIs() {
			r.ApiKeys = append(r.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: a.Key, MaxVersion: a.MaxVersion})
		}
		versions = append(versions, encode(r, nil))
	}
	leaderless := encode(produceResponse(12, 3, 0), headers[0])
	for name, f := range map[string]func(){
		"request": func() {
			h, err := ParseRequestHeader(b)
			if err != nil || TreatmentOf(h.Key, h.Version) != Whole || Name(h.Key) != "Produce" {
				t.Fatal(h, err)
			}
			if zero, enough, err := AcksZero(h.Version, b); zero || !enough || err != nil {
				t.Fatal(zero, enough, err)
			}
			if Known(200, 3) || TreatmentOf(KeyFetch, 11) != Pass {
				t.Fatal("wrong row of the table")
			}
		},
		"produce response without addresses": func() {
			if _, res, err := rewriteWhole(nil, info(KeyProduce, 12, leaderless), leaderless, nil); err != nil || res.Changed() {
				t.Fatal(res, err)
			}
		},
		"ApiVersions": func() {
			for v, frame := range versions {
				if _, _, err := rewriteWhole(nil, info(KeyApiVersions, int16(v), frame), frame, nil); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func produceResponse(version int16, partitions, leaders int) *kmsg.ProduceResponse {
	r := kmsg.NewPtrProduceResponse()
	r.SetVersion(version)
	topic := kmsg.NewProduceResponseTopic()
	topic.Topic = "orders"
	for i := range partitions {
		p := kmsg.NewProduceResponseTopicPartition()
		p.Partition = int32(i)
		topic.Partitions = append(topic.Partitions, p)
	}
	r.Topics = append(r.Topics, topic)
	for i := range leaders {
		b := kmsg.NewProduceResponseBroker()
		b.NodeID, b.Host, b.Port = int32(i), fmt.Sprintf("kafka-%d.onprem.corp", i), 9092
		r.Brokers = append(r.Brokers, b)
	}
	return r
}

func metadataResponse(version int16, brokers, topics, partitions int) *kmsg.MetadataResponse {
	r := kmsg.NewPtrMetadataResponse()
	r.SetVersion(version)
	for i := range brokers {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = int32(i), fmt.Sprintf("kafka-%d.onprem.corp", i), 9092
		r.Brokers = append(r.Brokers, b)
	}
	for i := range topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = new(fmt.Sprintf("topic-%d", i))
		for j := range partitions {
			p := kmsg.NewMetadataResponseTopicPartition()
			p.Partition, p.Replicas, p.ISR = int32(j), []int32{1, 2, 3}, []int32{1, 2, 3}
			topic.Partitions = append(topic.Partitions, p)
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

func toLocalhost(endpoints []Endpoint) error {
	for i := range endpoints {
		endpoints[i].Host, endpoints[i].Port = "localhost", 19100+endpoints[i].NodeID
	}
	return nil
}

func BenchmarkRequestHeader(b *testing.B) {
	r := kmsg.NewPtrProduceRequest()
	r.SetVersion(12)
	frame := request(r, new("rdkafka"))
	b.ReportAllocs()
	for b.Loop() {
		h, _ := ParseRequestHeader(frame)
		if TreatmentOf(h.Key, h.Version) == Whole {
			_, _, _ = AcksZero(h.Version, frame)
		}
	}
}

// A whole cluster: 1000 topics with 12 partitions, 0.5 MB. Only the head costs time.
func BenchmarkMetadata(b *testing.B) {
	for _, brokers := range []int{3, 100} {
		b.Run(fmt.Sprintf("brokers=%d", brokers), func(b *testing.B) {
			frame := encode(metadataResponse(12, brokers, 1000, 12), headers[0])
			h := info(KeyMetadata, 12, frame)
			buf := make([]byte, 0, 64<<10)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := rewriteHead(buf, h, frame, MapperFunc(toLocalhost)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The same by decoding and encoding, for comparison.
func BenchmarkMetadataDecoded(b *testing.B) {
	frame := encode(metadataResponse(12, 3, 1000, 12), headers[0])
	b.ReportAllocs()
	for b.Loop() {
		r, err := decode(KeyMetadata, 12, frame)
		if err != nil {
			b.Fatal(err)
		}
		replace(r, MapperFunc(toLocalhost))
		r.AppendTo(nil)
	}
}

func BenchmarkFindCoordinator(b *testing.B) {
	r := newCoordinator(4)
	addCoordinator(r, "group", 0, 1, "kafka-1.onprem.corp", 9092)
	frame := encode(r, headers[0])
	benchmarkWhole(b, KeyFindCoordinator, 4, frame)
}

func BenchmarkProduce(b *testing.B) {
	for _, leaders := range []int{0, 2} {
		b.Run(fmt.Sprintf("leaders=%d", leaders), func(b *testing.B) {
			benchmarkWhole(b, KeyProduce, 12, encode(produceResponse(12, 12, leaders), headers[0]))
		})
	}
}

func BenchmarkApiVersions(b *testing.B) {
	r := kmsg.NewPtrApiVersionsResponse()
	r.SetVersion(4)
	for _, a := range APIs() {
		r.ApiKeys = append(r.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: a.Key, MaxVersion: a.MaxVersion})
	}
	benchmarkWhole(b, KeyApiVersions, 4, encode(r, nil))
}

func benchmarkWhole(b *testing.B, key, version int16, frame []byte) {
	h := info(key, version, frame)
	buf := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if _, _, err := rewriteWhole(buf, h, frame, MapperFunc(toLocalhost)); err != nil {
			b.Fatal(err)
		}
	}
}

// fetchResponse returns a Fetch response of some partitions, each with this many bytes
// of records.
func fetchResponse(partitions, records, leaders int) *kmsg.FetchResponse {
	r := kmsg.NewPtrFetchResponse()
	r.SetVersion(17)
	topic := kmsg.NewFetchResponseTopic()
	for i := range partitions {
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition, p.RecordBatches = int32(i), make([]byte, records)
		topic.Partitions = append(topic.Partitions, p)
	}
	r.Topics = append(r.Topics, topic)
	for i := range leaders {
		b := kmsg.NewFetchResponseBroker()
		b.NodeID, b.Host, b.Port = int32(i), fmt.Sprintf("kafka-%d.onprem.corp", i), 9092
		r.Brokers = append(r.Brokers, b)
	}
	return r
}

// feed relays a frame in pieces of a buffer's size.
func feed(tb testing.TB, w *Walker, h ResponseInfo, frame []byte, piece int) {
	if err := w.Reset(h, MapperFunc(toLocalhost)); err != nil {
		tb.Fatal(err)
	}
	for rest := frame; w.Left() > 0; {
		pass, held, err := w.Feed(rest[:min(piece, len(rest))])
		if err != nil {
			tb.Fatal(err)
		}
		rest = rest[pass+held:]
	}
	_ = w.Tail()
}

// A Fetch response without addresses allocates nothing, however it is split.
func TestWalkerAllocatesNothing(t *testing.T) {
	frame := encode(fetchResponse(20, 10_000, 0), headers[0])
	h := info(KeyFetch, 17, frame)
	var w Walker
	for _, piece := range []int{1, 100, 4096, 64 << 10, len(frame)} {
		if n := testing.AllocsPerRun(20, func() { feed(t, &w, h, frame, piece) }); n != 0 {
			t.Errorf("pieces of %d: %v allocations", piece, n)
		}
	}
}

func BenchmarkWalker(b *testing.B) {
	for _, tc := range []struct {
		name                         string
		partitions, records, leaders int
	}{
		{"empty", 0, 0, 0},
		{"1x1KiB", 1, 1 << 10, 0},
		{"100x10KiB", 100, 10 << 10, 0},
		{"6x8MiB", 6, 8 << 20, 0},
		{"1x1KiB,leaders=1", 1, 1 << 10, 1},
	} {
		b.Run(tc.name, func(b *testing.B) {
			frame := encode(fetchResponse(tc.partitions, tc.records, tc.leaders), headers[0])
			h := info(KeyFetch, 17, frame)
			work := make([]byte, len(frame))
			copy(work, frame)
			var w Walker
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if tc.leaders > 0 {
					copy(work, frame) // it is rewritten in place
				}
				feed(b, &w, h, work, 64<<10)
			}
		})
	}
}

// The same by decoding and encoding, for comparison.
func BenchmarkFetchDecoded(b *testing.B) {
	frame := encode(fetchResponse(100, 10<<10, 0), headers[0])
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		r, err := decode(KeyFetch, 17, frame)
		if err != nil {
			b.Fatal(err)
		}
		replace(r, MapperFunc(toLocalhost))
		r.AppendTo(nil)
	}
}
