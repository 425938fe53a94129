package kafka

// A shape lists the fields of one element of an array of addresses besides the
// address. The seven responses have seven slightly different structs:
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
	coordinator bool // the host may be empty: the coordinator was not found
}

// nodeEndpoint is the struct of KIP-951 in Produce, Fetch and Share responses.
var nodeEndpoint = shape{flexible: true, text: true}

// minEntry is the length of the shortest element: node id, empty host and port.
// The length of the host has two bytes, or one byte and the element a tag count.
const minEntry = 10

// An endpointSpan holds the offsets of one element and of its address in a message.
//
//	| key | node id | host: length, name | port | ... |
//	start node                     name    port
//
// (The compiler keeps four fields in registers, but not five.)
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

// shortSpan does the same for a flexible element without tags whose lengths have one
// byte each, as nearly all elements are. It is several times as fast.
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

// afterShort returns the offset after a compact string, or len(b) if its length is
// missing, is less than least or has more than one byte. The length is encoded plus
// one, and 0 is null.
func afterShort(b []byte, at int, least byte) int {
	if at < len(b) && b[at] >= least && b[at] < 0x80 {
		return at + max(int(b[at]), 1)
	}
	return len(b)
}
