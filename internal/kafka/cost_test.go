package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// addresses builds a response with n elements, of which distinct ones differ in their
// node id. Every host has a length of its own, and every element is padded.
func addresses(key, version int16, n, distinct, host, pad int) []byte {
	s := nodeEndpoint
	frame := binary.BigEndian.AppendUint32(nil, 1)
	zeros := func(n int) { frame = append(frame, make([]byte, n)...) }
	switch key {
	case KeyMetadata:
		s = shape{flexible: version >= 9, text: version >= 1}
		switch {
		case version >= 9:
			zeros(1 + 4)
		case version >= 3:
			zeros(4)
		}
	case KeyFindCoordinator:
		s = shape{flexible: true, key: true, code: true, text: true}
		zeros(1 + 4)
	case KeyDescribeCluster:
		s = shape{flexible: true, text: true, fenced: version >= 2}
		zeros(1 + 4 + 2 + 1)
		if version >= 1 {
			frame = append(frame, endpointBrokers)
		}
		zeros(1 + 4)
	case KeyShareAcknowledge:
		zeros(1 + 4 + 2)
		frame = append(frame, 0, 0, 0, 0, 0, 1) // message, lock timeout, topics
	case KeyProduce:
		frame = append(frame, 0, 1, 0, 0, 0, 0) // tags, topics, throttle
	}
	var element []byte
	if s.key {
		element = appendTestString(element, "", true)
	}
	node := len(element)
	element = append(element, 0, 0, 0, 0)
	element = appendTestString(element, strings.Repeat("h", host), s.flexible)
	element = append(element, 0, 0, 0, 1)
	if s.code {
		element = append(element, 0, 0)
	}
	if s.text {
		element = appendTestString(element, strings.Repeat("r", pad), s.flexible)
	}
	if s.fenced {
		element = append(element, 0)
	}
	if s.flexible {
		element = append(element, 0)
	}
	array := slices.Grow(appendCount(nil, n, s.flexible), n*len(element))
	for i := range n {
		binary.BigEndian.PutUint32(element[node:], uint32(i%distinct))
		array = append(array, element...)
	}
	if key == KeyProduce {
		frame = append(frame, 1, 0)
		frame = appendUvarint(frame, uint32(len(array)))
		return append(frame, array...)
	}
	frame = append(frame, array...)
	if s.flexible {
		frame = append(frame, 0)
	}
	return frame
}

// leastAllocated returns how many bytes f allocates, if at most bound. Otherwise it
// returns the least of three runs, because the runtime allocates too.
func leastAllocated(bound int, f func()) uint64 {
	spent := allocated(f)
	for i := 0; i < 2 && spent > uint64(bound); i++ {
		spent = min(spent, allocated(f))
	}
	return spent
}

