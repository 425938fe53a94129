package pcap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A connection is a TCP connection of a capture.
type connection struct {
	capture *capture
	sides   [2]*side          // the side of the first packet, and the other one
	client  *side             // the side that sends requests; nil: not known yet
	waiting map[int32]request // by correlation id
	orphans map[int32]orphan
	kept    int // bytes of orphans
	tls     bool
}

// A side is one direction of a connection: what one end sends.
type side struct {
	from, to string
	stream   wire.Frames
	begun    bool   // its first byte is in the capture
	inStep   bool   // it is known where its frames begin
	lost     int    // bytes that were not decoded
	first    []byte // its first bytes, while they are too few to find a frame
}

// An orphan is a response whose request was not seen yet. The request may follow: what comes
// after a gap is assembled at the end of the capture.
type orphan struct {
	frame []byte
	when  time.Time
}

// maxOrphans bounds the bytes of all orphans of a connection.
const maxOrphans = 16 << 20

// A request is one whose response was not seen yet.
type request struct {
	header wire.RequestHeader
	when   time.Time
}

// maxWaiting bounds the requests without a response: a connection has fewer in flight.
const maxWaiting = 10_000

// The first bytes of a frame: its length, then the correlation id of a response, or what every
// request begins with.
const (
	sizeLen        = 4
	requestHeadLen = 8
)

func newConnection(c *capture, a, b string) *connection {
	return &connection{
		capture: c, waiting: map[int32]request{}, orphans: map[int32]orphan{},
		sides: [2]*side{{from: a, to: b}, {from: b, to: a}},
	}
}

// chunk takes bytes of one side. skip is how many bytes are missing before them, negative if
// that is not known.
func (c *connection) chunk(s *side, b []byte, skip int, when time.Time) {
	if skip > 0 {
		s.lost += skip + len(s.first)
		s.inStep, s.stream, s.first = false, wire.Frames{}, nil
	}
	if len(b) == 0 || c.capture.err != nil {
		return
	}
	if !s.inStep && s.begun && skip <= 0 && len(s.first)+len(b) < c.enough(s) {
		s.first = append(s.first, b...)
		return
	}
	if len(s.first) > 0 {
		b, s.first = append(s.first, b...), nil
	}
	if !s.inStep && !c.findStep(s, b) {
		s.lost += len(b)
		s.begun = false
		return
	}
	_, _ = s.stream.Write(b) // never fails
	for c.capture.err == nil {
		frame, err := s.stream.Next()
		if err != nil {
			s.lost += len(b)
			s.inStep, s.stream = false, wire.Frames{}
			return
		}
		if frame == nil {
			return
		}
		c.frame(s, frame, when)
	}
}

// enough returns how many bytes findStep needs: of a request the first fields of its header, of
// a response the correlation id.
func (c *connection) enough(s *side) int {
	if c.client != nil && c.client != s {
		return sizeLen + 4
	}
	return sizeLen + requestHeadLen
}

// findStep reports whether a frame begins where a chunk does. Clients and brokers write whole
// frames, so sooner or later a packet begins with one.
func (c *connection) findStep(s *side, b []byte) bool {
	if c.client == nil && len(b) > 1 && b[0] == 0x16 && b[1] == 3 {
		c.tls = true
	}
	if len(b) < 8 {
		return false
	}
	n := int64(int32(binary.BigEndian.Uint32(b)))
	switch {
	case n < 4 || n > wire.MaxFrame:
		return false
	case n >= requestHeadLen && wire.IsRequest(b[4:]) && (c.client == nil || c.client == s):
		c.client = s
	case c.client == nil || c.client == s:
		return false
	default:
		if _, known := c.waiting[int32(binary.BigEndian.Uint32(b[4:]))]; !known {
			return false
		}
	}
	s.inStep = true
	return true
}

func (c *connection) frame(s *side, frame []byte, when time.Time) {
	c.capture.frames++
	out := Frame{Time: when, From: s.from, To: s.to, Size: len(frame)}
	if s == c.client {
		err := c.request(&out, frame, when)
		c.show(out, err)
		if o, ok := c.orphans[out.Header.CorrelationID]; ok {
			delete(c.orphans, out.Header.CorrelationID)
			c.kept -= len(o.frame)
			c.frame(c.server(), o.frame, o.when)
		}
		return
	}
	if len(frame) >= 4 {
		id := int32(binary.BigEndian.Uint32(frame))
		if _, known := c.waiting[id]; !known && c.kept+len(frame) <= maxOrphans {
			c.orphans[id] = orphan{bytes.Clone(frame), when}
			c.kept += len(frame)
			return
		}
	}
	err := c.response(&out, frame, when)
	c.show(out, err)
}

// server is the side that sends responses.
func (c *connection) server() *side {
	if c.client == c.sides[0] {
		return c.sides[1]
	}
	return c.sides[0]
}

// end shows the responses whose requests were never seen.
func (c *connection) end() {
	for _, id := range slices.Sorted(maps.Keys(c.orphans)) {
		o, s := c.orphans[id], c.server()
		out := Frame{Time: o.when, From: s.from, To: s.to, Size: len(o.frame)}
		err := c.response(&out, o.frame, o.when)
		c.show(out, err)
	}
	for _, s := range c.sides {
		s.lost += len(s.first)
	}
}

// show calls each with a frame; err is why it could not be decoded.
func (c *connection) show(out Frame, err error) {
	if out.Err = err; c.capture.err == nil {
		c.capture.err = c.capture.each(out)
	}
}

func (c *connection) request(out *Frame, frame []byte, when time.Time) (err error) {
	out.Header, out.Request, err = c.capture.codec.ParseRequest(frame)
	if h := out.Header; len(c.waiting) < maxWaiting {
		c.waiting[h.CorrelationID] = request{h, when}
	}
	return err
}

func (c *connection) response(out *Frame, frame []byte, when time.Time) (err error) {
	if len(frame) < 4 {
		return wire.ErrShort
	}
	out.Header.CorrelationID = int32(binary.BigEndian.Uint32(frame))
	a, ok := c.waiting[out.Header.CorrelationID]
	if !ok {
		return ErrNoRequest
	}
	delete(c.waiting, out.Header.CorrelationID)
	out.Header, out.Latency = a.header, when.Sub(a.when)
	_, out.Response, err = c.capture.codec.ParseResponse(frame, a.header.Key, a.header.Version)
	return err
}

// remark describes what was not decoded. It is empty if everything was, or if there was nothing.
func (c *connection) remark() string {
	between := c.sides[0].from + " and " + c.sides[0].to
	lost := c.sides[0].lost + c.sides[1].lost
	switch {
	case c.tls:
		return fmt.Sprintf("the connection between %s is encrypted with TLS and cannot be decoded", between)
	case c.client != nil && lost > 0:
		return fmt.Sprintf("%d bytes between %s were not decoded: the capture lacks the bytes before them, or the beginning of their frame", lost, between)
	case c.client == nil && lost > 0:
		return fmt.Sprintf("the connection between %s does not seem to use Kafka's protocol", between)
	}
	return ""
}
