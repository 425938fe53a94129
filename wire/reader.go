package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of bodies.
var (
	ErrShort    = errors.New("the message ends too early")
	ErrLeftOver = errors.New("bytes are left over after the message")
	ErrLength   = errors.New("invalid length")
)

// A reader reads fields from the front of b, big-endian. It reads messages, headers and
// records, all of which were received whole. After the first field that cannot be read, err is
// set and all further fields are zero, so that callers check once.
type reader struct {
	b   []byte
	at  int // offset of b[0] in the frame, or in what the caller counts from; after an error: where it is
	err error
}

// fail sets err, unless it is set.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err, r.b = err, nil
	}
}

// take returns the next n bytes. Appending to them does not overwrite what follows.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail(ErrShort)
		return nil
	}
	taken := r.b[:n:n]
	r.b, r.at = r.b[n:], r.at+n
	return taken
}

// end fails if bytes are left.
func (r *reader) end() {
	if len(r.b) > 0 {
		r.fail(fmt.Errorf("%w: %d", ErrLeftOver, len(r.b)))
	}
}

func (r *reader) int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *reader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// integer reads an integer of size bytes.
func (r *reader) integer(size uintptr) int64 {
	switch size {
	case 1:
		return int64(r.int8())
	case 2:
		return int64(r.int16())
	case 4:
		return int64(r.int32())
	}
	return r.int64()
}

// varint reads a zigzag-encoded number.
func (r *reader) varint() int64 { return number(r, binary.Varint) }

func (r *reader) uvarint() uint64 { return number(r, binary.Uvarint) }

// number reads a number of variable length.
func number[T int64 | uint64](r *reader, decode func([]byte) (T, int)) T {
	v, n := decode(r.b)
	if n <= 0 {
		r.fail(ErrShort)
		return 0
	}
	r.b, r.at = r.b[n:], r.at+n
	return v
}

// bytes32 reads bytes whose length is an int32, nil for -1.
func (r *reader) bytes32() []byte { return r.nullable(int64(r.int32())) }

// bytesVarint reads bytes whose length is a varint, nil for -1.
func (r *reader) bytesVarint() []byte { return r.nullable(r.varint()) }

func (r *reader) nullable(n int64) []byte {
	if n == -1 || r.err != nil {
		return nil
	}
	return r.sized(uint64(n))
}

// sized is take for a length that was read, which may be any number.
func (r *reader) sized(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail(ErrShort)
		return nil
	}
	return r.take(int(n))
}

// tags skips tagged fields.
//
//	number of tagged fields uvarint | tag uvarint | length uvarint | length bytes | ...
func (r *reader) tags() {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		r.uvarint()
		r.sized(r.uvarint())
	}
}
