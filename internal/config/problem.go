package config

import (
	"fmt"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// hidden stands for what is not shown.
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
	var b strings.Builder
	b.WriteString(p.Key)
	if p.Value != "" {
		fmt.Fprintf(&b, " = %q", p.Value)
	}
	if p.Source != "" && p.Source != variableSource(p.Key) {
		fmt.Fprintf(&b, " (%s)", p.Source)
	}
	b.WriteString(": ")
	b.WriteString(p.Message)
	if p.Nearest != "" {
		b.WriteString("; did you mean ")
		b.WriteString(p.Nearest)
		b.WriteString("?")
	}
	return b.String()
}

// Error is a configuration that cannot be used.
type Error struct {
	Problems []Problem // at least one
	// Values is what is in effect as far as it was understood, for `config` to
	// show beside the problems.
	Values []Value
	// bootstrapOnly: a missing bootstrap address is the only problem.
	bootstrapOnly bool
}

// Error lists all problems, one a line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.failure().Summary())
	for _, p := range e.Problems {
		b.WriteString("\n  ")
		b.WriteString(p.String())
	}
	return b.String()
}

// Unwrap returns the [failure.Failure] of the catalogue whose advice fits.
func (e *Error) Unwrap() error { return e.failure() }

func (e *Error) failure() *failure.Failure {
	if e.bootstrapOnly {
		return failure.New(failure.BootstrapMissing, nil)
	}
	return failure.New(failure.ConfigInvalid, nil)
}

// A fault is what is wrong with one value.
type fault struct{ message, nearest string }

func wants(format string, args ...any) *fault { return &fault{message: fmt.Sprintf(format, args...)} }

func (f *fault) near(nearest string) *fault {
	f.nearest = nearest
	return f
}

// brief makes a text fit for one line.
func brief(text string) string {
	const limit = 120
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}

// withoutUserInfo hides all that stands before an @: people paste addresses with
// passwords in them, and a password may hold commas and colons.
func withoutUserInfo(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return hidden + text[at:]
	}
	return text
}
