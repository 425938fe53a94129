package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A RequestHeader precedes the body of a request.
//
//	v1: key int16 | version int16 | correlation id int32 | client id, nullable string
//	v2: the same and tagged fields, in a flexible version
//
// Version 0 of ControlledShutdown has no client id.
type RequestHeader struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      *string
}

// hasClientID reports whether the header of a request has a client id.
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

// headLen is the length of the fields that every request header begins with.
const headLen = 8

// head reads those fields.
func head(frame []byte) (h RequestHeader, ok bool) {
	r := reader{b: frame}
	h = RequestHeader{Key: r.int16(), Version: r.int16(), CorrelationID: r.int32()}
	return h, r.err == nil
}

// ParseRequest decodes a frame without its length. An error names the API if it is known. With
// a [*DecodeError] the message holds the fields that precede the byte.
func (c *Codec) ParseRequest(frame []byte) (h RequestHeader, m Message, err error) {
	h, ok := head(frame)
	if !ok {
		return RequestHeader{}, nil, ErrShort
	}
	if m, err = New(Request, h.Key, h.Version); err != nil {
		return h, nil, err
	}
	r := reader{b: frame[headLen:], at: headLen}
	if hasClientID(h.Key, h.Version) {
		if n := r.int16(); n >= 0 {
			id := string(r.take(int(n)))
			h.ClientID = &id
		}
	}
	if m.IsFlexible() {
		r.tags()
	}
	return h, m, c.body(m, Request, r)
}

// ParseResponse decodes a frame without its length, the response to a request of a key and a
// version. Its errors are those of [Codec.ParseRequest].
//
//	v0: correlation id int32
//	v1: the same and tagged fields, in a flexible version, but never of ApiVersions (KIP-511)
func (c *Codec) ParseResponse(frame []byte, key, version int16) (correlationID int32, m Message, err error) {
	if m, err = New(Response, key, version); err != nil {
		return 0, nil, err
	}
	r := reader{b: frame}
	correlationID = r.int32()
	if m.IsFlexible() && key != keyAPIVersions {
		r.tags()
	}
	return correlationID, m, c.body(m, Response, r)
}

// body decodes what follows the header of a frame; r has read the header.
func (c *Codec) body(m Message, d Direction, r reader) (err error) {
	if r.err != nil {
		err = &DecodeError{"header", r.at, r.err}
	} else {
		err = c.into(m, d, r)
	}
	if err != nil {
		return fmt.Errorf("%s %v, version %d: %w", nameOfAPI(m.Key()), d, m.GetVersion(), err)
	}
	return nil
}

// Responses decodes the responses of one connection, whose bytes are written to it in chunks of
// any length. [Responses.Expect] has to be called for each request before its response is
// written. The zero value is ready.
type Responses struct {
	Frames
	Codec Codec

	expected map[int32]shape // by correlation id
}

// A Reply is one response.
type Reply struct {
	CorrelationID int32
	Message       Message
}

// ErrUnexpectedResponse is returned for a response without a request.
var ErrUnexpectedResponse = errors.New("a response to no request")

// Expect registers a request.
func (r *Responses) Expect(correlationID int32, key, version int16) {
	if r.expected == nil {
		r.expected = map[int32]shape{}
	}
	r.expected[correlationID] = shape{Response, key, version}
}

// NextReply returns the next response; ok is false until it was written whole. After an error in
// one response, which the reply names, the next ones can be read. After a [*FrameError] they
// cannot.
func (r *Responses) NextReply() (reply Reply, ok bool, err error) {
	frame, err := r.Next()
	if err != nil || frame == nil {
		return reply, false, err
	}
	if len(frame) < 4 {
		return reply, true, ErrShort
	}
	reply.CorrelationID = int32(binary.BigEndian.Uint32(frame))
	asked, known := r.expected[reply.CorrelationID]
	if !known {
		return reply, true, fmt.Errorf("%w: correlation id %d", ErrUnexpectedResponse, reply.CorrelationID)
	}
	delete(r.expected, reply.CorrelationID)
	_, reply.Message, err = r.Codec.ParseResponse(frame, asked.key, asked.version)
	return reply, true, err
}

// IsRequest reports whether a frame without its length begins like a request: with the key of
// an API and a version that it has. A response may do so by chance.
func IsRequest(frame []byte) bool {
	h, ok := head(frame)
	api, known := apiOf(h.Key)
	return ok && known && h.Version >= 0 && h.Version <= api.MaxVersion
}