// A rewrite allocates less than [RewriteCost], whatever the message. A message with few
// brokers costs little, however often it names them.
func TestRewriteCost(t *testing.T) {
	buf := make([]byte, 48<<10)
	for _, tc := range []struct {
		key, version           int16
		n, distinct, host, pad int
		most                   int // tighter limit than the bound; 0: not tested
		err                    error
	}{
		{KeyMetadata, 12, 3, 3, 20, 5, 1 << 10, nil},
		{KeyMetadata, 12, 100, 100, 20, 5, 16 << 10, nil},
		{KeyMetadata, 0, maxElements, maxEndpoints, 0, 0, 1 << 20, nil},
		{KeyMetadata, 0, 70_000, 1, 0, 0, 1 << 10, ErrTooLarge},
		{KeyMetadata, 0, maxElements, maxElements, 0, 0, 512 << 10, ErrTooLarge},
		{KeyMetadata, 0, 31, 31, 32767, 0, 0, nil},
		{KeyFindCoordinator, 4, 1, 1, 20, 0, 256, nil},
		{KeyFindCoordinator, 6, 60_000, 3, 20, 60, 160 << 10, nil},
		{KeyFindCoordinator, 6, maxElements, 3, 1, 60, 160 << 10, nil},
		{KeyFindCoordinator, 6, maxElements, maxEndpoints, 40, 20, 0, nil},
		{KeyFindCoordinator, 6, maxElements, maxElements, 1, 60, 512 << 10, ErrTooLarge},
		{KeyFindCoordinator, 6, maxElements + 1, 3, 1, 0, 1 << 10, ErrTooLarge},
		{KeyFindCoordinator, 6, 400, 400, 32767, 0, 1 << 20, ErrTooLarge}, // the names have too many bytes
		{KeyDescribeCluster, 2, 5000, 5000, 33, 0, 0, nil},
		{KeyProduce, 12, 5000, 5000, 9, 0, 0, nil},
		{KeyShareAcknowledge, 2, 5000, 17, 9, 0, 80 << 10, nil},
	} {
		for i, host := range []int{tc.host, 2, 9, 16, 17, 49, 65} {
			if i > 0 && tc.n > 20_000 {
				break
			}
			frame := addresses(tc.key, tc.version, tc.n, tc.distinct, host, tc.pad)
			h := info(tc.key, tc.version, frame)
			var err error
			bound := RewriteCost(tc.key, len(frame))
			if i == 0 && tc.most > 0 {
				bound = min(bound, tc.most)
			}
			spent := leastAllocated(bound, func() {
				var p Patch
				if tc.key == KeyMetadata {
					p, _, _, err = PatchHead(h, frame, MapperFunc(toLocalhost))
				} else {
					p, _, err = PatchWhole(h, frame, MapperFunc(toLocalhost))
				}
				for more := err == nil; more; {
					_, more = p.Next(buf)
				}
			})
			what := fmt.Sprintf("%s v%d, %d elements, %d distinct, hosts of %d: %d bytes, %d allocated, bound %d",
				Name(tc.key), tc.version, tc.n, tc.distinct, host, len(frame), spent, RewriteCost(tc.key, len(frame)))
			if spent > uint64(RewriteCost(tc.key, len(frame))) {
				t.Errorf("%s", what)
			}
			if i > 0 {
				continue
			}
			t.Log(what)
			if !errors.Is(err, tc.err) || tc.most > 0 && spent > uint64(tc.most) {
				t.Errorf("%s, want %d: %v", what, tc.most, err)
			}
		}
	}
}

// The same for the walker: the tail and the list of its addresses, in pieces of any
// size.
func TestWalkerCost(t *testing.T) {
	for _, key := range []int16{KeyProduce, KeyShareAcknowledge} {
		for _, n := range []int{1, 100, 3000, 5000, 1400} {
			for _, host := range []int{1, 2, 9, 30} {
				if n*(host+11) > TailBound-100 {
					continue
				}
				a, _ := Lookup(key)
				frame := addresses(key, a.MaxVersion, n, n, host, 0)
				h := info(key, a.MaxVersion, frame)
				for _, piece := range []int{len(frame), 1000} {
					var w Walker
					work := bytes.Clone(frame)
					spent := leastAllocated(WalkerCost(h.Key, int(h.FrameSize)), func() { copy(work, frame); feed(t, &w, h, work, piece) })
					if spent > uint64(WalkerCost(h.Key, int(h.FrameSize))) {
						t.Errorf("%s, %d hosts of %d in pieces of %d: %d allocated, bound %d", Name(key), n, host, piece, spent, WalkerCost(h.Key, int(h.FrameSize)))
					}
				}
			}
		}
	}
}

// An ApiVersions response that lists the same API again and again.
func TestCapsAreBounded(t *testing.T) {
	frame := append(binary.BigEndian.AppendUint32(nil, 1), 0, 0)
	frame = binary.BigEndian.AppendUint32(frame, 40_000)
	for range 40_000 {
		frame = append(frame, 0, byte(KeyMetadata), 0, 0, 0, 99)
	}
	var res Result
	var err error
	spent := allocated(func() { _, res, err = PatchWhole(info(KeyApiVersions, 0, frame), frame, nil) })
	if err != nil || len(res.Capped) != maxCaps || spent > uint64(RewriteCost(KeyApiVersions, len(frame))) {
		t.Error(err, len(res.Capped), spent)
	}
	if frame[len(frame)-1] != 13 {
		t.Error("not capped")
	}
}
