package yamlfile

import (
	"errors"
	"testing"
)

// TestErrorsHideTheContent: errors do not quote the content of the file, which may be a
// secret.
func TestErrorsHideTheContent(t *testing.T) {
	for text, want := range map[string]string{
		"yaml: line 7: cannot decode !!int `s3cr3t` as a !!float": "line 7: a value has another type than its tag (!) or cannot be used",
		"yaml: anchor 'x' value contains itself":                  "a value has another type than its tag (!) or cannot be used",
		`yaml: invalid map key: "a"`:                              "a value has another type than its tag (!) or cannot be used",
	} {
		if got := message(errors.New(text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
