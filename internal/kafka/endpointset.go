package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

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
