package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
)

// A list holds the addresses of one message. It keeps no copy of the elements: the
// walk over them is repeated when the message is written.
type list struct {
	shape    shape
	count    int // offset of the number of elements
	first    int // offset of the first element
	end      int // offset after the last element
	elements int // number of elements

	endpoints []Endpoint // the distinct ones, in the order of their first element
	index     []uint16   // the endpoint of each element, or one of the two below
	replaced  int        // bytes of all hosts and ports
	rewritten int        // elements, after mapping
	hidden    int        // elements, after mapping
}

const (
	noAddress     = math.MaxUint16     // a coordinator that was not found: nothing to replace
	noCoordinator = math.MaxUint16 - 1 // node id -1, but with a host: hidden, the Mapper is not called
)

// The bounds of what this package allocates for one response, see [RewriteCost]. A
// message that exceeds one of them is refused with ErrTooLarge.
const (
	maxElements  = 1 << 16
	maxEndpoints = 1 << 14 // distinct ones
	maxNames     = 1 << 20 // bytes of all their host names
)

// readList reads an array of addresses. If it has more than a few elements, nothing
// is allocated before all of it was received and is well-formed. With ErrShort c.need
// includes the elements that were not received.
func (c *cursor) readList(l *list, s shape) {
	l.shape, l.count = s, c.off
	l.elements = c.count(s.flexible)
	l.first = c.off
	if l.elements > (c.frame-c.off)/minEntry {
		c.malformed() // before the number is used
	}
	if l.elements > maxElements {
		c.fail(ErrTooLarge)
	}
	if l.elements > fewEndpoints && c.err == nil {
		c.checkAhead(l)
	}
	c.collect(l)
}

// checkAhead reads the elements without moving c and sets err if one cannot be read,
// so that nothing is allocated for those before it.
func (c *cursor) checkAhead(l *list) {
	ahead := *c
	for i := range l.elements {
		if ahead.endpointSpan(l.shape); ahead.err != nil {
			ahead.needElements(l.elements - i - 1)
			*c = ahead
			return
		}
	}
}

// needElements adds elements to the bytes that c needs, if it needs any.
func (c *cursor) needElements(elements int) {
	if !errors.Is(c.err, ErrShort) {
		return
	}
	switch c.need += elements * minEntry; {
	case c.need > c.frame:
		c.err = nil
		c.malformed()
	case c.need > c.bound:
		c.err = ErrTooLarge
	}
}

// collect moves over the elements and collects their distinct endpoints.
func (c *cursor) collect(l *list) {
	if c.err != nil || l.elements == 0 {
		l.end = c.off
		return
	}
	l.index = make([]uint16, l.elements)
	found := endpointSet{src: c.b, flexible: l.shape.flexible, most: min(l.elements, maxEndpoints)}
	for i := range l.index {
		e := c.endpointSpan(l.shape)
		if c.err != nil {
			c.needElements(l.elements - i - 1)
			return
		}
		node, name := int32(binary.BigEndian.Uint32(c.b[e.node:])), c.b[e.name:e.port]
		switch {
		case l.shape.coordinator && len(name) == 0:
			l.index[i] = noAddress
		case l.shape.coordinator && node < 0:
			l.index[i] = noCoordinator
		default:
			k, ok := found.add(e, node, name)
			if !ok {
				c.fail(ErrTooLarge)
				return
			}
			l.index[i] = k
			l.replaced += e.end() - e.node - 4
		}
	}
	l.end = c.off
	l.endpoints = found.all()
}

// mapAddresses passes the endpoints to m, if there are any, and counts the elements
// that are rewritten and hidden.
func (l *list) mapAddresses(m Mapper) error {
	if len(l.endpoints) > 0 {
		if err := m.Map(l.endpoints); err != nil {
			return err
		}
	}
	for i := range l.endpoints {
		if e := &l.endpoints[i]; !e.Hidden && len(e.Host) > math.MaxInt16 {
			return fmt.Errorf("local host name of %d bytes for node %d", len(e.Host), e.NodeID)
		}
	}
	for _, k := range l.index {
		switch {
		case k == noAddress:
		case k == noCoordinator || l.endpoints[k].Hidden:
			l.hidden++
		default:
			l.rewritten++
		}
	}
	return nil
}

// changed returns the number of elements that change.
func (l *list) changed() int { return l.rewritten + l.hidden }

// remaining returns the number of elements after the rewrite: hidden ones are left
// out, hidden coordinators become errors.
func (l *list) remaining() int {
	if l.shape.coordinator {
		return l.elements
	}
	return l.elements - l.hidden
}

// countEdit returns the edit that writes the number of elements.
func (l *list) countEdit() edit {
	var text [16]byte
	return replaceText(l.count, l.first, appendCount(text[:0], l.remaining(), l.shape.flexible))
}

