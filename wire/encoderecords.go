package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// EncodeRecords encodes batches as the records of a Produce message, with correct lengths and
// checksums. [DecodeRecords] does the opposite.
func EncodeRecords(batches []Batch) (b []byte, err error) {
	for i, batch := range batches {
		switch batch.Magic {
		case 0, 1:
			b, err = batch.appendSet(b)
		case 2:
			b, err = batch.append2(b)
		default:
			err = fmt.Errorf("magic %d is not known", batch.Magic)
		}
		if err != nil {
			return nil, fmt.Errorf("wire: batch %d: %w", i, err)
		}
	}
	return b, nil
}

func (b Batch) attributes() int16 {
	a := int16(b.Compression) & codecBits
	for bit, set := range map[int16]bool{logAppendBit: b.LogAppendTime, transactionalBit: b.Transactional, controlBit: b.Control} {
		if set {
			a |= bit
		}
	}
	return a
}

// append2 appends a batch of magic 2, whose layout is drawn at batch2.
func (b Batch) append2(dst []byte) ([]byte, error) {
	first, largest, last := int64(-1), int64(-1), int64(-1)
	var body []byte
	for i, r := range b.Records {
		if i == 0 {
			first = r.Timestamp
		}
		largest, last = max(largest, r.Timestamp), r.Offset-b.BaseOffset
		if last < 0 || last > 1<<31-1 {
			return nil, fmt.Errorf("record %d: offset %d precedes the base offset %d, or is too far from it", i, r.Offset, b.BaseOffset)
		}
		one := r.append2(nil, last, r.Timestamp-first)
		body = append(binary.AppendVarint(body, int64(len(one))), one...)
	}
	body, err := b.Compression.compress(body)
	if err != nil {
		return nil, err
	}
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.BaseOffset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(batchHead-lengthHead+len(body)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(b.PartitionLeaderEpoch))
	dst = append(dst, 2, 0, 0, 0, 0) // the magic, and room for the checksum
	dst = binary.BigEndian.AppendUint16(dst, uint16(b.attributes()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(last))
	dst = binary.BigEndian.AppendUint64(dst, uint64(first))
	dst = binary.BigEndian.AppendUint64(dst, uint64(largest))
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.ProducerID))
	dst = binary.BigEndian.AppendUint16(dst, uint16(b.ProducerEpoch))
	dst = binary.BigEndian.AppendUint32(dst, uint32(b.BaseSequence))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b.Records)))
	dst = append(dst, body...)
	const afterCRC = magicAt + 5
	binary.BigEndian.PutUint32(dst[start+magicAt+1:], crc32.Checksum(dst[start+afterCRC:], castagnoli))
	return dst, nil
}

func (r Record) append2(dst []byte, offset, timestamp int64) []byte {
	dst = append(dst, 0)
	dst = binary.AppendVarint(binary.AppendVarint(dst, timestamp), offset)
	dst = appendVarintBytes(appendVarintBytes(dst, r.Key), r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for _, h := range r.Headers {
		dst = appendVarintBytes(appendVarintBytes(dst, h.Key), h.Value)
	}
	return dst
}

func appendVarintBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

// appendSet appends messages of magic 0 or 1. If they are compressed they are the value of one
// message.
func (b Batch) appendSet(dst []byte) ([]byte, error) {
	for i, r := range b.Records {
		if len(r.Headers) > 0 || b.Magic == 0 && r.Timestamp != -1 {
			return nil, fmt.Errorf("record %d: magic %d has no headers, and magic 0 no timestamps", i, b.Magic)
		}
	}
	if b.Compression == None {
		for _, r := range b.Records {
			dst = b.appendMessage(dst, r, 0)
		}
		return dst, nil
	}
	if len(b.Records) == 0 {
		return nil, fmt.Errorf("a compressed message of magic %d needs at least one record", b.Magic)
	}
	var set []byte
	last := b.Records[len(b.Records)-1]
	for i, r := range b.Records {
		if b.Magic == 1 {
			r.Offset = int64(i)
		}
		set = b.appendMessage(set, r, 0)
	}
	value, err := b.Compression.compress(set)
	if err != nil {
		return nil, err
	}
	return b.appendMessage(dst, Record{Offset: last.Offset, Timestamp: last.Timestamp, Value: value}, b.attributes()), nil
}

// appendMessage appends one message, whose layout is drawn at message.
func (b Batch) appendMessage(dst []byte, r Record, attributes int16) []byte {
	body := []byte{byte(b.Magic), byte(attributes)}
	if b.Magic == 1 {
		body = binary.BigEndian.AppendUint64(body, uint64(r.Timestamp))
	}
	body = appendBytes32(appendBytes32(body, r.Key), r.Value)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Offset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(body)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(body))
	return append(dst, body...)
}

func appendBytes32(dst, b []byte) []byte {
	if b == nil {
		return binary.BigEndian.AppendUint32(dst, 1<<32-1)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}
