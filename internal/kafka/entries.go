package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A shape says what one element of an array of addresses holds besides them.
// The seven responses have seven slightly different structs:
//
//	| key | node id i32 | host | port i32 | code i16 | text | fenced i8 | tags |
//	 FindC.                                  FindC.  rack or  Descr.C.  flexible
//	 v4+                                     v4+     message  v2+       versions
type shape struct {
	flexible    bool // compact strings, and tags at the end
	key         bool // a string stands before the node id
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

// A place is where an address stands in the bytes of a message.
//
//	| ... | node id | host | port | ... |
//	start           host   port         end
type place struct {
	start, host, port, end int
	endpoint               int // index in the list, -1: hidden without asking
}

// A list is the addresses of one message.
type list struct {
	shape     shape
	count     int // offset of the number of elements
	first     int // offset of the first element
	end       int // offset behind the last element
	elements  int // how many the message has
	places    []place
	endpoints []Endpoint
	hidden    int // of endpoints, after mapping, and those hidden without asking
}

// maxEndpoints bounds the addresses of one response, and with it the memory
// that a response can cost beyond its own bytes to about 5 MiB.
const maxEndpoints = 1 << 16

// readList reads an array of addresses. With ErrShort c.need allows for the
// elements to come.
func (c *cursor) readList(s shape) (l list) {
	l.shape, l.count = s, c.off
	l.elements = c.count(s.flexible)
	l.first = c.off
	if l.elements > (c.frame-c.off)/minEntry {
		c.malformed() // before anything is made of that number
	}
	if l.elements > maxEndpoints {
		c.fail(ErrTooLarge)
	}
	if n := min(l.elements, 32); n > 0 && c.err == nil {
		l.places, l.endpoints = make([]place, 0, n), make([]Endpoint, 0, n)
	}
	for i := 0; i < l.elements && c.err == nil; i++ {
		c.readEntry(&l)
		if errors.Is(c.err, ErrShort) {
			c.need = min(c.need+(l.elements-i-1)*minEntry, c.frame)
		}
	}
	l.end = c.off
	return l
}

// readEntry reads one element and adds its address to l.
func (c *cursor) readEntry(l *list) {
	s, p := l.shape, place{start: c.off}
	if s.key {
		c.string(s.flexible)
	}
	node := c.int32()
	p.host = c.off
	host := c.string(s.flexible)
	p.port = c.off
	port := c.int32()
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
	if p.end = c.off; c.err != nil {
		return
	}
	switch {
	case s.coordinator && len(host) == 0: // nothing to replace
	case s.coordinator && node < 0: // not found, and yet a host
		p.endpoint = -1
		l.places = append(l.places, p)
		l.hidden++
	default:
		p.endpoint = len(l.endpoints)
		l.places = append(l.places, p)
		l.endpoints = append(l.endpoints, Endpoint{NodeID: node, Host: string(host), Port: port})
	}
}

// ask gives the addresses to m, if there are any, and takes stock.
func (l *list) ask(m Mapper) (Result, error) {
	if len(l.endpoints) > 0 {
		if err := m.Map(l.endpoints); err != nil {
			return Result{}, err
		}
	}
	for i := range l.endpoints {
		switch e := &l.endpoints[i]; {
		case e.Hidden:
			l.hidden++
		case len(e.Host) > math.MaxInt16:
			return Result{}, fmt.Errorf("local host name of %d bytes for node %d", len(e.Host), e.NodeID)
		}
	}
	return Result{Rewritten: len(l.places) - l.hidden, Hidden: l.hidden}, nil
}

// address returns what becomes of a place.
func (l *list) address(p place) (e Endpoint, hidden bool) {
	if p.endpoint < 0 {
		return Endpoint{}, true
	}
	e = l.endpoints[p.endpoint]
	return e, e.Hidden
}

// size returns how many bytes append will append; not for coordinators.
func (l *list) size() int {
	n := len(appendCount(make([]byte, 0, 5), l.elements-l.hidden, l.shape.flexible)) + l.end - l.first
	for _, p := range l.places {
		if e, hidden := l.address(p); hidden {
			n -= p.end - p.start
		} else {
			n += uvarintLen(uint32(len(e.Host)+1)) + len(e.Host) - (p.port - p.host)
		}
	}
	return n
}

// append appends the array with the new addresses. Hidden elements are left
// out; hidden coordinators stay and become errors. Everything that is not a host
// or a port is copied from src, the message in which the list was found.
func (l *list) append(dst, src []byte) []byte {
	left := l.elements
	if !l.shape.coordinator {
		left -= l.hidden
	}
	dst = appendCount(dst, left, l.shape.flexible)
	at := l.first
	for _, p := range l.places {
		e, hidden := l.address(p)
		switch {
		case !hidden:
			dst = append(dst, src[at:p.host]...)
			dst = appendString(dst, e.Host, l.shape.flexible)
			dst = binary.BigEndian.AppendUint32(dst, uint32(e.Port))
			at = p.port + 4
		case l.shape.coordinator:
			dst = append(dst, src[at:p.host-4]...)
			dst = appendNobody(dst, l.shape.flexible)
			dst = binary.BigEndian.AppendUint16(dst, notAvailable(src[p.port+4:]))
			at = p.port + 4 + 2
		default:
			dst = append(dst, src[at:p.start]...)
			at = p.end
		}
	}
	return append(dst, src[at:l.end]...)
}

// splice asks m and returns the frame with the new addresses, in buf if there is
// room, or the frame itself if it has none.
func (l *list) splice(buf, frame []byte, m Mapper) ([]byte, Result, error) {
	res, err := l.ask(m)
	if err != nil || !res.Changed() {
		return frame, res, err
	}
	out := l.append(append(buf[:0], frame[:l.count]...), frame)
	return append(out, frame[l.end:]...), res, nil
}
