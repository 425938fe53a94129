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

// ErrorsOf lists the error codes of a response, in the order in which they stand in it. A
// request has none.
func (c *Codec) ErrorsOf(m Message) ([]LocatedError, error) {
	if directionOf(m) != Response {
		return nil, nil
	}
	fields, err := c.Fields(Response, m.Key(), m.GetVersion())
	if err != nil {
		return nil, err
	}
	return errorsIn(nil, "", fields, reflect.ValueOf(m).Elem()), nil
}

func errorsIn(all []LocatedError, path string, fields []Field, v reflect.Value) []LocatedError {
	for _, f := range fields {
		at, value := join(path, f.Name), v.Field(f.index)
		if _, ok := f.meaning(); ok && value.Int() != 0 {
			all = append(all, LocatedError{at, ErrorOf(int16(value.Int()))})
		}
		switch {
		case !strings.HasSuffix(f.Type, "struct"):
		case value.Kind() == reflect.Slice:
			for i := range value.Len() {
				all = errorsIn(all, fmt.Sprintf("%s[%d]", at, i), f.Fields, value.Index(i))
			}
		default:
			if value.Kind() == reflect.Pointer {
				value = value.Elem()
			}
			if value.IsValid() {
				all = errorsIn(all, at, f.Fields, value)
			}
		}
	}
	return all
}
