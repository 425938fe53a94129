package kafka

import "encoding/binary"

// coordinatorNotAvailable is the error that makes a client ask again.
const coordinatorNotAvailable = 15

// rewriteCoordinators rewrites a FindCoordinator response.
//
//	v0-3  | correlation id i32 | tags v3 | throttle i32 v1+ | code i16 | message nullable v1+
//	      | node id i32 | host | port i32 | tags v3 |
//	v4-   | correlation id i32 | tags | throttle i32 | coordinators | tags |
//	      coordinators: array of | key | node id | host | port | code i16 | message | tags |
//
// A coordinator that was not found has node -1, an empty host and port -1.
func rewriteCoordinators(buf []byte, h ResponseInfo, frame []byte, m Mapper) ([]byte, Result, error) {
	s := shape{flexible: apis[KeyFindCoordinator].Flexible(h.Version), coordinator: true}
	c := over(frame, 4)
	if s.flexible {
		c.tags()
	}
	if h.Version >= 1 {
		c.skip(4)
	}
	if h.Version <= 3 {
		return rewriteCoordinator(buf, h, &c, s, m)
	}
	s.key, s.code, s.text = true, true, true
	found := c.readList(s)
	if c.err != nil {
		return nil, Result{}, inResponse(h, c.err)
	}
	return found.splice(buf, frame, m)
}

// rewriteCoordinator rewrites the only coordinator of v0 to v3; c is before the
// error code. Its fields and the tags of the response make an element.
func rewriteCoordinator(buf []byte, h ResponseInfo, c *cursor, s shape, m Mapper) ([]byte, Result, error) {
	frame, code := c.b, c.off
	c.skip(2)
	if h.Version >= 1 {
		c.nullable(s.flexible)
	}
	found := list{shape: s}
	c.readEntry(&found)
	if c.err != nil {
		return nil, Result{}, inResponse(h, c.err)
	}
	res, err := found.ask(m)
	if err != nil || !res.Changed() {
		return frame, res, err
	}
	p := found.places[0]
	out := append(buf[:0], frame[:p.start]...)
	if e, hidden := found.address(p); hidden {
		binary.BigEndian.PutUint16(out[code:], notAvailable(frame[code:]))
		out = appendNobody(out, s.flexible)
	} else {
		out = append(out, frame[p.start:p.host]...)
		out = appendString(out, e.Host, s.flexible)
		out = binary.BigEndian.AppendUint32(out, uint32(e.Port))
	}
	return append(out, frame[p.port+4:]...), res, nil
}

// appendNobody appends the node id, host and port of a coordinator that was not
// found.
func appendNobody(dst []byte, flexible bool) []byte {
	dst = append(dst, 0xff, 0xff, 0xff, 0xff)
	dst = appendString(dst, "", flexible)
	return append(dst, 0xff, 0xff, 0xff, 0xff)
}

// notAvailable returns the error code of a coordinator that is hidden: its own
// if it has one.
func notAvailable(code []byte) uint16 {
	if own := binary.BigEndian.Uint16(code); own != 0 {
		return own
	}
	return coordinatorNotAvailable
}
