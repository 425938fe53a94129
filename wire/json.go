package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unknownTags is the name of the object of tagged fields that kmsg does not know: base64, by their
// tags.
const unknownTags = "unknownTaggedFields"

// AppendJSON appends a message as JSON, in one line. Its fields have the names of Kafka's schemas
// in camelCase; those that its version does not have are left out. Integers are exact, bytes are
// base64, UUIDs have Kafka's form. A string that is not UTF-8 is {"base64": "..."}; floats that
// JSON does not have are the strings NaN, Infinity and -Infinity.
//
// In a response an error code other than 0 is followed by its meaning: errorCode by error,
// partitionErrorCode by partitionError. Records that cannot be decoded are base64, also with
// [Codec.Records], and are followed by the reason: recordsUnread.
//
// It fails for a version that is not known, and with a [*LimitError]. Then it appends nothing.
func (c *Codec) AppendJSON(dst []byte, m Message) ([]byte, error) {
	fields, err := c.Fields(directionOf(m), m.Key(), m.GetVersion())
	if err != nil {
		return dst, err
	}
	w := &jsonWriter{response: directionOf(m) == Response, end: math.MaxInt}
	if c.Records {
		w.records = c.inflater()
		defer w.records.close()
	}
	if c.Hide {
		w.hidden = confidential(m.Key())
	}
	if c.Limit > 0 {
		w.start, w.end = len(dst), len(dst)+structShare*c.Limit
	}
	out := w.object(dst, fields, reflect.ValueOf(m).Elem())
	if w.fits(out, 0); w.err != nil {
		return dst, w.err
	}
	return out, nil
}

type jsonWriter struct {
	response bool
	records  *inflater        // nil: they are base64
	hidden   func(Field) bool // nil: no field is hidden
	unread   error            // why the records that were written last are base64
	start    int              // length of dst before the message
	end      int              // the largest length of dst
	err      error            // a limit was exceeded; nothing more is written
}

// fits reports whether n bytes more may be appended to dst.
func (w *jsonWriter) fits(dst []byte, n int) bool {
	if w.err == nil && n > w.end-len(dst) {
		w.err = &LimitError{"JSON bodies", w.end - w.start}
	}
	return w.err == nil
}

func (w *jsonWriter) object(dst []byte, fields []Field, v reflect.Value) []byte {
	if !w.fits(dst, 0) {
		return dst
	}
	dst = append(dst, '{')
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(strconv.AppendQuote(dst, f.Name), ':')
		dst = w.value(dst, f, f.Type, v.Field(f.index))
		if w.unread != nil {
			dst = append(strconv.AppendQuote(append(dst, ','), f.Name+unread), ':')
			dst = appendMarshalled(dst, w.unread.Error())
			w.unread = nil
		}
		if name, ok := f.meaning(); ok && w.response && v.Field(f.index).Int() != 0 {
			dst = append(strconv.AppendQuote(append(dst, ','), name), ':')
			dst = appendMarshalled(dst, ErrorOf(int16(v.Field(f.index).Int())))
		}
	}
	if tags := tagsOf(v); tags != nil && tags.Len() > 0 {
		if len(fields) > 0 {
			dst = append(dst, ',')
		}
		dst = append(strconv.AppendQuote(dst, unknownTags), `:{`...)
		first := true
		tags.Each(func(tag uint32, value []byte) {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(strconv.AppendQuote(dst, strconv.FormatUint(uint64(tag), 10)), ':')
			dst = w.base64(dst, value)
		})
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// unread is appended to the name of records, for the reason why they are base64.
const unread = "Unread"

// meaning returns the name of the field that has the meaning of an error code.
func (f Field) meaning() (name string, ok bool) {
	if f.Type != "int16" || !strings.HasSuffix(f.Name, "rrorCode") {
		return "", false
	}
	return strings.TrimSuffix(f.Name, "Code"), true
}

func (w *jsonWriter) value(dst []byte, f Field, kind string, v reflect.Value) []byte {
	for v.Kind() == reflect.Pointer {
		switch {
		case v.IsNil() && kind == "string" && !f.Nullable:
			return append(dst, `""`...) // as kmsg encodes it in such a version
		case v.IsNil():
			return append(dst, "null"...)
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.Slice && v.IsNil() && f.Nullable {
		return append(dst, "null"...)
	}
	if w.hidden != nil && w.hidden(f) {
		return append(strconv.AppendInt(append(dst, `{"hiddenBytes":`...), int64(v.Len()), 10), '}')
	}
	switch kind {
	case "bool":
		return strconv.AppendBool(dst, v.Bool())
	case "int8", "int16", "int32", "int64":
		return strconv.AppendInt(dst, v.Int(), 10)
	case "uint16", "uint32":
		return strconv.AppendUint(dst, v.Uint(), 10)
	case "float64":
		return appendFloat(dst, v.Float())
	case "string":
		return w.text(dst, v.String())
	case "records":
		if w.records != nil {
			return w.batches(dst, v.Bytes())
		}
		return w.base64(dst, v.Bytes())
	case "bytes":
		return w.base64(dst, v.Bytes())
	case "uuid":
		id := v.Interface().([16]byte)
		return strconv.AppendQuote(dst, base64.RawURLEncoding.EncodeToString(id[:]))
	case "struct":
		return w.object(dst, f.Fields, v)
	}
	dst = append(dst, '[')
	for i := range v.Len() {
		if !w.fits(dst, 0) {
			return dst
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = w.value(dst, Field{Fields: f.Fields}, strings.TrimPrefix(kind, "[]"), v.Index(i))
	}
	return append(dst, ']')
}

func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

func appendString(dst []byte, s string) []byte {
	if utf8.ValidString(s) {
		return appendMarshalled(dst, s)
	}
	return append(appendBase64(append(dst, `{"base64":`...), []byte(s)), '}')
}

// text is appendString, if the JSON of the string fits.
func (w *jsonWriter) text(dst []byte, s string) []byte {
	if !w.fits(dst, jsonSize(s)) {
		return dst
	}
	return appendString(dst, s)
}

// base64 is appendBase64, if it fits.
func (w *jsonWriter) base64(dst, b []byte) []byte {
	if !w.fits(dst, base64.StdEncoding.EncodedLen(len(b))) {
		return dst
	}
	return appendBase64(dst, b)
}

// jsonSize is the largest size of a string as JSON, without the quotes.
func jsonSize[T ~string | ~[]byte](s T) (n int) {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c == '"', c == '\\', c == '<', c == '>', c == '&', c == 0xe2: // U+2028 and U+2029 begin with it
			n += 6
		default:
			n += 2 // as base64, if other bytes are not UTF-8
		}
	}
	return n
}

func appendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	return append(base64.StdEncoding.AppendEncode(dst, b), '"')
}

// appendMarshalled appends the JSON of a value that always has one.
func appendMarshalled(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("wire: %v", err))
	}
	return append(dst, b...)
}
