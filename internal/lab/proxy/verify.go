package proxy

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// A Verifier says what a good token is. SAP documents for the proxy that
// customers run themselves: issuer, signature, expiry, and the client id in a
// list of allowed ones.
type Verifier struct {
	Key       *rsa.PublicKey        // verifies the RS256 signature; required
	Issuer    string                // the iss claim; "": any
	ClientIDs []string              // allowed client_id claims; empty: any
	Tenants   []string              // allowed zid claims; empty: any but none
	Revoked   func(jti string) bool // nil: no token is revoked
}

// Verify returns the tenant of a good token, or why it is not good. The error
// never contains a part of the token.
func (v Verifier) Verify(token string, now time.Time) (tenant string, err error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return "", errors.New("not a JWT signed with RS256")
	}
	var c struct {
		jwt.Claims
		ClientID string `json:"client_id"`
		Zone     string `json:"zid"`
	}
	if err := parsed.Claims(v.Key, &c); err != nil {
		return "", errors.New("wrong signature")
	}
	switch {
	case c.Expiry == nil:
		return "", errors.New("no expiry")
	case !now.Before(c.Expiry.Time()):
		return "", fmt.Errorf("expired %v ago", now.Sub(c.Expiry.Time()).Round(time.Millisecond))
	case v.Issuer != "" && c.Issuer != v.Issuer:
		return "", errors.New("wrong issuer")
	case len(v.ClientIDs) > 0 && !slices.Contains(v.ClientIDs, c.ClientID):
		return "", errors.New("client id not allowed")
	case c.Zone == "" || len(v.Tenants) > 0 && !slices.Contains(v.Tenants, c.Zone):
		return "", errors.New("unknown tenant")
	case v.Revoked != nil && v.Revoked(c.ID):
		return "", errors.New("revoked")
	}
	return c.Zone, nil
}
