package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/snappy"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func randomData(r *rand.Rand) Data {
	if r.IntN(4) == 0 {
		return nil
	}
	return Data(randomBytes(r))
}

// randomBatch returns a random batch that can be encoded and decoded without loss.
func randomBatch(r *rand.Rand, magic int8, c Compression) Batch {
	b := Batch{Magic: magic, BaseOffset: r.Int64N(1000), PartitionLeaderEpoch: -1, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, Compression: c, CRCValid: true}
	if magic == 2 {
		b.PartitionLeaderEpoch, b.ProducerID, b.ProducerEpoch, b.BaseSequence = r.Int32(), r.Int64(), int16(r.Int32()), r.Int32()
		b.Transactional, b.Control = r.IntN(2) == 0, r.IntN(2) == 0
	}
	n := 1
	if magic == 2 || c != None {
		n += r.IntN(5)
	}
	for i := range n {
		one := Record{Offset: b.BaseOffset + int64(i), Timestamp: -1, Key: randomData(r), Value: randomData(r)}
		if magic > 0 {
			one.Timestamp = r.Int64N(1 << 42)
		}
		for range r.IntN(3) * (int(magic) / 2) {
			one.Headers = append(one.Headers, Header{Data(randomBytes(r)), randomData(r)})
		}
		b.Records = append(b.Records, one)
	}
	return b
}

// TestRecords: batches of every magic and compression are the same after encoding and
// decoding, and after conversion to JSON and back.
func TestRecords(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	for magic := int8(0); magic <= 2; magic++ {
		for c := None; c <= Zstd; c++ {
			t.Run(fmt.Sprintf("magic %d, %v", magic, c), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(magic), uint64(c)))
				for range rounds {
					batches := []Batch{randomBatch(r, magic, c), randomBatch(r, magic, c)}
					b, err := EncodeRecords(batches)
					if err != nil {
						t.Fatal(err)
					}
					got, rest, err := DecodeRecords(b)
					if err != nil || len(rest) > 0 {
						t.Fatalf("%d bytes are left over: %v", len(rest), err)
					}
					for i := range got {
						batches[i].CRC = got[i].CRC
					}
					if diff := cmp.Diff(batches, got); diff != "" {
						t.Fatal(diff)
					}
					text, err := json.Marshal(got)
					if err != nil {
						t.Fatal(err)
					}
					var read []Batch
					if err := json.Unmarshal(text, &read); err != nil {
						t.Fatalf("%v\n%s", err, text)
					}
					if diff := cmp.Diff(got, read); diff != "" {
						t.Fatalf("%s\n%s", diff, text)
					}
				}
			})
		}
	}
}

// TestRecordsAsKmsg: kmsg decodes a batch of magic 2 to the same values.
func TestRecordsAsKmsg(t *testing.T) {
	batch := randomBatch(rand.New(rand.NewPCG(1, 2)), 2, None)
	b, err := EncodeRecords([]Batch{batch})
	if err != nil {
		t.Fatal(err)
	}
	var want kmsg.RecordBatch
	if err := want.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	if int(want.Length) != len(b)-12 || int(want.NumRecords) != len(batch.Records) || want.ProducerID != batch.ProducerID || int(want.LastOffsetDelta) != len(batch.Records)-1 {
		t.Errorf("%+v", want)
	}
	if got := want.AppendTo(nil); !bytes.Equal(got, b) {
		t.Errorf("%x\n%x", b, got)
	}
}

// TestRecordsCut: the last batch may be cut off at any byte, as brokers do.
func TestRecordsCut(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	first, err := EncodeRecords([]Batch{randomBatch(r, 2, None)})
	if err != nil {
		t.Fatal(err)
	}
	both, err := EncodeRecords([]Batch{randomBatch(r, 2, Gzip)})
	if err != nil {
		t.Fatal(err)
	}
	for n := range both {
		cut := append(bytes.Clone(first), both[:n]...)
		batches, rest, err := DecodeRecords(cut)
		if err != nil || len(batches) != 1 || !bytes.Equal(rest, both[:n]) {
			t.Fatalf("at %d: %d batches, %d bytes left, %v", n, len(batches), len(rest), err)
		}
		text, err := appendRecords(nil, cut)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseRecords("records", mustTree(t, text))
		if err != nil || !bytes.Equal(back[len(back)-n:], both[:n]) {
			t.Fatalf("at %d: %v", n, err)
		}
	}
}

