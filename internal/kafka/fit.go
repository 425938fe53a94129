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
//	      know. It is at the top, because kafka-python refuses tags inside
//	      NodeEndpoints. Where no size of that length exists (slack 130: one byte
//	      holds up to 127, two from 128), its size is written one byte too wide.
//	1     no room for a tag: a number is written one byte too wide, the size of
//	      tag 0 or the number of tags.
//	0     nothing to fill.
//	< 0   the addresses are left out, and a tag of zero bytes takes their place.
//	      The client then asks for metadata, as it did before KIP-951.
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
	array := Patch{list: l, next: l.counted()}
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

// fit returns the tail of src with another array of addresses, or without any,
// at the length of the old one; ok is false if there is no room.
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
		return nil, false // no reader takes a number that wide
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

// appendArray appends an array of addresses, an empty one if there is none. dst
// has room for it.
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

// pad returns a tag that is slack bytes long, less what the greater number of
// tags takes, or none if no tag can be. Its id is the highest of all, because
// writers sort tags.
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
