package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A Batch is a record batch (magic 2, since Kafka 0.11), or one message of a message set (magic 0
// and 1), which contains others if it is compressed.
type Batch struct {
	Magic                int8        `json:"magic"`
	BaseOffset           int64       `json:"baseOffset"`
	PartitionLeaderEpoch int32       `json:"partitionLeaderEpoch"` // magic 2
	CRC                  uint32      `json:"crc"`
	CRCValid             bool        `json:"crcValid"` // when decoded; EncodeRecords writes a correct checksum
	Compression          Compression `json:"compression"`
	LogAppendTime        bool        `json:"logAppendTime"` // the timestamps are the broker's (magic 1 and 2)
	Transactional        bool        `json:"transactional"` // magic 2
	Control              bool        `json:"control"`       // magic 2: its records mark the end of transactions
	ProducerID           int64       `json:"producerId"`    // magic 2; -1: none
	ProducerEpoch        int16       `json:"producerEpoch"`
	BaseSequence         int32       `json:"baseSequence"`
	Records              []Record    `json:"records"`
}

// A Record is a record of a batch, with its own offset and timestamp.
type Record struct {
	Offset    int64    `json:"offset"`
	Timestamp int64    `json:"timestamp"` // milliseconds since 1970; -1: none
	Key       Data     `json:"key"`
	Value     Data     `json:"value"`
	Headers   []Header `json:"headers,omitempty"` // magic 2
}

// A Header is a header of a record.
type Header struct {
	Key   Data `json:"key"`
	Value Data `json:"value"`
}

// The bits of the attributes.
const (
	codecBits        = 7
	logAppendBit     = 1 << 3
	transactionalBit = 1 << 4
	controlBit       = 1 << 5
)

const (
	magicAt    = 16 // offset of the magic, in a batch and in a message
	batchHead  = 61 // length of the fields that precede the records
	lengthHead = 12 // length of the fields that the length does not count
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// DecodeRecords decodes the records of a Produce or Fetch message: batches, or a message set. A
// broker may cut off the last one at the limit of the request; its bytes are returned as rest. A
// [*DecodeError] has the offset in b.
func DecodeRecords(b []byte) (batches []Batch, rest []byte, err error) {
	f := new(inflater)
	defer f.close()
	return f.records(b)
}

// records is [DecodeRecords] for one field of a message.
func (f *inflater) records(b []byte) (batches []Batch, rest []byte, err error) {
	for whole := len(b); len(b) > 0; {
		if len(b) < lengthHead {
			return batches, b, nil
		}
		n := int64(int32(binary.BigEndian.Uint32(b[8:]))) + lengthHead
		if n > int64(len(b)) {
			return batches, b, nil
		}
		if n <= magicAt {
			return batches, b, &DecodeError{pathOf(batches), whole - len(b) + 8, fmt.Errorf("%w: %d", ErrLength, n-lengthHead)}
		}
		one, err := f.batch(b[:n])
		if err != nil {
			at, ok := errors.AsType[*DecodeError](err)
			if !ok {
				at = &DecodeError{Err: err}
			}
			return batches, b, &DecodeError{pathOf(batches) + at.Path, whole - len(b) + at.Offset, at.Err}
		}
		batches, b = append(batches, one), b[n:]
	}
	return batches, nil, nil
}

// pathOf returns the path of the batch that follows some.
func pathOf(batches []Batch) string { return fmt.Sprintf("batch %d", len(batches)) }

// batch decodes one batch or message. A [*DecodeError] counts from its beginning.
func (f *inflater) batch(b []byte) (Batch, error) {
	if err := f.memory.take(batchSize); err != nil {
		return Batch{}, err
	}
	switch magic := int8(b[magicAt]); magic {
	case 0, 1:
		return f.message(b, 0)
	case 2:
		return f.batch2(b)
	default:
		return Batch{}, &DecodeError{Offset: magicAt, Err: fmt.Errorf("magic %d is not known", magic)}
	}
}

// batch2 decodes a batch of magic 2 (KIP-98).
//
//	base offset int64 | length int32 | leader epoch int32 | magic int8 | CRC-32C uint32 |
//	attributes int16 | delta of the last offset int32 | base timestamp int64 | largest timestamp int64 |
//	producer id int64 | producer epoch int16 | base sequence int32 | number int32 | records, compressed
func (f *inflater) batch2(b []byte) (Batch, error) {
	if len(b) < batchHead {
		return Batch{}, &DecodeError{Offset: len(b), Err: ErrShort}
	}
	c := reader{b: b}
	base := c.int64()
	c.int32() // the length
	leader := c.int32()
	c.int8() // the magic
	crc := uint32(c.int32())
	valid := crc == crc32.Checksum(c.b, castagnoli)
	attributes := c.int16()
	c.int32() // the delta of the last offset
	first, last := c.int64(), c.int64()
	batch := Batch{
		Magic: 2, BaseOffset: base, PartitionLeaderEpoch: leader, CRC: crc, CRCValid: valid,
		Compression: Compression(attributes & codecBits), LogAppendTime: attributes&logAppendBit != 0,
		Transactional: attributes&transactionalBit != 0, Control: attributes&controlBit != 0,
		ProducerID: c.int64(), ProducerEpoch: c.int16(), BaseSequence: c.int32(),
	}
	number := c.int32()
	body, err := f.decompress(batch.Compression, c.b)
	if err != nil {
		return Batch{}, &DecodeError{Offset: batchHead, Err: fmt.Errorf("decompress: %w", err)}
	}
	r := reader{b: body}
	// failed is the error of r, in a record.
	failed := func(record int) error {
		path := fmt.Sprintf(", record %d", record)
		if batch.Compression == None {
			return &DecodeError{path, batchHead + r.at, r.err}
		}
		return &DecodeError{path, batchHead, fmt.Errorf("byte %d of the decompressed records: %w", r.at, r.err)}
	}
	if number > 0 {
		room := min(int(number), len(body)/shortestRecord+1)
		if err := f.memory.take(room * recordSize); err != nil {
			return Batch{}, err
		}
		batch.Records = make([]Record, 0, room)
	}
	for i := range int(number) {
		record := f.record(&r, base, first)
		if r.err != nil {
			return Batch{}, failed(i)
		}
		if batch.LogAppendTime {
			record.Timestamp = last
		}
		batch.Records = append(batch.Records, record)
	}
	if r.end(); r.err != nil {
		return Batch{}, failed(int(number))
	}
	return batch, nil
}

// nested is how deep message sets may be nested: Kafka has one level.
const nested = 1

// message decodes one message of a set. The value of a compressed message is a message set, whose
// offsets are relative with magic 1 (KIP-31). Magic 1 has a timestamp (KIP-32).
//
//	offset int64 | length int32 | CRC-32 uint32 | magic int8 | attributes int8 | [timestamp int64] |
//	key int32 and bytes | value int32 and bytes
func (f *inflater) message(b []byte, depth int) (Batch, error) {
	if err := f.memory.take(recordSize); err != nil {
		return Batch{}, err
	}
	c := reader{b: b}
	offset := c.int64()
	c.int32() // the length
	crc := uint32(c.int32())
	valid := crc == crc32.ChecksumIEEE(c.b)
	magic, attributes := c.int8(), c.int8()
	record := Record{Offset: offset, Timestamp: -1}
	if magic == 1 {
		record.Timestamp = c.int64()
	}
	record.Key, record.Value = c.bytes32(), c.bytes32()
	if c.err != nil {
		return Batch{}, &DecodeError{Offset: c.at, Err: c.err}
	}
	batch := Batch{
		Magic: magic, BaseOffset: offset, CRC: crc, CRCValid: valid,
		Compression: Compression(attributes & codecBits), LogAppendTime: attributes&logAppendBit != 0,
		PartitionLeaderEpoch: -1, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1,
	}
	if batch.Compression == 0 {
		batch.Records = []Record{record}
		return batch, nil
	}
	if depth >= nested {
		return Batch{}, &DecodeError{Offset: magicAt, Err: errors.New("a compressed message in a compressed message")}
	}
	body, err := f.decompress(batch.Compression, record.Value)
	if err != nil {
		return Batch{}, &DecodeError{Offset: magicAt + 1, Err: fmt.Errorf("decompress: %w", err)}
	}
	for whole := len(body); len(body) > 0; {
		at := func(err error) error {
			return &DecodeError{Offset: magicAt + 1, Err: fmt.Errorf("byte %d of the decompressed records: %w", whole-len(body), err)}
		}
		if len(body) < lengthHead {
			return Batch{}, at(ErrShort)
		}
		n := int64(int32(binary.BigEndian.Uint32(body[8:]))) + lengthHead
		if n > int64(len(body)) || n <= magicAt {
			return Batch{}, at(fmt.Errorf("%w: %d", ErrLength, n-lengthHead))
		}
		inner, err := f.message(body[:n], depth+1)
		if err != nil {
			return Batch{}, at(err)
		}
		batch.CRCValid = batch.CRCValid && inner.CRCValid
		batch.Records = append(batch.Records, inner.Records...)
		body = body[n:]
	}
	if last := len(batch.Records) - 1; magic == 1 && last >= 0 {
		// The outer offset is that of the last message (KIP-31).
		base := offset - batch.Records[last].Offset
		for i := range batch.Records {
			batch.Records[i].Offset += base
			if batch.LogAppendTime {
				batch.Records[i].Timestamp = record.Timestamp
			}
		}
	}
	if len(batch.Records) > 0 {
		batch.BaseOffset = batch.Records[0].Offset
	}
	return batch, nil
}

// The shortest record of magic 2 has six empty fields after its length, the shortest header two.
const (
	shortestRecord = 7
	shortestHeader = 2
)

// record decodes one record of magic 2. A length of -1 is null. r fails if the record is malformed
// or takes too much memory.
//
//	length varint | attributes int8 | timestamp delta varint | offset delta varint |
//	key varint and bytes | value varint and bytes | number of headers varint | their keys and values
func (f *inflater) record(r *reader, base, first int64) (one Record) {
	length := r.varint()
	own := reader{at: r.at}
	if own.b = r.sized(uint64(length)); r.err != nil {
		return one
	}
	own.int8() // the attributes, which have no meaning yet
	one = Record{Timestamp: first + own.varint(), Offset: base + own.varint(), Key: own.bytesVarint(), Value: own.bytesVarint()}
	n := own.varint()
	if room := min(n, int64(len(own.b)/shortestHeader+1)); room > 0 {
		if err := f.memory.take(int(room) * headerSize); err != nil {
			r.fail(err)
			return one
		}
		one.Headers = make([]Header, 0, room)
	}
	for ; n > 0 && own.err == nil; n-- {
		one.Headers = append(one.Headers, Header{Key: own.bytesVarint(), Value: own.bytesVarint()})
	}
	if own.end(); own.err != nil {
		r.at = own.at
		r.fail(own.err)
	}
	return one
}
