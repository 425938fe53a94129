package token

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Bounds of R21.
const (
	maxValue    = 64 << 10        // bytes of a token
	defaultLife = 5 * time.Minute // of a token that does not say how long it lives
	maxReserve  = time.Minute     // how long before its end a token is no longer used
)

// A Token is a bearer token with its times, all by the wall clock.
type Token struct {
	Value       string `json:"-"`
	ReceivedAt  time.Time
	ExpiresAt   time.Time
	UsableUntil time.Time // a little before ExpiresAt: the token still has to reach the proxy
}

// Make returns the token of an answer that came in at the time received. life is
// the answer's expires_in. When that is not positive the token's own exp counts
// (RFC 7519, section 4.1.4), and when there is none, five minutes.
//
// The error, for values that cannot be a token, does not contain the value.
func Make(value string, received time.Time, life time.Duration) (Token, error) {
	if err := checkValue(value); err != nil {
		return Token{}, err
	}
	// Without its monotonic reading a time is compared by the wall clock. The
	// monotonic clock stops while a laptop sleeps.
	received = received.Round(0)
	if life <= 0 {
		life = defaultLife
		if exp, ok := expiry(value); ok {
			life = exp.Sub(received)
		}
		if life <= 0 {
			return Token{}, errors.New("the token has already expired: compare the clocks of this machine and the token service")
		}
	}
	end := received.Add(life)
	return Token{
		Value:       value,
		ReceivedAt:  received,
		ExpiresAt:   end,
		UsableUntil: end.Add(-min(maxReserve, life/10)),
	}, nil
}

// Usable reports whether the token can still be used at the given time.
func (t Token) Usable(now time.Time) bool {
	return t.Value != "" && now.Round(0).Before(t.UsableUntil)
}

// refreshAt returns the time at which to look for a successor; at is a number
// from 0 to 1 that places it between 40 and 60 % of the token's life.
func (t Token) refreshAt(at float64) time.Time {
	life := t.ExpiresAt.Sub(t.ReceivedAt)
	return t.ReceivedAt.Add(time.Duration((0.4 + 0.2*at) * float64(life)))
}

// String returns the token's times without its value.
func (t Token) String() string {
	if t.Value == "" {
		return "no token"
	}
	return "token usable until " + t.UsableUntil.UTC().Format(time.RFC3339)
}

// GoString returns the same as String, so that %#v does not show the value.
func (t Token) GoString() string { return t.String() }

// LogValue returns the same as String, so that a log does not show the value.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// checkValue refuses what cannot be a bearer token in a SOCKS handshake.
func checkValue(value string) error {
	switch {
	case value == "":
		return errors.New("access_token is empty or missing")
	case len(value) > maxValue:
		return fmt.Errorf("access_token has %d bytes, more than %d", len(value), maxValue)
	}
	for i := range len(value) {
		if c := value[i]; c < 0x21 || c > 0x7e {
			return fmt.Errorf("access_token has byte 0x%02x at offset %d, which no token has", c, i)
		}
	}
	return nil
}

// expiry returns the time in the exp claim of a JSON Web Token. The signature is
// not checked: the time decides only when to fetch the next token.
func expiry(value string) (time.Time, bool) {
	parts := strings.Split(value, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	// 253402300799 is the last second of the year 9999.
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 || claims.Exp > 253402300799 {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Exp), 0), true
}
