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

// unknownTags is the name under which the tagged fields stand that kmsg does not know, by
// their tags, as base64.
const unknownTags = "unknownTaggedFields"

// AppendJSON appends a message as JSON, in one line: its fields have the names of Kafka's
// schemas in camelCase, those that its version does not have are left out. Integers are
// exact, bytes are base64, UUIDs have Kafka's form; a string that is not UTF-8 is
// {"base64": "..."}, floats that JSON does not know are the strings NaN, Infinity and
// -Infinity.
//
// Beside an error code other than 0 in a response stands what it means: beside errorCode
// error, beside partitionErrorCode partitionError. Beside records that cannot be read, and
// are base64 though batches are wanted, stands why: recordsUnread.
func (c *Codec) AppendJSON(dst []byte, m Message) ([]byte, error) {
	fields, err := c.Fields(directionOf(m), m.Key(), m.GetVersion())
	if err != nil {
		return dst, err
	}
	w := &jsonWriter{response: directionOf(m) == Response, records: c.Records}
	if c.Hide {
		w.hidden = confidential(m.Key())
	}
	return w.object(dst, fields, reflect.ValueOf(m).Elem()), nil
}

type jsonWriter struct {
	response, records bool
	hidden            func(Field) bool // nil: nothing is
	unread            error            // why the records that were written last are base64
}

func (w *jsonWriter) object(dst []byte, fields []Field, v reflect.Value) []byte {
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
			dst = appendBase64(dst, value)
		})
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// unread is added to the name of records.
const unread = "Unread"

// meaning returns the name under which the meaning of an error code stands.
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
		return appendString(dst, v.String())
	case "records":
		if w.records {
			dst, w.unread = appendRecords(dst, v.Bytes())
			return dst
		}
		return appendBase64(dst, v.Bytes())
	case "bytes":
		return appendBase64(dst, v.Bytes())
	case "uuid":
		id := v.Interface().([16]byte)
		return strconv.AppendQuote(dst, base64.RawURLEncoding.EncodeToString(id[:]))
	case "struct":
		return w.object(dst, f.Fields, v)
	}
	dst = append(dst, '[')
	for i := range v.Len() {
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

func appendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	return append(base64.StdEncoding.AppendEncode(dst, b), '"')
}

// appendMarshalled appends what the standard library makes of a value that it cannot refuse.
func appendMarshalled(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("wire: %v", err))
	}
	return append(dst, b...)
}
