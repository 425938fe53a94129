package kafka

import "encoding/binary"

// unsupportedVersion is the error code of an ApiVersions response in the layout of
// v0, whatever the version of the request.
const unsupportedVersion = 35

// capVersions lowers the newest versions of the APIs whose responses are rewritten
// to the newest that can be, in place, and removes the APIs of which no version can
// be. All other entries, their order and the feature tags stay: feature levels only
// promise versions of APIs that are not rewritten, and APIs that are not in the
// table pass unchanged.
//
//	| correlation id i32 | code i16 | entries | throttle i32 v1+ | tags v3+ |
//	entries: array of | key i16 | oldest i16 | newest i16 | tags v3+ |
//
// The response header has no tags in any version, so that a client can read it
// before it knows the versions of the broker (KIP-511).
func capVersions(h ResponseInfo, frame []byte) (out []byte, caps []Cap, err error) {
	c := newCursor(frame, 4)
	code := c.int16()
	flexible := apis[KeyApiVersions].Flexible(h.Version) && code != unsupportedVersion
	counted := c.off
	n := c.count(flexible)
	first := c.off
	removed := 0
	for i := 0; i < n && c.err == nil; i++ {
		if !capEntry(&c, flexible, &caps) {
			removed++
		}
	}
	if c.err != nil {
		return nil, nil, inResponse(h, c.err)
	}
	if removed == 0 {
		return frame, caps, nil
	}
	// The entries that stay move towards the front; writing never overtakes reading.
	rest := c.off
	out = appendCount(frame[:counted], n-removed, flexible)
	for c.off = first; c.off < rest; {
		start := c.off
		if capEntry(&c, flexible, nil) {
			out = append(out, frame[start:c.off]...)
		}
	}
	return append(out, frame[rest:]...), caps, nil
}

// capEntry moves over one entry and lowers its newest version to the newest in the
// table. It returns false if no version of the entry can be rewritten. A change is
// added to caps.
func capEntry(c *cursor, flexible bool, caps *[]Cap) bool {
	key, oldest, at := c.int16(), c.int16(), c.off
	newest := c.int16()
	if flexible {
		c.tags()
	}
	a, ok := Lookup(key)
	switch {
	case c.err != nil || !ok || !a.Rewritten():
		return true
	case oldest > a.MaxVersion:
		addCap(caps, Cap{key, newest, -1})
		return false
	case newest > a.MaxVersion:
		addCap(caps, Cap{key, newest, a.MaxVersion})
		binary.BigEndian.PutUint16(c.b[at:], uint16(a.MaxVersion))
	}
	return true
}

// maxCaps bounds the caps that are reported: twice as many as there are APIs to cap,
// so that an array that repeats them takes no memory.
const maxCaps = 16

func addCap(caps *[]Cap, one Cap) {
	if caps != nil && len(*caps) < maxCaps {
		*caps = append(*caps, one)
	}
}

// ApiVersionsTooNew reports whether an ApiVersions request is newer than the table.
// Its response could not be capped, so the relay does not pass the request on and
// responds with [AppendApiVersionsTooNew].
func ApiVersionsTooNew(version int16) bool { return version > apis[KeyApiVersions].MaxVersion }

// AppendApiVersionsTooNew appends the response to an ApiVersions request that is
// too new: a whole frame with its size, in the layout of v0. Every client repeats
// the request in the version that the response names (KIP-511).
//
//	| size i32 | correlation id i32 | code i16 = 35 | count i32 = 1 | 18 | 0 | newest |
func AppendApiVersionsTooNew(dst []byte, correlationID int32) []byte {
	const size = 4 + 2 + 4 + 6
	dst = binary.BigEndian.AppendUint32(dst, size)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	dst = binary.BigEndian.AppendUint16(dst, unsupportedVersion)
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint16(dst, uint16(KeyApiVersions))
	dst = binary.BigEndian.AppendUint16(dst, 0)
	return binary.BigEndian.AppendUint16(dst, uint16(apis[KeyApiVersions].MaxVersion))
}
