package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// An Error is what an error code in a response means.
type Error struct {
	Code      int16  `json:"code"`
	Name      string `json:"name"`
	Retriable bool   `json:"retriable"`
	Message   string `json:"message"`
}

// The range in which error codes are looked for: those of Kafka 4 end at 136.
const (
	lowestError  = -1
	highestError = 999
)

// ErrorOf returns what a code means. One that is not known is named UNKNOWN.
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

// overrides are the codes for which kerr differs from Kafka's own table: it has names of
// its time, and retries what its client can retry.
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

// Errors lists all codes that are known, 0 among them.
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
