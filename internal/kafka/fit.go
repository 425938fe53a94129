package kafka

// padTag is the id of the tag that fills space left over: one byte, no meaning
// in any version, far from those that Kafka may define.
const padTag = 0x7f

// fitTail replaces the addresses of a tail in place, without changing its
// length, because the size of the frame has been passed on long ago. See [tail]
// for the layout; b is all of it.
//
// Let slack be the bytes that the new addresses save.
//
//	>= 2  one more tag, 7f, with slack-2 zero bytes. Readers skip tags they do not
//	      know. It stands at the top, because kafka-python refuses tags inside
//	      NodeEndpoints. Where no size of that length exists (slack 130: one byte
//	      says up to 127, two from 128), its size is written one byte too wide.
//	1     no room for a tag: a number is written one byte too wide, the size of
//	      tag 0 or the number of tags.
//	0     nothing to fill.
//	< 0   the addresses are left out, and a tag of zero bytes takes their place.
//	      The client then asks for metadata, as it did before KIP-951.
func fitTail(h ResponseInfo, b []byte, m Mapper) (Result, error) {
	tagged := h.Key == KeyFetch
	c := over(b, 0)
	t := c.readTail(tagged)
	if c.err != nil {
		return Result{}, inResponse(h, c.err)
	}
	res, err := t.list.ask(m)
	if err != nil || !res.Changed() {
		return res, err
	}
	out, ok := t.fit(b, tagged, false)
	if !ok {
		res = Result{Hidden: res.Rewritten + res.Hidden}
		if out, ok = t.fit(b, tagged, true); !ok {
			return Result{}, inResponse(h, ErrTooLarge) // cannot happen: an address takes 12 bytes
		}
	}
	copy(b, out)
	return res, nil
}

// fit returns the tail of src with its new addresses, or with none, at the
// length of the old one; ok is false if there is no room.
func (t *tail) fit(src []byte, tagged, without bool) (out []byte, ok bool) {
	var array []byte // what stands before the number of tags
	var value []byte // the value of tag 0
	count := t.count
	before, after := src[t.first:t.first], src[t.first:] // the other tags
	switch {
	case without && tagged:
		count--
		before, after = src[t.first:t.id], src[t.list.end:]
	case without:
		array = []byte{1} // empty
	case tagged:
		value = t.list.append(nil, src)
		before, after = src[t.first:t.size], src[t.list.end:]
	default:
		array = t.list.append(nil, src)
	}
	sizeWidth := 0
	if value != nil {
		sizeWidth = uvarintLen(uint32(len(value)))
	}
	countWidth := uvarintLen(count)
	slack := len(src) - len(array) - countWidth - len(before) - sizeWidth - len(value) - len(after)
	if slack < 0 {
		return nil, false
	}
	pad := t.pad(slack, count)
	switch {
	case slack == 0:
	case pad != nil:
		count++
		countWidth = uvarintLen(count)
	case sizeWidth > 0:
		sizeWidth += slack
	default:
		countWidth += slack
	}
	if sizeWidth > 5 || countWidth > 5 {
		return nil, false // no reader takes a number that wide
	}
	out = append(make([]byte, 0, len(src)), array...)
	out = appendWide(out, count, countWidth)
	out = append(out, before...)
	if value != nil {
		out = appendWide(out, uint32(len(value)), sizeWidth)
		out = append(out, value...)
	}
	out = append(out, after...)
	return append(out, pad...), true
}

// pad returns a tag that is slack bytes long, less what the greater number of
// tags takes, or nil if no tag can be. Its id is the highest of all, because
// writers sort tags.
func (t *tail) pad(slack int, count uint32) []byte {
	id := max(padTag, t.last+1)
	room := slack - uvarintLen(id) - (uvarintLen(count+1) - uvarintLen(count))
	for width := 1; width <= 5; width++ {
		n := room - width
		if n >= 0 && uvarintLen(uint32(n)) <= width {
			b := appendUvarint(make([]byte, 0, slack), id)
			b = appendWide(b, uint32(n), width)
			return append(b, make([]byte, n)...)
		}
	}
	return nil
}