func mustTree(t *testing.T, text []byte) []any {
	t.Helper()
	tree, err := parseTree(text)
	if err != nil {
		t.Fatal(err)
	}
	return tree.([]any)
}

// TestRecordsWrong: a wrong checksum is reported, and malformed records are an error.
func TestRecordsWrong(t *testing.T) {
	good, err := EncodeRecords([]Batch{randomBatch(rand.New(rand.NewPCG(5, 6)), 2, None)})
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	if got, _, err := DecodeRecords(change(17, good[17]+1)); err != nil || got[0].CRCValid {
		t.Errorf("a wrong checksum was not reported: %v", err)
	}
	n := len(good)
	for name, tt := range map[string]struct {
		b    []byte
		want string
	}{
		"magic 3":              {change(16, 3), "at byte 16, batch 0: magic 3 is not known"},
		"negative length":      {change(8, 0xff), "at byte 8, batch 0: invalid length: -16777"},
		"more records":         {change(60, good[60]+1), fmt.Sprintf("at byte %d, batch 0, record %d: the message ends too early", n, good[60])},
		"fewer records":        {change(60, good[60]-1), fmt.Sprintf("batch 0, record %d: bytes are left over after the message: ", good[60]-1)},
		"compression 7":        {change(22, 7), "at byte 61, batch 0: decompress: "},
		"invalid gzip":         {change(22, 1), "at byte 61, batch 0: decompress: gzip: "},
		"bytes after a record": {batchOf(None, 1, []byte{14, 0, 0, 0, 1, 1, 0, 9}), "at byte 68, batch 0, record 0: bytes are left over after the message: 1"},
		"a record too long":    {change(61, 0x7e), "batch 0, record 0: "},
		"the second batch":     {append(bytes.Clone(good), change(16, 3)...), fmt.Sprintf("at byte %d, batch 1: magic 3 is not known", n+16)},
	} {
		b := tt.b
		_, _, err := DecodeRecords(b)
		if _, ok := errors.AsType[*DecodeError](err); !ok || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
		if text, _ := appendRecords(nil, b); text[0] != '"' {
			t.Errorf("%s is not shown as base64: %s", name, text)
		}
	}
}

// TestSnappyOfJava: the framing that Java clients write can be decoded.
func TestSnappyOfJava(t *testing.T) {
	framed := append([]byte("\x82SNAPPY\x00"), 0, 0, 0, 1, 0, 0, 0, 1)
	for _, part := range []string{"one ", "two"} {
		block := snappy.Encode(nil, []byte(part))
		framed = append(binary.BigEndian.AppendUint32(framed, uint32(len(block))), block...)
	}
	if got, err := new(inflater).decompress(Snappy, framed); err != nil || string(got) != "one two" {
		t.Errorf("%q %v", got, err)
	}
	for n := 8; n < len(framed); n++ {
		if got, err := new(inflater).decompress(Snappy, framed[:n]); err == nil && string(got) == "one two" {
			t.Errorf("cut at %d: %q", n, got)
		}
	}
}

// TestBomb: a few bytes are not unpacked to gigabytes, and the error names the limit.
func TestBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: run by make test-long")
	}
	zeros := make([]byte, BatchLimit+1)
	for c := Gzip; c <= Zstd; c++ {
		small, err := c.compress(zeros)
		if err != nil {
			t.Fatal(err)
		}
		_, err = new(inflater).decompress(c, small)
		if limit, ok := errors.AsType[*LimitError](err); !ok || limit.Limit != BatchLimit || err.Error() != "decompressed batches larger than 64 MiB are not decoded here" {
			t.Errorf("%v: %d bytes: %v", c, len(small), err)
		}
	}
}

