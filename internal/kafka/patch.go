package kafka

import "encoding/binary"

// A Patch is a rewritten message that has not been assembled: the original bytes,
// and edits that replace some of them. So a message is never held twice.
//
//	| original | new | original | new | original |
//	           edit             edit
//
// The edits are not kept either: they are made one by one from the list of addresses,
// in a second walk over its elements. A Patch refers to the original bytes, which must
// not change before all of it was written. It must not be copied after the first call
// of Next.
type Patch struct {
	src     []byte
	size    int  // of the message
	inPlace bool // the message is src
	capped  []Cap
	list    list
	walk    cursor // before the element that follows next
	walked  int    // elements before that one
	at      int    // offset in src: all before it was written or replaced
	next    edit   // the next edit; the last one is at the end of src and writes nothing
	rest    []byte // the part of an edit for which there was no room
	left    int    // bytes of the message that were not written yet
}

// setInPlace makes p a message that needs no edit.
func (p *Patch) setInPlace(src []byte) {
	n := len(src)
	p.src, p.size, p.left, p.inPlace = src, n, n, true
	p.next.from, p.next.to, p.list.index = n, n, nil
}

// rewrite makes p the message src[from:] with the addresses of p.list, which have
// been mapped. The first edit, p.next, precedes the elements.
func (p *Patch) rewrite(src []byte, from int) {
	p.src, p.at, p.walk = src, from, newCursor(src, p.list.first)
	p.size = len(src) - from + p.next.growth() + p.list.growth(src)
	p.left = p.size
}

// mapAddresses maps the addresses of p.list and makes p the message with the new
// ones.
func (p *Patch) mapAddresses(src []byte, m Mapper) error {
	err := p.list.mapAddresses(m)
	switch {
	case err != nil:
		return err
	case p.list.changed() == 0:
		p.setInPlace(src)
	default:
		p.next = p.list.countEdit()
		p.rewrite(src, 0)
	}
	return nil
}

// result counts what became of the addresses.
func (p *Patch) result() Result {
	return Result{Rewritten: p.list.rewritten, Hidden: p.list.hidden, Capped: p.capped}
}

// Len returns the length of the message.
func (p *Patch) Len() int { return p.size }

// InPlace reports whether the message is the first [Patch.Len] bytes of the original:
// it has no address, or it is an ApiVersions response, which is capped in place. Then
// Next need not be called.
func (p *Patch) InPlace() bool { return p.inPlace }

// Next writes the next bytes of the message to buf, as many as its capacity allows,
// which should be 1 KiB at least; the length of buf does not matter. It returns them,
// and whether there are more. buf must not overlap with the original.
func (p *Patch) Next(buf []byte) (out []byte, more bool) {
	out = buf[:0]
	for len(out) < cap(out) && p.left > len(out) {
		if len(p.rest) > 0 {
			n := min(len(p.rest), cap(out)-len(out))
			out, p.rest = append(out, p.rest[:n]...), p.rest[n:]
			continue
		}
		n := min(p.next.from-p.at, cap(out)-len(out))
		out = append(out, p.src[p.at:p.at+n]...)
		if p.at += n; p.at < p.next.from {
			break
		}
		if p.next.len() <= cap(out)-len(out) {
			out = p.next.append(out)
		} else {
			p.rest = p.next.append(p.rest[:0])
		}
		p.advance()
	}
	p.left -= len(out)
	return out, p.left > 0
}

// advance moves on to the next edit.
func (p *Patch) advance() {
	p.at = p.next.to
	for p.walked < len(p.list.index) {
		at := p.walk.endpointSpan(p.list.shape)
		p.walked++
		if p.list.edit(&p.next, p.walked-1, at, p.walk.off, p.src) {
			return
		}
	}
	p.next = edit{from: len(p.src), to: len(p.src)}
}

// An edit replaces src[from:to] by the first part of text, the host, and the second
// part of text. Any of the three may be empty.
type edit struct {
	from, to     int
	first, total uint8 // lengths of the first part, and of both
	text         [16]byte
	host         string
}

// replaceAddress sets e to the edit that writes another host and port.
func (e *edit) replaceAddress(at endpointSpan, s shape, host string, port int32) {
	e.from, e.to, e.host = at.node+4, at.end(), host
	text := appendLength(e.text[:0], len(host), s.flexible)
	e.first = uint8(len(text))
	e.total = uint8(len(binary.BigEndian.AppendUint32(text, uint32(port))))
}

// addressLen returns the encoded length of a host of n bytes and a port.
func (s shape) addressLen(n int) int {
	if s.flexible {
		return uvarintLen(uint32(n+1)) + n + 4
	}
	return 2 + n + 4
}

// replaceText returns the edit that writes a few bytes.
func replaceText(from, to int, text []byte) (e edit) {
	e.from, e.to = from, to
	e.total = uint8(copy(e.text[:], text))
	return e
}

// len returns the number of bytes that e writes.
func (e *edit) len() int { return len(e.host) + int(e.total) }

// growth returns by how many bytes the message becomes longer.
func (e *edit) growth() int { return e.len() - (e.to - e.from) }

// append appends the bytes that e writes.
func (e *edit) append(dst []byte) []byte {
	dst = append(dst, e.text[:e.first]...)
	dst = append(dst, e.host...)
	return append(dst, e.text[e.first:e.total]...)
}
