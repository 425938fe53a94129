package wire

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// An Error is the meaning of an error code.
type Error struct {
	Code      int16  `json:"code"`
	Name      string `json:"name"`
	Retriable bool   `json:"retriable"`
	Message   string `json:"message"`
}

// The range in which [Errors] looks for codes: those of Kafka 4 end at 136.
const (
	lowestError  = -1
	highestError = 999
)

// ErrorOf returns the meaning of an error code; its name is UNKNOWN if the code is not known.
func ErrorOf(code int16) Error {
	if code == 0 {
		return Error{Name: "NONE"}
	}
	e := kerr.TypedErrorForCode(code)
	if e == nil || e.Code != code {
		return Error{Code: code, Name: "UNKNOWN", Message: "The error code is not in the table of this version."}
	}
	known := Error{e.Code, e.Message, e.Retriable, e.Description}
	if o, ok := overrides[code]; ok {
		known.Name, known.Retriable = o.name, o.retriable
	}
	return known
}

// overrides are the codes for which kerr differs from Kafka's own table: it has kept old names, and
// retriable means that its client retries.
var overrides = map[int16]struct {
	name      string
	retriable bool
}{
	6:   {"NOT_LEADER_OR_FOLLOWER", true},
	8:   {"BROKER_NOT_AVAILABLE", false},
	51:  {"CONCURRENT_TRANSACTIONS", true},
	122: {"SHARE_SESSION_NOT_FOUND", true},
	123: {"INVALID_SHARE_SESSION_EPOCH", true},
}

// Errors lists all error codes that are known, including 0.
func Errors() (all []Error) {
	for code := int16(lowestError); code <= highestError; code++ {
		if e := ErrorOf(code); e.Name != "UNKNOWN" {
			all = append(all, e)
		}
	}
	return all
}

// LookupError finds an error by its code ("6") or its name, in any case
// ("not_leader_or_follower").
func LookupError(codeOrName string) (Error, error) {
	code, err := strconv.Atoi(codeOrName)
	for _, e := range Errors() {
		if err == nil && int(e.Code) == code || strings.EqualFold(e.Name, codeOrName) {
			return e, nil
		}
	}
	return Error{}, fmt.Errorf("wire: no error has the code or the name %q", codeOrName)
}

// A LocatedError is an error code other than 0, with its path in a response.
type LocatedError struct {
	Path string `json:"path"` // topics[2].partitions[0].errorCode
	Error
}

// ErrorsOf lists the errors of a response, in the order of their fields. A request has none. With a
// [*LimitError] the list has the first ones.
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

// errorSize is roughly the memory of a LocatedError, its path and its JSON.
const errorSize = 256

// An errorList collects errors within a budget.
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
