package kafka

import "math"

// A tail is the end of a response whose last fields are addresses and tags:
//
//	tagged   | number of tags | ... | 0 | size | endpoints | ... |    Produce, Fetch
//	plain    | endpoints | number of tags | tags |                    ShareFetch, ShareAcknowledge
//
// endpoints is an array of nodeEndpoint. It is the whole value of tag 0.
type tail struct {
	list list // empty when there is no tag 0

	tags  int    // offset of the number of tags
	count uint32 // the number of tags
	first int    // offset of the first tag
	id    int    // tagged: offset of the id of tag 0
	size  int    // tagged: offset of its size
	last  uint32 // the highest id of a tag
}

// readTail reads a tail up to the end of the frame. Bytes after it are an error:
// they would mean that the message is not what it was taken for.
func (c *cursor) readTail(tagged bool) (t tail) {
	if !tagged {
		t.list = c.readList(nodeEndpoint)
	}
	t.tags = c.off
	t.count = c.uvarint()
	t.first = c.off
	for n := t.count; n > 0 && c.err == nil; n-- {
		at := c.off
		id := c.uvarint()
		t.last = max(t.last, id)
		if id > math.MaxInt32 {
			c.malformed()
		}
		if id != 0 || !tagged {
			c.skip(c.length())
			continue
		}
		if t.size > 0 {
			c.malformed() // twice: readers differ in which one they take
		}
		t.id, t.size = at, c.off
		end := c.length()
		end += c.off
		t.list = c.readList(nodeEndpoint)
		if c.off != end {
			c.malformed() // readers differ in what they make of the rest
		}
	}
	if c.off != c.frame {
		c.malformed()
	}
	return t
}
