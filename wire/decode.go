package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// A DecodeError is one at a byte of a body.
type DecodeError struct {
	Path   string // topics[2].partitions[0].index; empty: the whole
	Offset int    // in the body; in the frame, if it is one that was read
	Err    error
}

// Error returns all of it.
func (e *DecodeError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("at byte %d: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("at byte %d, %s: %v", e.Offset, e.Path, e.Err)
}

// Unwrap returns what is wrong.
func (e *DecodeError) Unwrap() error { return e.Err }

// Errors of bodies.
var (
	ErrShort    = errors.New("the message ends too early")
	ErrLeftOver = errors.New("bytes stand behind the message")
	ErrLength   = errors.New("a length that cannot be")
)

// Decode reads a body. Unlike kmsg's own ReadFrom it says where something is wrong, wants
// nothing to be left over, and takes no more memory and time than the bytes are worth. With
// a [*DecodeError] the message holds what stands before the byte.
//
//	field | field | ... | number of tagged fields | tag | length | field | ...
//
// The tagged fields are there with a flexible version only. Lengths of strings, bytes and
// arrays are int16, int32 and int32, -1 for null; with a flexible version unsigned varints of
// the length and one, 0 for null (KIP-482).
func (c *Codec) Decode(d Direction, key, version int16, body []byte) (Message, error) {
	m, err := New(d, key, version)
	if err != nil {
		return nil, err
	}
	return m, c.into(m, d, body)
}

// into reads a body into a message that holds its defaults.
func (c *Codec) into(m Message, d Direction, body []byte) error {
	fields, err := c.Fields(d, m.Key(), m.GetVersion())
	if err != nil {
		return err
	}
	r := decoder{b: body, flexible: m.IsFlexible(), share: c.Share, memory: c.budget()}
	r.object("", fields, reflect.ValueOf(m).Elem())
	r.end("")
	return r.err
}

// A decoder reads from the front of b until something is wrong.
type decoder struct {
	b        []byte
	at       int // of b[0] in the body
	flexible bool
	share    bool
	memory   *budget
	err      error
}

func (r *decoder) fail(path string, err error) {
	if r.err == nil {
		r.err, r.b = &DecodeError{path, r.at, err}, nil
	}
}

func (r *decoder) take(path string, n int) []byte {
	if n > len(r.b) {
		r.fail(path, ErrShort)
		return nil
	}
	taken := r.b[:n:n]
	r.b, r.at = r.b[n:], r.at+n
	return taken
}

// end wants nothing to be left.
func (r *decoder) end(path string) {
	if r.err == nil && len(r.b) > 0 {
		r.fail(path, fmt.Errorf("%w: %d", ErrLeftOver, len(r.b)))
	}
}

func (r *decoder) object(path string, fields []Field, v reflect.Value) {
	for _, f := range fields {
		if !f.Tagged {
			r.value(join(path, f.Name), f, f.Type, v.Field(f.index))
		}
	}
	if r.flexible {
		r.tagged(path, fields, v)
	}
}

func (r *decoder) tagged(path string, fields []Field, v reflect.Value) {
	for n := r.uvarint(path); n > 0 && r.err == nil; n-- {
		tag, length := r.uvarint(path), r.uvarint(path)
		if length > uint64(len(r.b)) {
			r.fail(join(path, unknownTags), ErrShort)
			return
		}
		one := decoder{at: r.at, flexible: true, share: r.share, memory: r.memory}
		one.b = r.take(path, int(length))
		known := false
		for _, f := range fields {
			if f.Tagged && uint64(f.Tag) == tag {
				known = true
				one.value(join(path, f.Name), f, f.Type, v.Field(f.index))
				one.end(join(path, f.Name))
			}
		}
		if !known && tag <= math.MaxUint32 {
			if err := r.memory.take(tagSize); err != nil {
				r.fail(join(path, unknownTags), err)
				return
			}
			tagsOf(v).Set(uint32(tag), append([]byte{}, one.b...))
		}
		if r.err == nil && one.err != nil {
			r.err, r.b = one.err, nil
		}
	}
}

func (r *decoder) uvarint(path string) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(path, ErrShort)
		return 0
	}
	r.b, r.at = r.b[n:], r.at+n
	return v
}