// TestBatchLimit: a batch that exceeds the limit stays base64, with the reason. Other
// batches are decoded, in messages of any number of batches.
func TestBatchLimit(t *testing.T) {
	for c := Gzip; c <= Zstd; c++ {
		var fields [][]byte
		for _, size := range []int{1000, 3000, 1000} {
			b, err := EncodeRecords([]Batch{{Magic: 2, Compression: c, Records: []Record{{Value: make(Data, size)}}}})
			if err != nil {
				t.Fatal(err)
			}
			fields = append(fields, b)
		}
		frame := produceOf(fields...)
		for limit, unread := range map[int]int{2000: 1, 500: 3, 4000: 0, 0: 0} {
			text, err := asJSON(&Codec{Records: true, BatchLimit: limit}, frame)
			want := fmt.Sprintf("decompressed batches larger than %d bytes", limit)
			if err != nil || strings.Count(string(text), "recordsUnread") != unread || strings.Count(string(text), want) != unread {
				t.Errorf("%v, %d: %v %.300s", c, limit, err, text)
			}
		}
		both := &Codec{Records: true, BatchLimit: 2000, Limit: 1 << 20}
		if _, err := asJSON(both, frame); err == nil || !strings.Contains(err.Error(), "decompressed batches larger than 2000 bytes") {
			t.Errorf("%v, both limits: %v", c, err)
		}
	}
}

// TestBatchDefaults: a batch written by hand needs only its records.
func TestBatchDefaults(t *testing.T) {
	var c Codec
	m, err := c.ParseJSON(Request, 0, 9, []byte(`{"acks": -1, "timeoutMs": 1000, "topicData": [{"name": "t", "partitionData": [{"index": 0,
		"records": [{"compression": "gzip", "records": [{"key": "k", "value": "v"}, {"value": {"base64": "AP8="}, "headers": [{"key": "h", "value": null}]}]}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	batches, rest, err := DecodeRecords(m.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records)
	if err != nil || len(rest) > 0 || len(batches) != 1 {
		t.Fatalf("%v %d %v", batches, len(rest), err)
	}
	b := batches[0]
	want := []Record{{Offset: 0, Timestamp: -1, Key: Data("k"), Value: Data("v")}, {Offset: 1, Timestamp: -1, Value: Data{0, 0xff}, Headers: []Header{{Data("h"), nil}}}}
	if diff := cmp.Diff(want, b.Records); diff != "" || b.Compression != Gzip || b.ProducerID != -1 || b.Magic != 2 || !b.CRCValid {
		t.Errorf("%+v\n%s", b, diff)
	}
	c.Records = true
	text, err := c.AppendJSON(nil, m)
	if err != nil || !strings.Contains(string(text), `"value":{"base64":"AP8="}`) {
		t.Errorf("%s %v", text, err)
	}
	_, err = c.ParseJSON(Request, 0, 9, []byte(`{"topicData": [{"partitionData": [{"records": [{"recrods": []}]}]}]}`))
	var at *PathError
	if !errors.As(err, &at) || at.Path != "topicData[0].partitionData[0].records[0]" {
		t.Errorf("%v", err)
	}
}

func FuzzDecodeRecords(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for magic := int8(0); magic <= 2; magic++ {
		for c := None; c <= Zstd; c++ {
			b, err := EncodeRecords([]Batch{randomBatch(r, magic, c)})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		batches, _, err := DecodeRecords(b)
		if err != nil {
			return
		}
		again, err := EncodeRecords(batches)
		if err != nil {
			return // brokers never write decreasing offsets
		}
		if _, rest, err := DecodeRecords(again); err != nil || len(rest) > 0 {
			t.Errorf("the encoded records cannot be decoded: %d bytes left, %v", len(rest), err)
		}
	})
}

// appendRecords converts records to JSON without a limit.
func appendRecords(dst, raw []byte) ([]byte, error) {
	w := &jsonWriter{records: new(inflater), end: math.MaxInt}
	dst = w.batches(dst, raw)
	return dst, w.unread
}
