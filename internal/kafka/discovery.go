package kafka

import (
	"encoding/binary"
	"errors"
)

// metadata rewrites the brokers of a Metadata response, which come first. The rest,
// all topics and partitions of the cluster, is not read.
//
//	| correlation id i32 | tags v9+ | throttle i32 v3+ | brokers | not touched ...
//	brokers: array of | node id i32 | host | port i32 | rack nullable v1+ | tags v9+ |
func (p *Patch) metadata(h ResponseInfo, src []byte, m Mapper) (consumed int, err error) {
	flexible := apis[KeyMetadata].Flexible(h.Version)
	c := newPartialCursor(src, int(h.FrameSize), MetadataBound)
	c.skip(4)
	if flexible {
		c.tags()
	}
	if h.Version >= 3 {
		c.skip(4)
	}
	c.readList(&p.list, shape{flexible: flexible, text: h.Version >= 1})
	if errors.Is(c.err, ErrShort) {
		return max(c.need, min(2*len(src), c.frame, c.bound)), ErrShort
	}
	if c.err != nil {
		return 0, inResponse(h, c.err)
	}
	end := p.list.end
	return end, p.mapAddresses(src[:end], m)
}

// coordinatorNotAvailable is the error code that makes a client repeat the request.
const coordinatorNotAvailable = 15

// findCoordinator rewrites a FindCoordinator response.
//
//	v0-3  | correlation id i32 | tags v3 | throttle i32 v1+ | code i16 | message nullable v1+
//	      | node id i32 | host | port i32 | tags v3 |
//	v4-   | correlation id i32 | tags | throttle i32 | coordinators | tags |
//	      coordinators: array of | key | node id | host | port | code i16 | message | tags |
//
// A coordinator that was not found has node -1, an empty host and port -1.
func (p *Patch) findCoordinator(h ResponseInfo, frame []byte, m Mapper) error {
	s := shape{flexible: apis[KeyFindCoordinator].Flexible(h.Version), coordinator: true}
	c := newCursor(frame, 4)
	if s.flexible {
		c.tags()
	}
	if h.Version >= 1 {
		c.skip(4)
	}
	if h.Version <= 3 {
		return p.coordinator(h, &c, s, m)
	}
	s.key, s.code, s.text = true, true, true
	c.readList(&p.list, s)
	if c.err != nil {
		return inResponse(h, c.err)
	}
	return p.mapAddresses(frame, m)
}

// coordinator rewrites the only coordinator of v0 to v3; c is before the error code.
// The fields of the coordinator and the tags of the response have the layout of an
// element.
func (p *Patch) coordinator(h ResponseInfo, c *cursor, s shape, m Mapper) error {
	frame, code := c.b, c.off
	c.skip(2)
	if h.Version >= 1 {
		c.nullable(s.flexible)
	}
	p.list = list{shape: s, first: c.off, elements: 1}
	c.collect(&p.list)
	if c.err != nil {
		return inResponse(h, c.err)
	}
	err := p.list.mapAddresses(m)
	switch {
	case err != nil:
		return err
	case p.list.changed() == 0:
		p.setInPlace(frame)
		return nil
	case p.list.hidden > 0:
		p.next = replaceText(code, code+2, appendNotAvailable(p.next.text[:0], frame[code:]))
	default:
		p.next = edit{from: code, to: code}
	}
	p.rewrite(frame, 0)
	return nil
}

// hideCoordinator returns the edit that turns an element into a coordinator that
// was not found.
func hideCoordinator(at endpointSpan, s shape, src []byte) edit {
	to := at.end()
	var buf [16]byte
	text := append(buf[:0], 0xff, 0xff, 0xff, 0xff)
	text = appendLength(text, 0, s.flexible)
	text = append(text, 0xff, 0xff, 0xff, 0xff)
	if s.code {
		text = appendNotAvailable(text, src[to:])
		to += 2
	}
	return replaceText(at.node, to, text)
}

// appendNotAvailable appends the error code of a hidden coordinator: its own, if it
// has one.
func appendNotAvailable(dst, code []byte) []byte {
	own := binary.BigEndian.Uint16(code)
	if own == 0 {
		own = coordinatorNotAvailable
	}
	return binary.BigEndian.AppendUint16(dst, own)
}

// endpointBrokers is the endpoint type of a response that lists brokers.
const endpointBrokers = 1

// describeCluster rewrites a DescribeCluster response (KIP-700, KIP-919).
//
//	| correlation id i32 | tags | throttle i32 | code i16 | message | type i8 v1+
//	| cluster id | controller i32 | brokers | not touched ...
//	brokers: array of | node id i32 | host | port i32 | rack | fenced i8 v2+ | tags |
func (p *Patch) describeCluster(h ResponseInfo, frame []byte, m Mapper) error {
	c := newCursor(frame, 4)
	c.tags()
	c.skip(4 + 2)
	c.nullable(true)
	kind := byte(endpointBrokers)
	if h.Version >= 1 {
		if b := c.span(1); b != nil {
			kind = b[0]
		}
	}
	c.nullable(true)
	c.skip(4)
	c.readList(&p.list, shape{flexible: true, text: true, fenced: h.Version >= 2})
	if c.err == nil && kind != endpointBrokers && p.list.elements > 0 {
		c.fail(ErrControllers)
	}
	if c.err != nil {
		return inResponse(h, c.err)
	}
	return p.mapAddresses(frame, m)
}
