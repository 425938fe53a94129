package pcap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A connection is a TCP connection of a capture.
type connection struct {
	capture *capture
	sides   [2]*side        // of whoever began it, as far as can be told, and the other one
	client  *side           // who sends requests; nil: nobody has
	waiting map[int32]asked // by correlation id
	orphans map[int32]orphan
	kept    int // bytes of orphans
	tls     bool
}

// A side is what one end of a connection sends.
type side struct {
	from, to string
	stream   wire.Frames
	begun    bool   // its beginning is in the capture
	inStep   bool   // where its frames begin is known
	lost     int    // bytes that were not read
	first    []byte // too few to tell
}

// An orphan is a response whose request has not come. It may come late: what stands behind
// a gap is read when the capture is over.
type orphan struct {
	frame []byte
	when  time.Time
}

// maxOrphans bounds the bytes of all orphans of a connection.
const maxOrphans = 16 << 20

// An asked is a request whose response has not come.
type asked struct {
	header wire.RequestHeader
	when   time.Time
}

// maxAsked bounds requests without a response: a connection has fewer in flight.
const maxAsked = 10_000

func newConnection(c *capture, a, b string) *connection {
	return &connection{
		capture: c, waiting: map[int32]asked{}, orphans: map[int32]orphan{},
		sides: [2]*side{{from: a, to: b}, {from: b, to: a}},
	}
}

// chunk takes bytes of one side. skip is how many are missing before them, or negative where
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

// enough is how many bytes tell what a side says: a request its header, a response its
// correlation id.
func (c *connection) enough(s *side) int {
	if c.client != nil && c.client != s {
		return kafka.SizeLen + 4
	}
	return kafka.SizeLen + kafka.RequestHeaderLen
}

// findStep reports whether a frame begins where a chunk does. Both sides write whole frames,
// so the packets in which they begin are found sooner or later.
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
	case n >= kafka.RequestHeaderLen && wire.IsRequest(b[4:]) && (c.client == nil || c.client == s):
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

// end shows what has waited in vain.
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

// show tells of a frame; err is why it could not be read.
func (c *connection) show(out Frame, err error) {
	if out.Err = err; c.capture.err == nil {
		c.capture.err = c.capture.each(out)
	}
}

func (c *connection) request(out *Frame, frame []byte, when time.Time) (err error) {
	out.Header, out.Request, err = c.capture.codec.ParseRequest(frame)
	if h := out.Header; len(c.waiting) < maxAsked {
		c.waiting[h.CorrelationID] = asked{h, when}
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
		return ErrUnasked
	}
	delete(c.waiting, out.Header.CorrelationID)
	out.Header, out.Latency = a.header, when.Sub(a.when)
	_, out.Response, err = c.capture.codec.ParseResponse(frame, a.header.Key, a.header.Version)
	return err
}

// remark says what was not read; empty: everything was, or it is none of Kafka's.
func (c *connection) remark() string {
	between := c.sides[0].from + " and " + c.sides[0].to
	lost := c.sides[0].lost + c.sides[1].lost
	switch {
	case c.tls:
		return fmt.Sprintf("what %s say is TLS and cannot be read", between)
	case c.client != nil && lost > 0:
		return fmt.Sprintf("of what %s say %d bytes were not read: the capture lacks what stands before them, or what begins them", between, lost)
	case c.client == nil && lost > 0:
		return fmt.Sprintf("what %s say is not Kafka's protocol, as far as can be told", between)
	}
	return ""
}
