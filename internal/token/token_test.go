package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// noon returns a time with a monotonic reading, as time.Now does.
func noon() time.Time { return time.Now() }

func jwt(payload string) string {
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2lnbmF0dXJl"
}

func TestHowLongATokenIsUsable(t *testing.T) {
	received := noon()
	at := func(d time.Duration) string { return jwt(fmt.Sprintf(`{"exp":%d}`, received.Add(d).Unix())) }
	tests := []struct {
		name         string
		value        string
		life, usable time.Duration
	}{
		{"12 h", "a.b.c", 12 * time.Hour, 12*time.Hour - time.Minute},
		{"10 min", "a.b.c", 10 * time.Minute, 9 * time.Minute},
		{"60 s", "a.b.c", time.Minute, 54 * time.Second},
		{"1 s", "a.b.c", time.Second, 900 * time.Millisecond},
		{"expires_in before exp", at(time.Hour), time.Minute, 54 * time.Second},
		{"exp", at(time.Hour), 0, 59 * time.Minute},
		{"exp with a fraction", jwt(fmt.Sprintf(`{"exp":%d.9}`, received.Add(time.Hour).Unix())), 0, 59 * time.Minute},
		{"neither", "opaque", 0, 4*time.Minute + 30*time.Second},
		{"no exp", jwt(`{"sub":"x"}`), 0, 4*time.Minute + 30*time.Second},
		{"exp of another type", jwt(`{"exp":"tomorrow"}`), 0, 4*time.Minute + 30*time.Second},
		{"huge exp", jwt(`{"exp":1e300}`), 0, 4*time.Minute + 30*time.Second},
		{"not JSON", jwt(`exp`), 0, 4*time.Minute + 30*time.Second},
		{"not base64", "a.!!.c", 0, 4*time.Minute + 30*time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Make(test.value, received, test.life)
			if err != nil {
				t.Fatal(err)
			}
			if usable := got.UsableUntil.Sub(received.Round(0)); usable > test.usable || usable < test.usable-time.Second {
				t.Errorf("usable for %s, want %s", usable, test.usable)
			}
			if !got.Usable(received) || !got.Usable(got.UsableUntil.Add(-1)) || got.Usable(got.UsableUntil) {
				t.Error("Usable does not end with UsableUntil")
			}
			// The monotonic clock stops while a laptop sleeps.
			for _, at := range []time.Time{got.ReceivedAt, got.ExpiresAt, got.UsableUntil, got.refreshAt(0)} {
				if strings.Contains(at.String(), "m=") {
					t.Errorf("%s has a monotonic reading", at)
				}
			}
		})
	}
}

func TestATokenThatIsExpiredOnArrival(t *testing.T) {
	_, err := Make(jwt(`{"exp":1000000000}`), noon(), 0)
	if err == nil || !strings.Contains(err.Error(), "clocks") {
		t.Errorf("%v, want an error that mentions the clocks", err)
	}
}

func TestInvalidTokenValues(t *testing.T) {
	for _, value := range []string{
		"", "a b", "a\tb", "a\nb", "a\x00b", "a\x7fb", "a\x80b", "Bearer abc", "ü", strings.Repeat("t", maxValue+1),
	} {
		if got, err := Make(value, noon(), time.Hour); err == nil || got.Value != "" {
			t.Errorf("%.10q is accepted", value)
		} else if len(value) > 3 && strings.Contains(err.Error(), value) {
			t.Errorf("%q shows the value", err)
		}
	}
	for _, value := range []string{"!", "~", "a.b.c", strings.Repeat("t", maxValue)} {
		if _, err := Make(value, noon(), time.Hour); err != nil {
			t.Errorf("%.10q: %v", value, err)
		}
	}
}

func TestATokenIsPrintedWithoutItsValue(t *testing.T) {
	token, err := Make("SECRET.SECRET.SECRET", noon(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token)
	asJSON, _ := json.Marshal(token)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", token, token, token, &token), log.String(), string(asJSON)} {
		if strings.Contains(text, "SECRET") {
			t.Errorf("%q shows the value", text)
		}
	}
	if got := (Token{}).String(); got != "no token" {
		t.Errorf("zero token: %q", got)
	}
}

func TestEndpointURL(t *testing.T) {
	const want = "https://sub.authentication.eu10.hana.ondemand.com/oauth/token"
	for base, want := range map[string]string{
		"https://sub.authentication.eu10.hana.ondemand.com":                want,
		"https://sub.authentication.eu10.hana.ondemand.com/":               want,
		"https://sub.authentication.eu10.hana.ondemand.com/oauth/token":    want,
		"\thttps://sub.authentication.eu10.hana.ondemand.com/oauth/token/": want,
		"http://127.0.0.1:8080/uaa":                                        "http://127.0.0.1:8080/uaa/oauth/token",
		"http://[::1]:8080":                                                "http://[::1]:8080/oauth/token",
	} {
		if got, err := EndpointURL(base); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", base, got, err, want)
		}
		if again, err := EndpointURL(want); again != want || err != nil {
			t.Errorf("not stable: %s became %s, %v", want, again, err)
		}
	}
	for base, word := range map[string]string{
		"":                                    "empty",
		"  ":                                  "empty",
		"sub.authentication.example":          "https://",
		"sub.authentication.example:443":      "https://",
		"ftp://uaa.example":                   "scheme",
		"https://":                            "host",
		"https://:443":                        "host",
		"https:///oauth/token":                "host",
		"https://user:hunter2@uaa.example":    "client_secret",
		"https://uaa.example?x=hunter2":       "query",
		"https://uaa.example?":                "query",
		"https://uaa.example#hunter2":         "fragment",
		"https://uaa.example:hunter2":         "valid",
		"https://uaa example":                 "valid",
		"https://user:hunter2@uaa.example:xx": "valid",
		"https://uaa.example/%zz":             "valid",
		"\x7fhttps://uaa.example":             "valid",
	} {
		got, err := EndpointURL(base)
		if err == nil || got != "" || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %q, %v, want an error with %q", base, got, err, word)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q shows what may be a secret", err)
		}
		if _, err := ClientCredentials(Credentials{URL: base}); err == nil {
			t.Errorf("ClientCredentials accepts %q", base)
		}
	}
}

func FuzzExpiryAndRetryAfter(f *testing.F) {
	f.Add(jwt(`{"exp":1999999999}`))
	f.Add("17")
	f.Add("Fri, 20 Nov 2026 21:36:00 GMT")
	f.Fuzz(func(t *testing.T, text string) {
		if exp, ok := expiry(text); ok && (exp.Unix() < 0 || exp.Year() > 9999) {
			t.Errorf("%q expires at %s", text, exp)
		}
		if wait, ok := ParseRetryAfter(http.Header{"Retry-After": {text}}, noon()); ok != (wait > 0) && ok {
			t.Errorf("%q: wait %s", text, wait)
		}
		if token, err := Make(text, noon(), 0); err == nil && !token.UsableUntil.Before(token.ExpiresAt) {
			t.Errorf("%q: %+v", text, token)
		}
	})
}
