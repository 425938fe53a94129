package kafka

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A cursor reads the fields of a frame that may not have been received whole. (The
// reader of package wire has another job: it decodes whole messages, and reports the
// path of a field. Nothing that the daemon links imports wire.)
//
//	| read | received, not read | not received | rest of the frame |
//	0     off                len(b)        bound               frame
//
// After a field that cannot be read err is set and every further read returns
// zero, so that callers check once per element.
type cursor struct {
	b     []byte // the frame as far as received and held; empty after an error
	frame int    // bytes of the whole frame
	bound int    // how many bytes of it the caller holds at most
	off   int
	err   error // ErrShort, ErrTooLarge or wrapped ErrMalformed
	need  int   // with ErrShort: how many bytes must be received at least
}

// newCursor returns a cursor over a frame that was received whole, at an offset.
func newCursor(frame []byte, off int) cursor {
	return cursor{b: frame, frame: len(frame), bound: len(frame), off: min(off, len(frame))}
}

// newPartialCursor returns a cursor over what was received of a frame.
func newPartialCursor(received []byte, frame, bound int) cursor {
	return cursor{b: received[:max(0, min(len(received), frame, bound))], frame: frame, bound: bound}
}

// span moves over n bytes and returns them.
func (c *cursor) span(n int) []byte {
	if uint(n) > uint(len(c.b)-c.off) {
		c.missing(n)
		return nil
	}
	c.off += n
	return c.b[c.off-n : c.off]
}

// skip moves over n bytes.
func (c *cursor) skip(n int) {
	if uint(n) > uint(len(c.b)-c.off) {
		c.missing(n)
		return
	}
	c.off += n
}

// missing sets err because n more bytes were not received.
func (c *cursor) missing(n int) {
	switch {
	case c.err != nil:
	case n < 0 || n > c.frame-c.off:
		c.malformed()
	case n > c.bound-c.off:
		c.fail(ErrTooLarge)
	default:
		c.need = c.off + n
		c.fail(ErrShort)
	}
}

func (c *cursor) malformed() {
	if c.err == nil {
		c.fail(fmt.Errorf("%w at byte %d of %d", ErrMalformed, c.off, c.frame))
	}
}

// fail sets err, unless it is set. After it nothing can be read.
func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err, c.b = err, c.b[:min(c.off, len(c.b))]
	}
}

func (c *cursor) int16() int16 {
	if b := c.span(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.span(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// uvarint reads an unsigned number of up to 32 bits: seven bits a byte, the
// lowest first, the top bit set in all bytes but the last (KIP-482). Overlong
// forms of up to five bytes are accepted.
func (c *cursor) uvarint() uint32 {
	if c.off < len(c.b) && c.b[c.off] < 0x80 {
		c.off++
		return uint32(c.b[c.off-1])
	}
	return c.longUvarint()
}

func (c *cursor) longUvarint() uint32 {
	var v uint32
	for i := range 5 {
		if c.off+i >= len(c.b) {
			c.missing(i + 1)
			return 0
		}
		b := c.b[c.off+i]
		if i == 4 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			c.off += i + 1
			return v
		}
	}
	c.malformed()
	return 0
}

// length reads a uvarint that counts bytes or elements of the frame.
func (c *cursor) length() int {
	v := c.uvarint()
	if int64(v) > int64(c.frame) {
		c.malformed()
		return 0
	}
	return int(v)
}

// count reads the length of an array; null counts as empty.
func (c *cursor) count(flexible bool) int {
	if flexible {
		return max(c.length()-1, 0)
	}
	n := c.int32()
	if n < -1 {
		c.malformed()
	}
	return max(int(n), 0)
}

// string moves over a string and returns its bytes; null is not allowed.
func (c *cursor) string(flexible bool) []byte {
	if flexible {
		return c.span(c.length() - 1)
	}
	return c.span(int(c.int16()))
}

// nullable moves over a string that may be null.
func (c *cursor) nullable(flexible bool) {
	if flexible {
		c.skip(max(c.length()-1, 0))
		return
	}
	c.skip(max(int(c.int16()), 0))
}

// tags moves over a tag section: a count, then id, size and value of each tag.
func (c *cursor) tags() {
	for n := c.uvarint(); n > 0 && c.err == nil; n-- {
		c.uvarint()
		c.skip(c.length())
	}
}

// appendUvarint appends v in its shortest form.
func appendUvarint(dst []byte, v uint32) []byte {
	return binary.AppendUvarint(dst, uint64(v))
}

// appendWide appends v in width bytes, an overlong form where v needs fewer.
func appendWide(dst []byte, v uint32, width int) []byte {
	for range width - 1 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// uvarintLen returns how many bytes the shortest form of v takes.
func uvarintLen(v uint32) int { return max(1, (bits.Len32(v)+6)/7) }

// appendCount appends the length of an array.
func appendCount(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return appendUvarint(dst, uint32(n+1))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// appendLength appends the length of a string that is not null.
func appendLength(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return appendUvarint(dst, uint32(n+1))
	}
	return binary.BigEndian.AppendUint16(dst, uint16(n))
}
