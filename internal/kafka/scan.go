package kafka

import "fmt"

// A layout describes the fields that a [scan] walks over, as a small program: strings,
// record sets and unknown tags are all a number and that many bytes, arrays are loops.
type layout []op

type op struct {
	code opcode
	n    int // fixed: bytes; repeat: distance to the end; end: distance back
}

type opcode uint8

const (
	opFixed   opcode = iota // n bytes
	opNumber                // a uvarint whose value is not used
	opSized                 // a uvarint n and n bytes: the value of a tag
	opCompact               // a uvarint n and n-1 bytes, 0 for null: string, records
	opCounted               // a uvarint n and n elements: tags
	opArray                 // a uvarint n and n-1 elements, 0 for null
	opEnd                   // the end of an element
)

// maxDepth is how deep loops may be nested: topics, partitions, elements of a
// partition, their tags.
const maxDepth = 4

func join(parts ...layout) (l layout) {
	for _, p := range parts {
		l = append(l, p...)
	}
	return l
}

func loop(code opcode, element ...layout) layout {
	body := join(element...)
	n := len(body) + 1
	return join(layout{{code, n}}, body, layout{{opEnd, n}})
}

func fixed(n int) layout               { return layout{{opFixed, n}} }
func array(element ...layout) layout   { return loop(opArray, element...) }
func response(fields ...layout) layout { return join(fixed(4), tags, join(fields...)) }

var (
	compact = layout{{opCompact, 0}}
	tags    = loop(opCounted, layout{{opNumber, 0}, {opSized, 0}})
)

// A scan walks over a message by its [layout] and finds where the layout ends. The
// bytes may come in any pieces. It keeps none of them: of a field that is split it
// keeps how many bytes are missing, of a number its value so far.
type scan struct {
	layout layout
	pc     int   // the next op
	frame  int64 // bytes of the whole frame
	left   int64 // bytes of the frame after the current field
	skip   int64 // bytes of the current field that were not fed yet
	value  uint32
	shift  uint8 // how many bits of value are known
	depth  uint8
	loops  [maxDepth]uint32 // elements that are left, including the current one
}

func (s *scan) reset(l layout, frame int64) {
	*s = scan{layout: l, frame: frame, left: frame}
}

// done reports whether all fields of the layout were walked over.
func (s *scan) done() bool { return s.skip == 0 && s.pc == len(s.layout) }

// feed walks over p and returns how many of its bytes belong to the layout: all, or
// fewer if the layout ends in p.
func (s *scan) feed(p []byte) (n int, err error) {
	for {
		if s.skip > 0 {
			k := min(s.skip, int64(len(p)-n))
			n += int(k)
			if s.skip -= k; s.skip > 0 {
				return n, nil
			}
		}
		if s.pc == len(s.layout) {
			return n, nil
		}
		switch o := s.layout[s.pc]; o.code {
		case opFixed:
			err = s.skipNext(int64(o.n))
		case opEnd:
			if s.loops[s.depth-1]--; s.loops[s.depth-1] > 0 {
				s.pc -= o.n
			} else {
				s.depth--
			}
		default:
			var v uint32
			var ok bool
			if v, n, ok, err = s.number(p, n); !ok {
				return n, err
			}
			err = s.start(o, v)
		}
		if err != nil {
			return n, err
		}
		s.pc++
	}
}

// start executes an op that starts with the number v.
func (s *scan) start(o op, v uint32) error {
	switch o.code {
	case opSized:
		return s.skipNext(int64(v))
	case opCompact:
		return s.skipNext(max(int64(v)-1, 0))
	case opArray:
		v = max(v, 1) - 1
	case opNumber:
		return nil
	}
	if int64(v) > s.left { // an element has at least one byte
		return s.malformed()
	}
	if v == 0 {
		s.pc += o.n
		return nil
	}
	s.loops[s.depth] = v
	s.depth++
	return nil
}

// skipNext makes the next n bytes the current field.
func (s *scan) skipNext(n int64) error {
	if n > s.left {
		return s.malformed()
	}
	s.left -= n
	s.skip = n
	return nil
}

// number continues a uvarint; ok is false if it is not complete.
func (s *scan) number(p []byte, n int) (v uint32, next int, ok bool, err error) {
	for ; n < len(p); n++ {
		b := p[n]
		if s.left == 0 || s.shift == 28 && b > 0x0f {
			return 0, n, false, s.malformed()
		}
		s.left--
		s.value |= uint32(b&0x7f) << s.shift
		if b < 0x80 {
			v, s.value, s.shift = s.value, 0, 0
			return v, n + 1, true, nil
		}
		s.shift += 7
	}
	if s.left == 0 {
		return 0, n, false, s.malformed()
	}
	return 0, n, false, nil
}

func (s *scan) malformed() error {
	return fmt.Errorf("%w near byte %d of %d", ErrMalformed, s.frame-s.left, s.frame)
}
