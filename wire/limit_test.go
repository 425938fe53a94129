package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const testLimit = 1 << 20

// limited returns a codec with the limits that the daemon uses.
func limited() *Codec { return &Codec{Records: true, Share: true, Limit: testLimit} }

// produceOf is a Produce request with records of one batch field each.
func produceOf(fields ...[]byte) []byte {
	m := kmsg.NewPtrProduceRequest()
	m.Version = 9
	for _, records := range fields {
		topic, partition := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
		partition.Records = records
		topic.Partitions = append(topic.Partitions, partition)
		m.Topics = append(m.Topics, topic)
	}
	return AppendRequest(nil, m, 1, nil)[4:]
}

// batchOf frames a body that is already compressed.
func batchOf(c Compression, number int, body []byte) []byte {
	b := make([]byte, batchHead, batchHead+len(body))
	binary.BigEndian.PutUint32(b[8:], uint32(batchHead-lengthHead+len(body)))
	b[magicAt] = 2
	b[22] = byte(c)
	binary.BigEndian.PutUint32(b[57:], uint32(number))
	return append(b, body...)
}

// allocated returns how many bytes f allocates in total, and its error.
func allocated(f func() error) (total uint64, err error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	err = f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// asJSON does what a viewer of frames does: it decodes a request and prints it.
func asJSON(c *Codec, frame []byte) (text []byte, err error) {
	_, m, err := c.ParseRequest(frame)
	if err != nil {
		return nil, err
	}
	return c.AppendJSON(nil, m)
}

// TestLimitOfBombs: a few bytes are not unpacked beyond the limit, and the bytes
// allocated in total are a few times the limit.
func TestLimitOfBombs(t *testing.T) {
	zeros := make([]byte, 8<<20)
	compressed := func(c Compression) []byte {
		b, err := c.compress(zeros)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	xerial := append([]byte("\x82SNAPPY\x00"), 0, 0, 0, 1, 0, 0, 0, 1)
	for range 100 {
		block := snappy.Encode(nil, zeros[:64<<10])
		xerial = append(binary.BigEndian.AppendUint32(xerial, uint32(len(block))), block...)
	}
	var wide bytes.Buffer // a frame without its size, whose window is 8 MiB
	z, err := zstd.NewWriter(&wide, zstd.WithWindowSize(8<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = z.Write(zeros); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	many := func(c Compression) (b []byte) { // each batch is small, all together are large
		small, err := EncodeRecords([]Batch{{Magic: 2, Compression: c, Records: []Record{{Value: zeros[:60<<10]}}}})
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Repeat(small, 100)
	}
	set := Batch{Magic: 1, Compression: Gzip, Records: []Record{{Timestamp: -1, Value: zeros}}}
	old, err := EncodeRecords([]Batch{set})
	if err != nil {
		t.Fatal(err)
	}
	// The shortest record, and a record of nothing but headers.
	records := bytes.Repeat([]byte{12, 0, 0, 0, 1, 1, 0}, testLimit/8)
	headers := append([]byte{0, 0, 0, 1, 1}, binary.AppendVarint(nil, testLimit/3)...)
	headers = append(headers, bytes.Repeat([]byte{1, 1}, testLimit/3)...)
	headers = append(binary.AppendVarint(nil, int64(len(headers))), headers...)
	text := append([]byte{0, 0, 0, 1}, binary.AppendVarint(nil, testLimit*9/10)...)
	text = append(append(text, zeros[:testLimit*9/10]...), 0)
	text = append(binary.AppendVarint(nil, int64(len(text))), text...)

	for name, tt := range map[string]struct {
		fields [][]byte
		what   string
	}{
		"gzip":                     {[][]byte{batchOf(Gzip, 1, compressed(Gzip))}, "decompressed records"},
		"snappy":                   {[][]byte{batchOf(Snappy, 1, compressed(Snappy))}, "decompressed records"},
		"lz4":                      {[][]byte{batchOf(LZ4, 1, compressed(LZ4))}, "decompressed records"},
		"zstd":                     {[][]byte{batchOf(Zstd, 1, compressed(Zstd))}, "decompressed records"},
		"snappy of Java":           {[][]byte{batchOf(Snappy, 1, xerial)}, "decompressed records"},
		"zstd with a window":       {[][]byte{batchOf(Zstd, 1, wide.Bytes())}, "decompressed records"},
		"a message set":            {[][]byte{old}, "decompressed records"},
		"many batches of gzip":     {[][]byte{many(Gzip)}, "decompressed records"},
		"many batches of snappy":   {[][]byte{many(Snappy), many(Snappy)}, "decompressed records"},
		"many batches of lz4":      {[][]byte{many(LZ4)}, "decompressed records"},
		"many batches of zstd":     {[][]byte{many(Zstd)[:5000], many(Zstd)[:5000]}, "decompressed records"},
		"short records":            {[][]byte{batchOf(None, testLimit/8, records)}, "decoded messages"},
		"headers":                  {[][]byte{batchOf(None, 1, headers)}, "decoded messages"},
		"a huge number of records": {[][]byte{batchOf(None, 1<<31-1, records)}, "decoded messages"},
		"control characters":       {[][]byte{batchOf(None, 1, text)}, "JSON bodies"},
	} {
		t.Run(name, func(t *testing.T) {
			frame := produceOf(tt.fields...)
			var out []byte
			total, err := allocated(func() (err error) { out, err = asJSON(limited(), frame); return err })
			limit, ok := errors.AsType[*LimitError](err)
			if !ok || limit.What != tt.what {
				t.Errorf("%d bytes, %v, want a limit of %s", len(out), err, tt.what)
			}
			most := uint64(16 << 20)
			if strings.HasSuffix(name, "of lz4") {
				// Its blocks of up to 4 MiB come from a pool. When the pool is empty,
				// each batch allocates blocks that become garbage.
				most *= 4
			}
			if total > most {
				t.Errorf("a frame of %d bytes allocates %d KiB", len(frame), total>>10)
			}
			t.Logf("a frame of %d bytes allocates %d KiB: %v", len(frame), total>>10, err)
		})
	}
}

// TestLimitOfMessages: the limit covers the arrays of a message and its tagged fields.
func TestLimitOfMessages(t *testing.T) {
	m := kmsg.NewPtrCreateTopicsRequest()
	m.Version = 7
	m.Topics = make([]kmsg.CreateTopicsRequestTopic, 60_000)
	frame := AppendRequest(nil, m, 1, nil)[4:]
	if _, err := asJSON(limited(), frame); !strings.Contains(err.Error(), "decoded messages larger than 4 MiB are not decoded here") {
		t.Error(err)
	}
	if _, err := asJSON(new(Codec), frame); err != nil {
		t.Error(err)
	}
	m.Topics = m.Topics[:1]
	for tag := range uint32(70_000) {
		m.UnknownTags.Set(tag+10, nil)
	}
	frame = AppendRequest(nil, m, 1, nil)[4:]
	if _, err := asJSON(limited(), frame); err == nil || !strings.Contains(err.Error(), "decoded messages") {
		t.Error(err)
	}
}

// TestLimitOfErrors: of a response that consists of errors, as many are returned as the
// limit allows.
func TestLimitOfErrors(t *testing.T) {
	m := kmsg.NewPtrDeleteTopicsResponse()
	m.Topics = make([]kmsg.DeleteTopicsResponseTopic, 30_000)
	for i := range m.Topics {
		m.Topics[i].ErrorCode = 3
	}
	all, err := limited().ErrorsOf(m)
	if _, ok := errors.AsType[*LimitError](err); !ok || len(all) != structShare*testLimit/errorSize || all[1].Path != "responses[1].errorCode" {
		t.Errorf("%d errors, %v", len(all), err)
	}
	if all, err = new(Codec).ErrorsOf(m); err != nil || len(all) != len(m.Topics) {
		t.Errorf("%d errors, %v", len(all), err)
	}
}

// TestLimitDoesNotChangeTheRest: what is within the limit is the same with and without
// it, and is written as the standard library would.
func TestLimitDoesNotChangeTheRest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for c := None; c <= Zstd; c++ {
		var fields [][]byte
		for range 3 {
			batch := randomBatch(r, 2, c)
			b, err := EncodeRecords([]Batch{batch, batch})
			if err != nil {
				t.Fatal(err)
			}
			fields = append(fields, b)
		}
		frame := produceOf(fields...)
		with, err1 := asJSON(limited(), frame)
		without, err2 := asJSON(&Codec{Records: true}, frame)
		if err1 != nil || err2 != nil || !bytes.Equal(with, without) {
			t.Errorf("%v: %v %v\n%s\n%s", c, err1, err2, with, without)
		}
		batches, _, err := DecodeRecords(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(batches)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := appendRecords(nil, fields[0]); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %v\n%s\nwant\n%s", c, err, got, want)
		}
	}
}
