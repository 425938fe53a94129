package kafka

import "encoding/binary"

// A shape lists what one element of an array of addresses holds besides them.
// The seven responses have seven slightly different structs:
//
//	| key | node id i32 | host | port i32 | code i16 | text | fenced i8 | tags |
//	 FindC.                                  FindC.  rack or  Descr.C.  flexible
//	 v4+                                     v4+     message  v2+       versions
type shape struct {
	flexible    bool // compact strings, and tags at the end
	key         bool // a string precedes the node id
	code        bool // an error code follows the port
	text        bool // a nullable string follows: rack or error message
	fenced      bool // one byte follows
	coordinator bool // the host may be empty: not found
}

// nodeEndpoint is the struct of KIP-951 in Produce, Fetch and Share responses.
var nodeEndpoint = shape{flexible: true, text: true}

// minEntry is the least length of an element: node id, an empty host and port,
// with i16 lengths, or with one-byte lengths and no tags.
const minEntry = 10

// An endpointSpan is the place of one element and its address in a message.
//
//	| key | node id | host: length, name | port | ... |
//	start node                     name    port
//
// (No field more: the compiler keeps four in registers.)
type endpointSpan struct{ start, node, name, port int }

// end returns the offset after the port.
func (e endpointSpan) end() int { return e.port + 4 }

// endpointSpan moves over one element. The span is valid unless c.err is set.
func (c *cursor) endpointSpan(s shape) endpointSpan {
	if s.flexible {
		if e, ok := c.shortSpan(s); ok {
			return e
		}
	}
	return c.longSpan(s)
}

func (c *cursor) longSpan(s shape) (e endpointSpan) {
	e.start = c.off
	if s.key {
		c.string(s.flexible)
	}
	e.node = c.off
	c.skip(4)
	name := c.string(s.flexible)
	e.port = c.off
	e.name = e.port - len(name)
	c.skip(4)
	if s.code {
		c.skip(2)
	}
	if s.text {
		c.nullable(s.flexible)
	}
	if s.fenced {
		c.skip(1)
	}
	if s.flexible {
		c.tags()
	}
	return e
}

// shortSpan does the same for a flexible element whose lengths have one byte each
// and that has no tags, as nearly all are, and several times as fast.
func (c *cursor) shortSpan(s shape) (e endpointSpan, ok bool) {
	b, at := c.b, c.off
	e.start = at
	if s.key {
		at = afterShort(b, at, 1)
	}
	e.node, e.name = at, at+5
	at = afterShort(b, at+4, 1)
	e.port = at
	at += 4
	if s.code {
		at += 2
	}
	if s.text {
		at = afterShort(b, at, 0)
	}
	if s.fenced {
		at++
	}
	if at >= len(b) || b[at] != 0 {
		return e, false
	}
	c.off = at + 1
	return e, true
}

// afterShort returns the offset after a compact string, or len(b) if its length
// is less than least, has more than one byte or is not there. Lengths count from
// 1, and 0 is null.
func afterShort(b []byte, at int, least byte) int {
	if at < len(b) && b[at] >= least && b[at] < 0x80 {
		return at + max(int(b[at]), 1)
	}
	return len(b)
}

// An edit is what takes the place of src[from:to]: the first part of text, the
// host, and the second part of text. Any of the three may be empty.
type edit struct {
	from, to     int
	first, total uint8 // lengths of the first part, and of both
	text         [16]byte
	host         string
}

// replaceAddress makes e the edit that writes another host and port.
func (e *edit) replaceAddress(at endpointSpan, s shape, host string, port int32) {
	e.from, e.to, e.host = at.node+4, at.end(), host
	text := appendLength(e.text[:0], len(host), s.flexible)
	e.first = uint8(len(text))
	e.total = uint8(len(binary.BigEndian.AppendUint32(text, uint32(port))))
}

// addressLen returns the length of a host of n bytes with its length, and a port.
func (s shape) addressLen(n int) int {
	if s.flexible {
		return uvarintLen(uint32(n+1)) + n + 4
	}
	return 2 + n + 4
}

// replaceText returns the edit that writes a few bytes.
func replaceText(from, to int, text []byte) (e edit) {
	e.from, e.to = from, to
	e.total = uint8(copy(e.text[:], text))
	return e
}

// len returns the length of what is written.
func (e *edit) len() int { return len(e.host) + int(e.total) }

// growth returns how much longer the message becomes.
func (e *edit) growth() int { return e.len() - (e.to - e.from) }

// append appends what is written.
func (e *edit) append(dst []byte) []byte {
	dst = append(dst, e.text[:e.first]...)
	dst = append(dst, e.host...)
	return append(dst, e.text[e.first:e.total]...)
}
