package config

import (
	"fmt"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// hidden is shown in place of what must not be shown.
const hidden = "***"

// A Problem is one thing that is wrong.
type Problem struct {
	Key     string `json:"key"`               // "clusters.default.listen", or the name of an unknown variable
	Source  string `json:"source"`            // as [Value.Source]
	Value   string `json:"value,omitempty"`   // what was given; *** for a secret; "" for unknown keys
	Message string `json:"message"`           // what is allowed
	Nearest string `json:"nearest,omitempty"` // what was probably meant
}

// String returns the problem in one line.
func (p Problem) String() string {
	text := p.Key
	if p.Value != "" {
		text += fmt.Sprintf(" = %q", p.Value)
	}
	if p.Source != "" && p.Source != variableSource(p.Key) {
		text += " (" + p.Source + ")"
	}
	text += ": " + p.Message
	if p.Nearest != "" {
		text += "; did you mean " + p.Nearest + "?"
	}
	return text
}

// Error is a configuration that cannot be used.
type Error struct {
	Problems []Problem // at least one
	// Values is what is in effect where it was understood, for `config` to show with
	// the problems.
	Values []Value
	// bootstrapOnly: a missing bootstrap address is the only problem.
	bootstrapOnly bool
}

// Error lists all problems, one a line.
func (e *Error) Error() string {
	text := e.failure().Summary()
	for _, p := range e.Problems {
		text += "\n  " + p.String()
	}
	return text
}

// Unwrap returns the [failure.Failure] of the catalogue whose advice fits.
func (e *Error) Unwrap() error { return e.failure() }

func (e *Error) failure() *failure.Failure {
	if e.bootstrapOnly {
		return failure.New(failure.BootstrapMissing, nil)
	}
	return failure.New(failure.ConfigInvalid, nil)
}

// A valueError is what is wrong with one value.
type valueError struct{ message, nearest string }

func wrong(format string, args ...any) *valueError {
	return &valueError{message: fmt.Sprintf(format, args...)}
}

// expected is a valueError that describes what is allowed.
func expected(format string, args ...any) *valueError { return wrong("expected "+format, args...) }

// suggest adds what was probably meant.
func (e *valueError) suggest(nearest string) *valueError {
	e.nearest = nearest
	return e
}

// brief makes a text fit for one line.
func brief(text string) string {
	const limit = 120
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}

// withoutUserInfo hides all text before an @: people paste addresses with passwords
// in them, and a password may hold commas and colons.
func withoutUserInfo(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return hidden + text[at:]
	}
	return text
}
