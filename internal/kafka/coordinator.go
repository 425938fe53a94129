package kafka

import "encoding/binary"

// coordinatorNotAvailable is the error that makes a client ask again.
const coordinatorNotAvailable = 15

// coordinators rewrites a FindCoordinator response.
//
//	v0-3  | correlation id i32 | tags v3 | throttle i32 v1+ | code i16 | message nullable v1+
//	      | node id i32 | host | port i32 | tags v3 |
//	v4-   | correlation id i32 | tags | throttle i32 | coordinators | tags |
//	      coordinators: array of | key | node id | host | port | code i16 | message | tags |
//
// A coordinator that was not found has node -1, an empty host and port -1.
func (p *Patch) coordinators(h ResponseInfo, frame []byte, m Mapper) error {
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

// coordinator rewrites the only coordinator of v0 to v3; c is before the
// error code. Its fields and the tags of the response make an element.
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

// hideCoordinator returns the edit that makes an element a coordinator that was
// not found.
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

// appendNotAvailable appends the error code of a coordinator that is hidden: its
// own if it has one.
func appendNotAvailable(dst, code []byte) []byte {
	own := binary.BigEndian.Uint16(code)
	if own == 0 {
		own = coordinatorNotAvailable
	}
	return binary.BigEndian.AppendUint16(dst, own)
}
