package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// A RequestHeader stands before the body of a request.
//
//	v1: key int16 | version int16 | correlation id int32 | client id, nullable string
//	v2: the same and tagged fields, with a flexible version
//
// The client id is missing in version 0 of ControlledShutdown.
type RequestHeader struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      *string
}

const keyControlledShutdown = 7

// hasClientID reports whether the header of a request has one.
func hasClientID(key, version int16) bool { return key != keyControlledShutdown || version > 0 }

// AppendRequest appends a request as a frame, with its length and its header.
func AppendRequest(dst []byte, m Message, correlationID int32, clientID *string) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.Key()))
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.GetVersion()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	switch {
	case !hasClientID(m.Key(), m.GetVersion()):
	case clientID == nil:
		dst = append(dst, 0xff, 0xff)
	default:
		dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(*clientID))), *clientID...)
	}
	if m.IsFlexible() {
		dst = append(dst, 0)
	}
	dst = m.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// ParseRequest reads a frame without its length. An error names the API where that is known;
// with a [*DecodeError] the message holds what stands before the byte.
func (c *Codec) ParseRequest(frame []byte) (h RequestHeader, m Message, err error) {
	head, err := kafka.ParseRequestHeader(frame)
	if err != nil {
		return h, nil, ErrShort
	}
	h = RequestHeader{Key: head.Key, Version: head.Version, CorrelationID: head.CorrelationID}
	if m, err = New(Request, h.Key, h.Version); err != nil {
		return h, nil, err
	}
	r := cursor{b: frame[kafka.RequestHeaderLen:]}
	if hasClientID(h.Key, h.Version) {
		if n := r.int16(); n >= 0 {
			id := string(r.take(int(n)))
			h.ClientID = &id
		}
	}
	if m.IsFlexible() {
		r.tags()
	}
	return h, m, c.body(m, Request, len(frame), r)
}

// ParseResponse reads a frame without its length, the answer to a request of a key and a
// version, with errors as [Codec.ParseRequest].
//
//	v0: correlation id int32
//	v1: the same and tagged fields, with a flexible version, but never of ApiVersions (KIP-511)
func (c *Codec) ParseResponse(frame []byte, key, version int16) (correlationID int32, m Message, err error) {
	if m, err = New(Response, key, version); err != nil {
		return 0, nil, err
	}
	r := cursor{b: frame}
	correlationID = r.int32()
	if m.IsFlexible() && key != kafka.KeyApiVersions {
		r.tags()
	}
	return correlationID, m, c.body(m, Response, len(frame), r)
}

// body reads what stands behind the header of a frame. Offsets of errors count from the
// beginning of the frame.
func (c *Codec) body(m Message, d Direction, frame int, r cursor) (err error) {
	if r.failed {
		err = &DecodeError{"header", len(r.b) - r.behind(), ErrShort}
	} else {
		err = c.into(m, d, r.b)
	}
	var at *DecodeError
	if errors.As(err, &at) {
		at.Offset += frame - len(r.b)
	}
	if err != nil {
		return fmt.Errorf("%s %v, version %d: %w", kafka.Name(m.Key()), d, m.GetVersion(), err)
	}
	return nil
}

// tags skips tagged fields.
func (c *cursor) tags() {
	for n := c.uvarint(); n > 0 && !c.failed; n-- {
		c.uvarint()
		length := c.uvarint()
		if length > uint64(len(c.b)) {
			c.fail()
			return
		}
		c.take(int(length))
	}
}

// Responses puts the responses of one connection together, whatever chunks they come in. It
// has to be told of each request first. The zero value is ready.
type Responses struct {
	Frames
	Codec Codec

	waiting map[int32]shape
}

// A Reply is one response.
type Reply struct {
	CorrelationID int32
	Message       Message
}

// ErrUnexpectedResponse is a response that no request expects.
var ErrUnexpectedResponse = errors.New("a response to no request")

// Expect tells of a request.
func (r *Responses) Expect(correlationID int32, key, version int16) {
	if r.waiting == nil {
		r.waiting = map[int32]shape{}
	}
	r.waiting[correlationID] = shape{Response, key, version}
}

// NextReply returns the next response; ok is false if it is not there yet. After an error of
// a single response, which the reply names, the next ones can be read; not after a
// [*FrameError].
func (r *Responses) NextReply() (reply Reply, ok bool, err error) {
	frame, err := r.Next()
	if err != nil || frame == nil {
		return reply, false, err
	}
	if len(frame) < 4 {
		return reply, true, ErrShort
	}
	reply.CorrelationID = int32(binary.BigEndian.Uint32(frame))
	asked, known := r.waiting[reply.CorrelationID]
	if !known {
		return reply, true, fmt.Errorf("%w: correlation id %d", ErrUnexpectedResponse, reply.CorrelationID)
	}
	delete(r.waiting, reply.CorrelationID)
	_, reply.Message, err = r.Codec.ParseResponse(frame, asked.key, asked.version)
	return reply, true, err
}

// IsRequest reports whether a frame without its length begins as a request does: with the key
// of an API and a version that it has. A response may do so by chance.
func IsRequest(frame []byte) bool {
	h, err := kafka.ParseRequestHeader(frame)
	if err != nil {
		return false
	}
	api, ok := kafka.Lookup(h.Key)
	return ok && h.Version >= 0 && h.Version <= api.MaxVersion
}
