package wire

import "encoding/binary"

// A cursor reads from the front of b. What does not fit makes it fail, and read zeros from
// then on.
type cursor struct {
	b      []byte
	failed bool
	left   int // bytes that were left where it failed
}

func (c *cursor) fail() {
	if !c.failed {
		c.failed, c.left, c.b = true, len(c.b), nil
	}
}

// behind is how many bytes are left, or were where it failed.
func (c *cursor) behind() int {
	if c.failed {
		return c.left
	}
	return len(c.b)
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.fail()
		return nil
	}
	taken := c.b[:n:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) int8() int8 {
	if b := c.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (c *cursor) int16() int16 {
	if b := c.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// varint is zigzag-encoded.
func (c *cursor) varint() int64 { return number(c, binary.Varint) }

func (c *cursor) uvarint() uint64 { return number(c, binary.Uvarint) }

// number reads one whose length is in it.
func number[T int64 | uint64](c *cursor, read func([]byte) (T, int)) T {
	v, n := read(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) bytes32() []byte { return c.nullable(int64(c.int32())) }

func (c *cursor) bytesVarint() []byte { return c.nullable(c.varint()) }

func (c *cursor) nullable(n int64) []byte {
	if n == -1 || c.failed {
		return nil
	}
	if n < 0 || n > int64(len(c.b)) {
		c.fail()
		return nil
	}
	return c.take(int(n))
}
