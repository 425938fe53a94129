package binding

import (
	"fmt"
	"log/slog"
)

// hidden is what every printed secret looks like.
const hidden = "***"

// A Secret is a text that is never printed, logged or marshalled: every verb of
// fmt, slog, JSON and YAML shows *** (and nothing for an empty one).
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String returns ***, or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format answers every verb of fmt with [Secret.String], so that %#v, %q and %x
// do not print the text either.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.String()) }

// LogValue is what slog shows.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is what encoders of text formats show.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is what encoding/json shows.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }
