package kafka

import "math"

// A tail is the end of a response whose last fields are addresses and tags (KIP-951):
//
//	tagged   | number of tags | ... | 0 | size | endpoints | ... |    Produce, Fetch
//	plain    | endpoints | number of tags | tags |                    ShareFetch, ShareAcknowledge
//
// endpoints is an array of [nodeEndpoint]. In the tagged form it is the whole value of
// tag 0.
type tail struct {
	list *list // the endpoints; empty if there is no tag 0

	count uint32 // the number of tags
	first int    // offset of the first tag
	id    int    // tagged: offset of the id of tag 0
	size  int    // tagged: offset of its size
	last  uint32 // the highest id of a tag
}

// beforeTail returns the layout of the fields that precede the tail of a response; ok
// is false if the response has no tail.
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

// readTail reads a tail up to the end of the frame. Bytes after it are an error: the
// message would not have the layout that was assumed.
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
			c.malformed() // tag 0 twice: readers differ in which one they use
		}
		t.id, t.size = at, c.off
		end := c.length()
		end += c.off
		c.readList(t.list, nodeEndpoint)
		if c.off != end {
			c.malformed() // readers differ in how they treat the rest
		}
	}
	if c.off != c.frame {
		c.malformed()
	}
}

// newLeaders rewrites the addresses of new leaders (KIP-951) at the end of a response
// that was received whole. Unlike [fitTail] it may change the length of the response,
// so no address has to be left out.
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

// resize extends the first edit of p by the size of tag 0, which directly precedes the
// number of elements.
func (p *Patch) resize(at int) {
	l := &p.list
	array := p.size - len(p.src) + l.end - l.count
	var text [16]byte
	size := appendUvarint(text[:0], uint32(array))
	p.next = replaceText(at, l.first, append(size, p.next.text[:p.next.total]...))
	p.rewrite(p.src, 0)
}

// The layout of a Produce response from v10 on, up to its tail.
//
//	| correlation id i32 | tags | topics | throttle i32 |
//	topics:     array of | name, from v13 on id | partitions | tags |
//	partitions: array of | index i32 | code i16 | base offset, append time, log start i64
//	                     | errors | message | tags |
//	errors:     array of | record i32 | message | tags |
var (
	produceNames = response(array(compact, producePartitions, tags), fixed(4))
	produceIDs   = response(array(fixed(16), producePartitions, tags), fixed(4))

	producePartitions = array(fixed(4+2+8+8+8), array(fixed(4), compact, tags), compact, tags)
)

// The layout of a Fetch response from v16 on, up to its tail.
//
//	| correlation id i32 | tags | throttle i32 | code i16 | session i32 | topics |
//	topics:     array of | id | partitions | tags |
//	partitions: array of | index i32 | code i16 | high watermark, last stable, log start i64
//	                     | aborted | preferred replica i32 | records | tags |
//	aborted:    array of | producer i64 | first offset i64 | tags |
var fetchTopics = response(fixed(4+2+4), array(fixed(16), array(
	fixed(4+2+8+8+8), array(fixed(8+8), tags), fixed(4), compact, tags,
), tags))

// The layouts of the responses of share groups (KIP-932), up to their tails.
//
//	ShareFetch        | correlation id i32 | tags | throttle i32 | code i16 | message
//	                  | lock timeout i32 v1+ | topics |
//	  topics:         array of | id | partitions | tags |
//	  partitions:     array of | index i32 | code i16 | message | acknowledge code i16 | message
//	                           | leader | records | acquired | tags |
//	  leader:         | id i32 | epoch i32 | tags |
//	  acquired:       array of | first, last offset i64 | deliveries i16 | tags |
//
//	ShareAcknowledge  | correlation id i32 | tags | throttle i32 | code i16 | message
//	                  | lock timeout i32 v2+ | topics |
//	  topics:         array of | id | partitions | tags |
//	  partitions:     array of | index i32 | code i16 | message | leader | tags |
var (
	shareFetch0 = response(fixed(4+2), compact, shareTopics)
	shareFetch1 = response(fixed(4+2), compact, fixed(4), shareTopics)
	shareTopics = array(fixed(16), array(
		fixed(4+2), compact, fixed(2), compact,
		fixed(4+4), tags, compact, array(fixed(8+8+2), tags), tags,
	), tags)

	shareAcknowledge0 = response(fixed(4+2), compact, acknowledgeTopics)
	shareAcknowledge2 = response(fixed(4+2), compact, fixed(4), acknowledgeTopics)
	acknowledgeTopics = array(fixed(16), array(
		fixed(4+2), compact, fixed(4+4), tags, tags,
	), tags)
)

// padTag is the id of the tag that fills unused space: one byte, without a meaning in
// any version, and far from the ids that Kafka may define.
const padTag = 0x7f

// fitTail replaces the addresses of a tail in place, without changing its length,
// because the size of the frame was passed on already. b is the whole tail; see [tail]
// for its layout.
//
// slack is the number of bytes that the new addresses save:
//
//	>= 2  one more tag, 7f, with slack-2 zero bytes. Readers skip tags they do not
//	      know. It is a tag of the response, because kafka-python refuses tags in
//	      NodeEndpoints. If no size fits exactly (slack 130: one byte holds up to
//	      127, two from 128), the size is written one byte too wide.
//	1     no room for a tag: a number is written one byte too wide, the size of
//	      tag 0 or the number of tags.
//	0     there is nothing to fill.
//	< 0   the addresses are left out, and a tag of zero bytes replaces them. The
//	      client then requests metadata, as it did before KIP-951.
func fitTail(h ResponseInfo, b []byte, m Mapper) (Result, error) {
	tagged := taggedTail(h.Key)
	c := newCursor(b, 0)
	var l list
	t := tail{list: &l}
	c.readTail(&t, tagged)
	if c.err != nil {
		return Result{}, inResponse(h, c.err)
	}
	if err := l.mapAddresses(m); err != nil || l.changed() == 0 {
		return Result{}, err
	}
	res := Result{Rewritten: l.rewritten, Hidden: l.hidden}
	array := Patch{list: l, next: l.countEdit()}
	array.rewrite(b[:t.list.end], t.list.count)
	out, ok := t.fit(b, &array, tagged)
	if !ok {
		res = Result{Hidden: res.Rewritten + res.Hidden}
		if out, ok = t.fit(b, nil, tagged); !ok {
			return Result{}, inResponse(h, ErrTooLarge) // cannot happen: an address takes 12 bytes
		}
	}
	copy(b, out)
	return res, nil
}

// fit returns the tail src with another array of addresses, or without any, in the
// same length; ok is false if it does not fit.
func (t *tail) fit(src []byte, array *Patch, tagged bool) (out []byte, ok bool) {
	length := 1 // of the array; an empty one has one byte
	if array != nil {
		length = array.Len()
	}
	count := t.count
	before, after := src[t.first:t.first], src[t.first:] // the other tags
	sizeWidth := 0                                       // tag 0
	switch {
	case tagged && array == nil:
		count--
		length = 0
		before, after = src[t.first:t.id], src[t.list.end:]
	case tagged:
		sizeWidth = uvarintLen(uint32(length))
		before, after = src[t.first:t.size], src[t.list.end:]
	}
	countWidth := uvarintLen(count)
	slack := len(src) - countWidth - len(before) - sizeWidth - length - len(after)
	if slack < 0 {
		return nil, false
	}
	pad := t.pad(slack, count)
	switch {
	case slack == 0:
	case pad.width > 0:
		count++
		countWidth = uvarintLen(count)
	case sizeWidth > 0:
		sizeWidth += slack
	default:
		countWidth += slack
	}
	if sizeWidth > 5 || countWidth > 5 {
		return nil, false // no reader accepts a number that wide
	}
	out = make([]byte, 0, len(src))
	if !tagged {
		out = appendArray(out, array)
	}
	out = appendWide(out, count, countWidth)
	out = append(out, before...)
	if sizeWidth > 0 {
		out = appendWide(out, uint32(length), sizeWidth)
		out = appendArray(out, array)
	}
	out = append(out, after...)
	if pad.width > 0 {
		out = appendUvarint(out, pad.id)
		out = appendWide(out, pad.size, pad.width)
	}
	return out[:len(src)], true // the rest is zero: the value of the padding
}

// appendArray appends an array of addresses, an empty one for nil. dst has room for
// it.
func appendArray(dst []byte, array *Patch) []byte {
	if array == nil {
		return append(dst, 1)
	}
	added, _ := array.Next(dst[len(dst):])
	return dst[:len(dst)+len(added)]
}

// A padding is a tag whose value is zero bytes.
type padding struct {
	id, size uint32
	width    int // bytes of its size; 0: no tag
}

// pad returns a tag that fills slack bytes, including those by which the number of
// tags becomes longer, or none if there is no such tag. Its id is the highest of all,
// because writers sort tags.
func (t *tail) pad(slack int, count uint32) padding {
	id := max(padTag, t.last+1)
	room := slack - uvarintLen(id) - (uvarintLen(count+1) - uvarintLen(count))
	for width := 1; width <= 5; width++ {
		n := room - width
		if n >= 0 && uvarintLen(uint32(n)) <= width {
			return padding{id: id, size: uint32(n), width: width}
		}
	}
	return padding{}
}
