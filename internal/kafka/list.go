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

// A list is the addresses of one message. It keeps no copy of the elements: they
// are walked over again when the message is written.
type list struct {
	shape    shape
	count    int // offset of the number of elements
	first    int // offset of the first element
	end      int // offset after the last element
	elements int // how many the message has

	endpoints []Endpoint // the distinct ones, in the order of their first element
	index     []uint16   // the endpoint of each element, or one of the two below
	replaced  int        // bytes of all hosts and ports
	rewritten int        // elements, after mapping
	hidden    int        // elements, after mapping
}

const (
	noAddress     = math.MaxUint16     // a coordinator that was not found: nothing to replace
	noCoordinator = math.MaxUint16 - 1 // not found, and yet a host: hidden without asking
)

// The bounds of what one response may make this package allocate, see
// [RewriteCost]. A message above one of them is refused with ErrTooLarge.
const (
	maxElements  = 1 << 16
	maxEndpoints = 1 << 14 // distinct ones
	maxNames     = 1 << 20 // bytes of all their host names
)

// readList reads an array of addresses. If it is longer than a few elements,
// nothing is allocated before all of it was received and found well-formed. With
// ErrShort c.need allows for the elements to come.
func (c *cursor) readList(l *list, s shape) {
	l.shape, l.count = s, c.off
	l.elements = c.count(s.flexible)
	l.first = c.off
	if l.elements > (c.frame-c.off)/minEntry {
		c.malformed() // before anything is made of that number
	}
	if l.elements > maxElements {
		c.fail(ErrTooLarge)
	}
	if l.elements > fewEndpoints && c.err == nil {
		c.probe(l)
	}
	c.collect(l)
}

// probe reads the elements ahead and sets err if they cannot be read, so that
// nothing is allocated for those that come before the fault.
func (c *cursor) probe(l *list) {
	ahead := *c
	for i := range l.elements {
		if ahead.endpointSpan(l.shape); ahead.err != nil {
			ahead.expect(l.elements - i - 1)
			*c = ahead
			return
		}
	}
}

// expect adds some elements to what is missing, if anything is.
func (c *cursor) expect(elements int) {
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

// collect moves over the elements and finds their distinct endpoints.
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
			c.expect(l.elements - i - 1)
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

// mapAddresses gives the endpoints to m, if there are any, and counts what
// becomes of the elements.
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

// changed returns how many elements do not stay as they are.
func (l *list) changed() int { return l.rewritten + l.hidden }

// left returns how many elements remain: hidden ones are left out, hidden
// coordinators stay and become errors.
func (l *list) left() int {
	if l.shape.coordinator {
		return l.elements
	}
	return l.elements - l.hidden
}

// counted returns the edit that writes the number of elements.
func (l *list) counted() edit {
	var text [16]byte
	return replaceText(l.count, l.first, appendCount(text[:0], l.left(), l.shape.flexible))
}

// edit sets e to what becomes of an element that ends at an offset; false if it
// stays as it is.
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

// growth returns how many bytes longer the elements become.
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

// fewEndpoints is up to how many distinct endpoints are compared one by one.
const fewEndpoints = 8

// An endpointSet finds the distinct endpoints of a message. The first few are
// kept at once and compared one by one. From then on only the offset of a new one
// is kept until all are found, and a hash table finds them: two are equal if the
// bytes of node id, host and port are, which are next to each other in every
// element. The hash has a random seed, because the sender chooses the bytes.
type endpointSet struct {
	src      []byte
	flexible bool
	most     int // how many there can be
	names    int // bytes of all host names
	few      []Endpoint
	first    []int32  // offset of the node id of each endpoint; nil while there are few
	table    []uint16 // index in first, plus 1; at most half is in use
	seed     maphash.Seed
}

// add returns the index of an endpoint; ok is false if there is no room for it.
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

// addHashed is add when there are many. Indexes begin behind the few.
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

// equal compares a key with the endpoint at an offset. A key has its own length
// in it, so it is never the beginning of a longer one.
func (s *endpointSet) equal(at int32, key []byte) bool {
	other := s.src[at:]
	return len(other) >= len(key) && bytes.Equal(other[:len(key)], key)
}

// all returns the endpoints that were found, by index.
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