// edit sets e to the edit of an element that ends at an offset. It returns false if
// the element does not change.
func (l *list) edit(e *edit, element int, at endpointSpan, end int, src []byte) bool {
	k := l.index[element]
	switch {
	case k == noAddress:
		return false
	case k != noCoordinator && !l.endpoints[k].Hidden:
		to := &l.endpoints[k]
		e.replaceAddress(at, l.shape, to.Host, to.Port)
	case l.shape.coordinator:
		*e = hideCoordinator(at, l.shape, src)
	default:
		*e = edit{from: at.start, to: end}
	}
	return true
}

// growth returns by how many bytes the elements become longer.
func (l *list) growth(src []byte) (n int) {
	if l.hidden == 0 {
		for _, k := range l.index {
			if k != noAddress {
				n += l.shape.addressLen(len(l.endpoints[k].Host))
			}
		}
		return n - l.replaced
	}
	var e edit
	c := newCursor(src, l.first)
	for i := range l.index {
		if at := c.endpointSpan(l.shape); l.edit(&e, i, at, c.off, src) {
			n += e.growth()
		}
	}
	return n
}

// fewEndpoints is the number of distinct endpoints up to which they are compared one
// by one.
const fewEndpoints = 8

// An endpointSet collects the distinct endpoints of a message. The first few are
// decoded at once and compared one by one. Of all others only the offset is kept, in
// a hash table, until the message was walked over. Two of them are equal if the bytes
// of node id, host and port are, which are adjacent in every element. The hash has a
// random seed, because the sender chooses the bytes.
type endpointSet struct {
	src      []byte
	flexible bool
	most     int // the largest number of endpoints
	names    int // bytes of all host names
	few      []Endpoint
	first    []int32  // offset of the node id of each endpoint; nil while there are few
	table    []uint16 // index in first, plus 1; at most half is in use
	seed     maphash.Seed
}

// add returns the index of an endpoint; ok is false if the set is full.
func (s *endpointSet) add(at endpointSpan, node int32, name []byte) (k uint16, ok bool) {
	for k := range s.few {
		if e := &s.few[k]; e.NodeID == node && e.Host == string(name) && e.Port == s.port(at) {
			return uint16(k), true
		}
	}
	if len(s.few) == fewEndpoints {
		return s.addHashed(at)
	}
	if s.names += len(name); s.names > maxNames {
		return 0, false
	}
	if s.few == nil {
		s.few = make([]Endpoint, 0, min(s.most, fewEndpoints))
	}
	s.few = append(s.few, Endpoint{NodeID: node, Host: string(name), Port: s.port(at)})
	return uint16(len(s.few) - 1), true
}

func (s *endpointSet) port(at endpointSpan) int32 {
	return int32(binary.BigEndian.Uint32(s.src[at.port:]))
}

// addHashed is add for all but the first few. Their indexes follow those of the few.
func (s *endpointSet) addHashed(at endpointSpan) (k uint16, ok bool) {
	if s.table == nil {
		s.seed = maphash.MakeSeed()
		s.table = make([]uint16, 1<<bits.Len(uint(2*s.most-1)))
		s.first = make([]int32, 0, s.most-fewEndpoints)
	}
	key := s.src[at.node:at.end()]
	mask := len(s.table) - 1
	slot := int(maphash.Bytes(s.seed, key)) & mask
	for ; s.table[slot] > 0; slot = (slot + 1) & mask {
		if k := s.table[slot] - 1; s.equal(s.first[k], key) {
			return fewEndpoints + k, true
		}
	}
	s.names += at.port - at.name
	if len(s.first) == maxEndpoints-fewEndpoints || s.names > maxNames {
		return 0, false
	}
	s.first = append(s.first, int32(at.node))
	s.table[slot] = uint16(len(s.first))
	return fewEndpoints + s.table[slot] - 1, true
}

// equal compares a key with the endpoint at an offset. A key includes the length of
// its host, so it is never a prefix of a longer key.
func (s *endpointSet) equal(at int32, key []byte) bool {
	other := s.src[at:]
	return len(other) >= len(key) && bytes.Equal(other[:len(key)], key)
}

// all returns the endpoints, by index.
func (s *endpointSet) all() []Endpoint {
	if len(s.first) == 0 {
		return s.few
	}
	out := append(make([]Endpoint, 0, len(s.few)+len(s.first)), s.few...)
	c := newCursor(s.src, 0)
	for _, at := range s.first {
		c.off = int(at)
		node, name := c.int32(), c.string(s.flexible)
		out = append(out, Endpoint{NodeID: node, Host: string(name), Port: c.int32()})
	}
	return out
}
