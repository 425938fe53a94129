package hostport

import (
	"testing"

	"pgregory.net/rapid"
)

func TestCollide(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1", "localhost", true},
		{"127.0.0.1", "::1", true}, // 127.0.0.1 opens [::1] too
		{"LOCALHOST", "::1", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"", "10.0.0.1", true},
		{"0.0.0.0", "127.0.0.1", true},
		{"::", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.2", false},
		{"10.0.0.1", "::ffff:10.0.0.1", true},
		{"10.0.0.1", "127.0.0.1", false},
		{"host", "HOST", true},
		{"host", "10.0.0.1", false},
	} {
		if got := Collide(test.a, test.b); got != test.want || Collide(test.b, test.a) != test.want {
			t.Errorf("Collide(%q, %q) = %v", test.a, test.b, got)
		}
	}
}

// TestParseReadsWhatStringWrites: Parse accepts what String returns, for addresses and
// for ranges.
func TestParseReadsWhatStringWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Address{rapid.SampledFrom([]string{"", "localhost", "::1", "10.0.0.1", "kafka_1.corp"}).Draw(t, "host"), rapid.Uint16().Draw(t, "port")}
		if got, ok := Parse(a.String()); !ok || got != a {
			t.Fatalf("%s is parsed as %s, %v", a, got, ok)
		}
	})
	for _, s := range []string{"", "a", "a:", "a:x", "a:+1", "a:-1", "a:65536", "a b:1", "a@b:1", "::1:1", "x:y:1"} {
		if got, ok := Parse(s); ok {
			t.Errorf("%q is parsed as %s", s, got)
		}
	}
}
