package wire

import (
	"fmt"
	"reflect"
	"strings"
)

// A LocatedError is an error code other than 0 at its place in a response.
type LocatedError struct {
	Path string `json:"path"` // topics[2].partitions[0].errorCode
	Error
}

// ErrorsOf lists the error codes of a response, in their order in it. A request has none. With
// a [*LimitError] these are the first ones.
func (c *Codec) ErrorsOf(m Message) ([]LocatedError, error) {
	if directionOf(m) != Response {
		return nil, nil
	}
	fields, err := c.Fields(Response, m.Key(), m.GetVersion())
	if err != nil {
		return nil, err
	}
	l := errorList{memory: c.budget()}
	l.add("", fields, reflect.ValueOf(m).Elem())
	return l.all, l.err
}

// errorSize is what a LocatedError takes with its path, roughly, and as JSON.
const errorSize = 256

// An errorList collects errors until they are too many.
type errorList struct {
	all    []LocatedError
	memory *budget
	err    error
}

func (l *errorList) add(path string, fields []Field, v reflect.Value) {
	for _, f := range fields {
		if l.err != nil {
			return
		}
		at, value := join(path, f.Name), v.Field(f.index)
		if _, ok := f.meaning(); ok && value.Int() != 0 {
			if l.err = l.memory.take(errorSize); l.err != nil {
				return
			}
			l.all = append(l.all, LocatedError{at, ErrorOf(int16(value.Int()))})
		}
		switch {
		case !strings.HasSuffix(f.Type, "struct"):
		case value.Kind() == reflect.Slice:
			for i := 0; i < value.Len() && l.err == nil; i++ {
				l.add(fmt.Sprintf("%s[%d]", at, i), f.Fields, value.Index(i))
			}
		default:
			if value.Kind() == reflect.Pointer {
				value = value.Elem()
			}
			if value.IsValid() {
				l.add(at, f.Fields, value)
			}
		}
	}
}
