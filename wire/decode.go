package wire

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// A DecodeError is an error at a byte of a body or of a frame.
type DecodeError struct {
	Path   string // topics[2].partitions[0].index; empty: the message itself
	Offset int    // in the body; in the frame, if a frame was parsed
	Err    error
}

// Error returns the offset, the path and what is wrong there.
func (e *DecodeError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("at byte %d: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("at byte %d, %s: %v", e.Offset, e.Path, e.Err)
}

// Unwrap returns what is wrong.
func (e *DecodeError) Unwrap() error { return e.Err }

// Decode decodes a body, without the header of its frame. Unlike kmsg's ReadFrom it reports
// where something is wrong, accepts no bytes after the message, and takes no more memory and
// time than the bytes are worth. With a [*DecodeError] the message holds the fields that
// precede the byte.
//
//	field | field | ... | number of tagged fields | tag | length | field | ...
//
// Only a flexible version has tagged fields. Lengths of strings, bytes and arrays are int16,
// int32 and int32, -1 for null; in a flexible version they are unsigned varints of the length
// plus one, 0 for null (KIP-482).
func (c *Codec) Decode(d Direction, key, version int16, body []byte) (Message, error) {
	m, err := New(d, key, version)
	if err != nil {
		return nil, err
	}
	return m, c.into(m, d, reader{b: body})
}

// into decodes the rest of r into a message that holds its defaults.
func (c *Codec) into(m Message, d Direction, r reader) error {
	fields, err := c.Fields(d, m.Key(), m.GetVersion())
	if err != nil {
		return err
	}
	o := decoder{reader: r, flexible: m.IsFlexible(), share: c.Share, memory: c.budget()}
	o.object(fields, reflect.ValueOf(m).Elem())
	if o.end(); o.err != nil {
		return &DecodeError{o.path, o.at, o.err}
	}
	return nil
}

// A decoder decodes the fields of a message, whose types it takes from [Codec.Fields].
type decoder struct {
	reader
	flexible bool
	share    bool
	memory   *budget
	path     string // of the field that could not be read, as far as the callers have added to it
}

// in adds to the path of an error the name of the field that the error is in.
func (r *decoder) in(name string) {
	if r.err == nil {
		return
	}
	if r.path != "" && r.path[0] != '[' {
		name += "."
	}
	r.path = name + r.path
}

func (r *decoder) object(fields []Field, v reflect.Value) {
	for _, f := range fields {
		if f.Tagged {
			continue
		}
		if r.value(f, f.Type, v.Field(f.index)); r.err != nil {
			r.in(f.Name)
			return
		}
	}
	if r.flexible {
		r.tagged(fields, v)
	}
}

func (r *decoder) tagged(fields []Field, v reflect.Value) {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		tag, length := r.uvarint(), r.uvarint()
		if r.err != nil {
			return
		}
		one := decoder{reader: reader{at: r.at}, flexible: true, share: r.share, memory: r.memory}
		if one.b = r.sized(length); r.err != nil {
			r.in(unknownTags)
			return
		}
		known := false
		for _, f := range fields {
			if f.Tagged && uint64(f.Tag) == tag {
				known = true
				one.value(f, f.Type, v.Field(f.index))
				one.end()
				one.in(f.Name)
			}
		}
		if one.err != nil {
			r.at, r.path = one.at, one.path
			r.fail(one.err)
			return
		}
		if !known && tag <= math.MaxUint32 {
			if err := r.memory.take(tagSize); err != nil {
				r.fail(err)
				r.in(unknownTags)
				return
			}
			tagsOf(v).Set(uint32(tag), append([]byte{}, one.b...))
		}
	}
}

// length reads the length of a string, of bytes or of an array, which has size bytes where the
// version is not flexible. It is never more than the bytes that are left: no element is
// shorter than a byte.
func (r *decoder) length(size int) (n int, null bool) {
	var length int64
	switch {
	case r.flexible:
		length = int64(min(r.uvarint(), math.MaxInt64)) - 1
	case size == 2:
		length = int64(r.int16())
	default:
		length = int64(r.int32())
	}
	switch {
	case r.err != nil:
		return 0, false
	case length == -1:
		return 0, true
	case length < 0:
		r.fail(fmt.Errorf("%w: %d", ErrLength, length))
	case length > int64(len(r.b)):
		r.fail(fmt.Errorf("%w: a length of %d, and %d bytes are left", ErrShort, length, len(r.b)))
	default:
		return int(length), false
	}
	return 0, false
}

// value reads a field, or an element of it, into v. One that cannot be read keeps its default.
func (r *decoder) value(f Field, kind string, v reflect.Value) {
	switch kind {
	case "bool":
		if b := r.int8(); r.err == nil {
			v.SetBool(b != 0)
		}
	case "int8", "int16", "int32", "int64":
		if n := r.integer(v.Type().Size()); r.err == nil {
			v.SetInt(n)
		}
	case "uint16", "uint32":
		if n := r.integer(v.Type().Size()); r.err == nil {
			v.SetUint(uint64(n))
		}
	case "float64":
		if n := r.int64(); r.err == nil {
			v.SetFloat(math.Float64frombits(uint64(n)))
		}
	case "uuid":
		if b := r.take(16); b != nil {
			reflect.Copy(v, reflect.ValueOf(b))
		}
	case "string":
		r.text(v)
	case "bytes", "records":
		if n, null := r.length(4); null {
			v.SetZero()
		} else if b := r.take(n); r.err == nil {
			if !r.share {
				b = append([]byte{}, b...)
			}
			v.SetBytes(b)
		}
	case "struct":
		if v.Kind() == reflect.Pointer {
			if present := r.take(1); r.err != nil || int8(present[0]) < 0 {
				v.SetZero()
				return
			}
			v.Set(fresh(v.Type().Elem()).Addr())
			v = v.Elem()
		}
		r.object(f.Fields, v)
	default:
		r.array(f, strings.TrimPrefix(kind, "[]"), v)
	}
}

func (r *decoder) text(v reflect.Value) {
	n, null := r.length(2)
	b := r.take(n)
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

func (r *decoder) array(f Field, kind string, v reflect.Value) {
	n, null := r.length(4)
	v.SetZero()
	if null || r.err != nil {
		return
	}
	if f.Nullable {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	size := int(v.Type().Elem().Size())
	for i := range n {
		if err := r.memory.take(size); err != nil {
			r.fail(err)
			return
		}
		v.Set(reflect.Append(v, fresh(v.Type().Elem())))
		if r.value(Field{Fields: f.Fields}, kind, v.Index(i)); r.err != nil {
			r.in("[" + strconv.Itoa(i) + "]")
			return
		}
	}
}
