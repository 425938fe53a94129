package chaos

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A Stream is the sequence of one producer's records in one partition.
type Stream struct {
	Producer  uint32
	Partition int32
}

// A Mark identifies a record.
type Mark struct {
	Stream
	Seq uint64 // in the stream, from 0
	Txn uint64 // of the producer, from 1; 0: none
}

// String returns the mark in the form for problems.
func (m Mark) String() string {
	s := fmt.Sprintf("producer %d, partition %d, number %d", m.Producer, m.Partition, m.Seq)
	if m.Txn > 0 {
		s += fmt.Sprintf(" (transaction %d)", m.Txn)
	}
	return s
}

// The layout of a record's value:
//
//	+-----------+--------------+---------+---------+-------------+---------+
//	| "kt" (2)  | producer (4) | partition (4) | seq (8) | txn (8) | padding | crc32c (4) |
//	+-----------+--------------+---------+---------+-------------+---------+
//
// big endian; the checksum is over everything before it.
const markLen = 2 + 4 + 4 + 8 + 8

// checksum returns the CRC that Kafka also uses for its batches.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Encode returns a record's value with some padding.
func (m Mark) Encode(padding []byte) []byte {
	b := make([]byte, 0, markLen+len(padding)+4)
	b = append(b, "kt"...)
	b = binary.BigEndian.AppendUint32(b, m.Producer)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Partition))
	b = binary.BigEndian.AppendUint64(b, m.Seq)
	b = binary.BigEndian.AppendUint64(b, m.Txn)
	b = append(b, padding...)
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

// Errors of Decode.
var (
	errShort    = errors.New("too short, or not a record of this test")
	errChecksum = errors.New("wrong checksum")
)

// Decode parses a record's value.
func Decode(b []byte) (Mark, error) {
	if len(b) < markLen+4 || string(b[:2]) != "kt" {
		return Mark{}, errShort
	}
	body := b[:len(b)-4]
	if binary.BigEndian.Uint32(b[len(body):]) != checksum(body) {
		return Mark{}, errChecksum
	}
	return Mark{
		Stream: Stream{Producer: binary.BigEndian.Uint32(b[2:]), Partition: int32(binary.BigEndian.Uint32(b[6:]))},
		Seq:    binary.BigEndian.Uint64(b[10:]),
		Txn:    binary.BigEndian.Uint64(b[18:]),
	}, nil
}
