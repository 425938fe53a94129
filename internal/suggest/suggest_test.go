package suggest

import (
	"testing"

	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	names := []string{"BOOTSTRAP", "CONNECTIVITY_HOLD", "CONNECTIVITY_SERVICE", "LISTEN", "ADMIN_LISTEN", "TOKEN_URL"}
	for word, want := range map[string]string{
		"TOEKN_URL": "TOKEN_URL", "token-url": "TOKEN_URL", "HOLD": "CONNECTIVITY_HOLD", "BOOTSTRAP_SERVERS": "BOOTSTRAP", "LISTNE": "LISTEN",
		"PORT": "", "NONSENSE": "", "": "",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDistanceIsAMetricForSmallErrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringMatching(`[a-c]{0,6}`).Draw(t, "a"), rapid.StringMatching(`[a-c]{0,6}`).Draw(t, "b")
		d := distance(a, b)
		if d != distance(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) || d < max(len(a), len(b))-min(len(a), len(b)) {
			t.Fatalf("distance(%q, %q) = %d", a, b, d)
		}
	})
	for _, test := range []struct {
		a, b string
		want int
	}{{"token", "toekn", 1}, {"abc", "", 3}, {"hold", "holds", 1}, {"hold", "bold", 1}, {"listen", "silent", 4}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
