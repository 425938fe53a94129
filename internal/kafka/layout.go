package kafka

// A layout describes the fields that a [scan] has to walk over, as a little
// program: strings, record sets and tags with unknown content are all "a number
// and so many bytes", arrays are loops.
type layout []op

type op struct {
	code opcode
	n    int // fixed: bytes; repeat: distance to the end; end: distance back
}

type opcode uint8

const (
	opFixed   opcode = iota // n bytes
	opNumber                // a uvarint that does not matter
	opSized                 // a uvarint and so many bytes: the value of a tag
	opCompact               // a uvarint and one byte less, or 0 for null: string, records
	opCounted               // a uvarint and so many elements: tags
	opArray                 // a uvarint and one element less, or 0 for null
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