// length reads that of a string, of bytes or of an array, whose size is that of the length
// itself where the version is not flexible. No element is shorter than a byte.
func (r *decoder) length(path string, size int) (n int, null bool) {
	var length int64
	switch {
	case r.flexible:
		length = int64(min(r.uvarint(path), math.MaxInt64)) - 1
	case size == 2:
		if b := r.take(path, 2); b != nil {
			length = int64(int16(binary.BigEndian.Uint16(b)))
		}
	default:
		if b := r.take(path, 4); b != nil {
			length = int64(int32(binary.BigEndian.Uint32(b)))
		}
	}
	switch {
	case r.err != nil:
		return 0, false
	case length == -1:
		return 0, true
	case length < 0:
		r.fail(path, fmt.Errorf("%w: %d", ErrLength, length))
	case length > int64(len(r.b)):
		r.fail(path, fmt.Errorf("%w: %d, and %d bytes are left", ErrShort, length, len(r.b)))
	default:
		return int(length), false
	}
	return 0, false
}

func (r *decoder) value(path string, f Field, kind string, v reflect.Value) {
	switch kind {
	case "bool":
		if b := r.take(path, 1); b != nil {
			v.SetBool(b[0] != 0)
		}
	case "int8":
		if b := r.take(path, 1); b != nil {
			v.SetInt(int64(int8(b[0])))
		}
	case "int16":
		if b := r.take(path, 2); b != nil {
			v.SetInt(int64(int16(binary.BigEndian.Uint16(b))))
		}
	case "uint16":
		if b := r.take(path, 2); b != nil {
			v.SetUint(uint64(binary.BigEndian.Uint16(b)))
		}
	case "int32":
		if b := r.take(path, 4); b != nil {
			v.SetInt(int64(int32(binary.BigEndian.Uint32(b))))
		}
	case "uint32":
		if b := r.take(path, 4); b != nil {
			v.SetUint(uint64(binary.BigEndian.Uint32(b)))
		}
	case "int64":
		if b := r.take(path, 8); b != nil {
			v.SetInt(int64(binary.BigEndian.Uint64(b)))
		}
	case "float64":
		if b := r.take(path, 8); b != nil {
			v.SetFloat(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
	case "uuid":
		if b := r.take(path, 16); b != nil {
			reflect.Copy(v, reflect.ValueOf(b))
		}
	case "string":
		r.text(path, v)
	case "bytes", "records":
		if n, null := r.length(path, 4); null {
			v.SetZero()
		} else if b := r.take(path, n); r.err == nil {
			if !r.share {
				b = append([]byte{}, b...)
			}
			v.SetBytes(b)
		}
	case "struct":
		if v.Kind() == reflect.Pointer {
			present := r.take(path, 1)
			if len(present) == 0 || int8(present[0]) < 0 {
				v.SetZero()
				return
			}
			v.Set(fresh(v.Type().Elem()).Addr())
			v = v.Elem()
		}
		r.object(path, f.Fields, v)
	default:
		r.array(path, f, strings.TrimPrefix(kind, "[]"), v)
	}
}

func (r *decoder) text(path string, v reflect.Value) {
	n, null := r.length(path, 2)
	b := r.take(path, n)
	switch {
	case r.err != nil:
	case v.Kind() != reflect.Pointer:
		v.SetString(string(b))
	case null:
		v.SetZero()
	default:
		s := string(b)
		v.Set(reflect.ValueOf(&s))
	}
}

func (r *decoder) array(path string, f Field, kind string, v reflect.Value) {
	n, null := r.length(path, 4)
	v.SetZero()
	if null || r.err != nil {
		return
	}
	if f.Nullable {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	size := int(v.Type().Elem().Size())
	for i := 0; i < n && r.err == nil; i++ {
		if err := r.memory.take(size); err != nil {
			r.fail(path, err)
			return
		}
		v.Set(reflect.Append(v, fresh(v.Type().Elem())))
		r.value(fmt.Sprintf("%s[%d]", path, i), Field{Fields: f.Fields}, kind, v.Index(i))
	}
}
