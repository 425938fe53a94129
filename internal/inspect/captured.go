package inspect

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A captured is a TCP connection of a capture.
type captured struct {
	capture *capture
	sides   [2]*side // of whoever began it, as far as can be told, and the other one
	client  *side    // who sends requests; nil: nobody has
	codec   *wire.Codec
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
	key, version int16
	when         time.Time
}

// maxAsked bounds requests without a response: a connection has fewer in flight.
const maxAsked = 10_000

func newCaptured(c *capture, a, b string) *captured {
	return &captured{
		capture: c, codec: &wire.Codec{Records: c.decoder.Records}, waiting: map[int32]asked{}, orphans: map[int32]orphan{},
		sides: [2]*side{{from: a, to: b}, {from: b, to: a}},
	}
}

// chunk takes bytes of one side. skip is how many are missing before them, or negative where
// that is not known.
func (c *captured) chunk(s *side, b []byte, skip int, when time.Time) {
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
func (c *captured) enough(s *side) int {
	if c.client != nil && c.client != s {
		return kafka.SizeLen + 4
	}
	return kafka.SizeLen + kafka.RequestHeaderLen
}

// findStep reports whether a frame begins where a chunk does. Both sides write whole frames,
// so the packets in which they begin are found sooner or later.
func (c *captured) findStep(s *side, b []byte) bool {
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
	case n >= kafka.RequestHeaderLen && isRequest(b[4:]) && (c.client == nil || c.client == s):
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

// A capturedFrame is what is printed of a frame of a capture.
type capturedFrame struct {
	Time           time.Time       `json:"time"`
	From           string          `json:"from"`
	To             string          `json:"to"`
	API            string          `json:"api,omitempty"`
	Key            int16           `json:"key"`
	Version        int16           `json:"version"`
	CorrelationID  int32           `json:"correlationId"`
	ClientID       *string         `json:"clientId,omitempty"`
	Size           int             `json:"size"`
	LatencySeconds *float64        `json:"latencySeconds,omitempty"`
	Request        json.RawMessage `json:"request,omitempty"`
	Response       json.RawMessage `json:"response,omitempty"`
	Unread         string          `json:"unread,omitempty"` // why there is neither
}

func (c *captured) frame(s *side, frame []byte, when time.Time) {
	c.capture.frames++
	out := capturedFrame{Time: when, From: s.from, To: s.to, Size: len(frame)}
	if s == c.client {
		err := c.request(&out, frame, when)
		c.show(out, err)
		if o, ok := c.orphans[out.CorrelationID]; ok {
			delete(c.orphans, out.CorrelationID)
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
func (c *captured) server() *side {
	if c.client == c.sides[0] {
		return c.sides[1]
	}
	return c.sides[0]
}

// end shows what has waited in vain.
func (c *captured) end() {
	for _, id := range slices.Sorted(maps.Keys(c.orphans)) {
		o, s := c.orphans[id], c.server()
		out := capturedFrame{Time: o.when, From: s.from, To: s.to, Size: len(o.frame)}
		err := c.response(&out, o.frame, o.when)
		c.show(out, err)
	}
	for _, s := range c.sides {
		s.lost += len(s.first)
	}
}

// show prints a frame; err is why it could not be read.
func (c *captured) show(out capturedFrame, err error) {
	if err != nil {
		out.Unread = err.Error()
	}
	text, err := marshal(out)
	if err == nil {
		err = c.capture.print(text)
	}
	if c.capture.err == nil {
		c.capture.err = err
	}
}

func (c *captured) request(out *capturedFrame, frame []byte, when time.Time) error {
	h, m, err := c.codec.ParseRequest(frame)
	out.API, out.Key, out.Version, out.CorrelationID, out.ClientID = kafka.Name(h.Key), h.Key, h.Version, h.CorrelationID, h.ClientID
	if len(c.waiting) < maxAsked {
		c.waiting[h.CorrelationID] = asked{h.Key, h.Version, when}
	}
	if err == nil {
		out.Request, err = c.codec.AppendJSON(nil, m)
	}
	return err
}

func (c *captured) response(out *capturedFrame, frame []byte, when time.Time) error {
	if len(frame) < 4 {
		return wire.ErrShort
	}
	out.CorrelationID = int32(binary.BigEndian.Uint32(frame))
	a, ok := c.waiting[out.CorrelationID]
	if !ok {
		return fmt.Errorf("the request that it answers is not in the capture")
	}
	delete(c.waiting, out.CorrelationID)
	out.API, out.Key, out.Version = kafka.Name(a.key), a.key, a.version
	latency := when.Sub(a.when).Seconds()
	out.LatencySeconds = &latency
	_, m, err := c.codec.ParseResponse(frame, a.key, a.version)
	if err == nil {
		out.Response, err = c.codec.AppendJSON(nil, m)
	}
	return err
}

// remark says what was not read; empty: everything was, or it is none of Kafka's.
func (c *captured) remark() string {
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
