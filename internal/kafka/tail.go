package kafka

import "math"

// A tail is the end of a response whose last fields are addresses and tags:
//
//	tagged   | number of tags | ... | 0 | size | endpoints | ... |    Produce, Fetch
//	plain    | endpoints | number of tags | tags |                    ShareFetch, ShareAcknowledge
//
// endpoints is an array of nodeEndpoint. It is the whole value of tag 0.
type tail struct {
	list *list // empty when there is no tag 0

	count uint32 // the number of tags
	first int    // offset of the first tag
	id    int    // tagged: offset of the id of tag 0
	size  int    // tagged: offset of its size
	last  uint32 // the highest id of a tag
}

// beforeTail returns the layout of what precedes the tail of a response; ok is
// false if it has none.
func beforeTail(key, version int16) (l layout, ok bool) {
	if a, known := Lookup(key); !known || version < a.Since || version > a.MaxVersion {
		return nil, false
	}
	switch key {
	case KeyProduce:
		if version >= 13 {
			return produceIDs, true
		}
		return produceNames, true
	case KeyFetch:
		return fetchTopics, true
	case KeyShareFetch:
		if version >= 1 {
			return shareFetch1, true
		}
		return shareFetch0, true
	case KeyShareAcknowledge:
		if version >= 2 {
			return shareAcknowledge2, true
		}
		return shareAcknowledge0, true
	}
	return nil, false
}

// taggedTail reports which of the two forms a tail has.
func taggedTail(key int16) bool { return key == KeyProduce || key == KeyFetch }

// readTail reads a tail up to the end of the frame. Bytes after it are an error:
// they would mean that the message is not what it was taken for.
func (c *cursor) readTail(t *tail, tagged bool) {
	if !tagged {
		c.readList(t.list, nodeEndpoint)
	}
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
		c.readList(t.list, nodeEndpoint)
		if c.off != end {
			c.malformed() // readers differ in what they make of the rest
		}
	}
	if c.off != c.frame {
		c.malformed()
	}
}

// newLeaders rewrites the addresses of new leaders (KIP-951) at the end of a
// response that was received whole. Its length may change, which makes this
// simpler than [fitTail] and leaves no address out for want of room.
func (p *Patch) newLeaders(h ResponseInfo, frame []byte, m Mapper) error {
	l, ok := beforeTail(h.Key, h.Version)
	if !ok {
		return inResponse(h, ErrUnsupported)
	}
	var s scan
	s.reset(l, int64(len(frame)))
	at, err := s.feed(frame)
	if err != nil {
		return inResponse(h, err)
	}
	c := newCursor(frame, at)
	t := tail{list: &p.list}
	c.readTail(&t, taggedTail(h.Key))
	if c.err != nil {
		return inResponse(h, c.err)
	}
	if err = p.mapAddresses(frame, m); err == nil && !p.inPlace && taggedTail(h.Key) {
		p.resize(t.size)
	}
	return err
}

// resize makes the first edit of p write the size of tag 0 too, which is at an
// offset just before the number of elements.
func (p *Patch) resize(at int) {
	l := &p.list
	array := p.size - len(p.src) + l.end - l.count
	var text [16]byte
	size := appendUvarint(text[:0], uint32(array))
	p.next = replaceText(at, l.first, append(size, p.next.text[:p.next.total]...))
	p.rewrite(p.src, 0)
}
