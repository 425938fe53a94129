package kafka

import "encoding/binary"

// unsupportedVersion is the error of an ApiVersions answer in the layout of v0,
// whatever was asked for.
const unsupportedVersion = 35

// capVersions lowers the newest versions of the APIs that are rewritten to those
// that can be, in place, and removes those that cannot be served at all. All
// other entries, their order and the feature tags stay: feature levels promise
// versions of APIs that are not rewritten, and unknown APIs are the broker's
// affair.
//
//	| correlation id i32 | code i16 | entries | throttle i32 v1+ | tags v3+ |
//	entries: array of | key i16 | oldest i16 | newest i16 | tags v3+ |
//
// The response header has no tags in any version, so that a client that does not
// know the broker can read it.
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
	// Moves what stays towards the front; it never overtakes what is read.
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

// capEntry moves over one entry and lowers its newest version to what is
// served; false when nothing of it is. What it does is appended to caps.
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
		note(caps, Cap{key, newest, -1})
		return false
	case newest > a.MaxVersion:
		note(caps, Cap{key, newest, a.MaxVersion})
		binary.BigEndian.PutUint16(c.b[at:], uint16(a.MaxVersion))
	}
	return true
}

// maxCaps is how many caps are noted: twice as many as there are APIs to cap. An
// array that lists them again and again is not worth more memory.
const maxCaps = 16

func note(caps *[]Cap, one Cap) {
	if caps != nil && len(*caps) < maxCaps {
		*caps = append(*caps, one)
	}
}

// ApiVersionsTooNew reports whether an ApiVersions request is newer than known.
// It is not passed on, because its answer could not be capped, but answered with
// [AppendApiVersionsTooNew].
func ApiVersionsTooNew(version int16) bool { return version > apis[KeyApiVersions].MaxVersion }

// AppendApiVersionsTooNew appends the answer to an ApiVersions request that is
// too new: a whole frame with its size, in the layout of v0. Every client asks
// again with the version it names (KIP-511).
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
