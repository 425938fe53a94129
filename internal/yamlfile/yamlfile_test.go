package yamlfile

import (
	"errors"
	"testing"
)

// TestErrorsHideTheContent: errors do not quote the content of the file, which may be a
// secret.
func TestErrorsHideTheContent(t *testing.T) {
	for text, want := range map[string]string{
		"yaml: line 7: cannot decode !!int `s3cr3t` as a !!float": "line 7: a value does not match its tag (!) or is not valid",
		"yaml: anchor 'x' value contains itself":                  "a value does not match its tag (!) or is not valid",
		`yaml: invalid map key: "a"`:                              "a value does not match its tag (!) or is not valid",
	} {
		if got := message(errors.New(text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
