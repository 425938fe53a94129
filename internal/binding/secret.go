package binding

import (
	"fmt"
	"log/slog"
)

// hidden is the text of every printed secret.
const hidden = "***"

// A Secret is a string that is never printed, logged or marshalled: every verb of fmt, slog,
// JSON and YAML show *** (and nothing for an empty one).
type Secret string

// Reveal returns the string itself.
func (s Secret) Reveal() string { return string(s) }

// String returns ***, or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format implements all verbs of fmt with [Secret.String]: %#v, %q and %x do not print the
// value either.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.String()) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements [json.Marshaler].
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }
