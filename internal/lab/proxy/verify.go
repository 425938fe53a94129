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

// A Verifier checks tokens. For the proxy that customers run themselves SAP documents checks of
// the issuer, the signature, the expiry, and of the client id against a list.
type Verifier struct {
	Key       *rsa.PublicKey        // verifies the RS256 signature; required
	Issuers   []string              // the iss claim; empty: any
	ClientIDs []string              // allowed client_id claims; empty: any
	Tenants   []string              // allowed zid claims; empty: any but none
	Revoked   func(jti string) bool // nil: no token is revoked
}

// Verify returns the tenant of a valid token and when it expires, or why it is not valid. The
// error never contains a part of the token.
func (v Verifier) Verify(token string, now time.Time) (tenant string, expires time.Time, err error) {
	c, err := v.claims(token)
	if err != nil {
		return "", time.Time{}, err
	}
	switch {
	case c.Expiry == nil:
		err = errors.New("no expiry")
	case !now.Before(c.Expiry.Time()):
		err = fmt.Errorf("expired %v ago", now.Sub(c.Expiry.Time()).Round(time.Millisecond))
	case len(v.Issuers) > 0 && !slices.Contains(v.Issuers, c.Issuer):
		err = errors.New("wrong issuer")
	case len(v.ClientIDs) > 0 && !slices.Contains(v.ClientIDs, c.ClientID):
		err = errors.New("client id not allowed")
	case c.Zone == "" || len(v.Tenants) > 0 && !slices.Contains(v.Tenants, c.Zone):
		err = errors.New("unknown tenant")
	case v.Revoked != nil && v.Revoked(c.ID):
		err = errors.New("revoked")
	}
	if err != nil {
		return "", time.Time{}, err
	}
	return c.Zone, c.Expiry.Time(), nil
}

// claims are the claims that are checked.
type claims struct {
	jwt.Claims
	ClientID string `json:"client_id"`
	Zone     string `json:"zid"`
}

// claims returns the claims of a token with a valid signature.
func (v Verifier) claims(token string) (c claims, err error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return c, errors.New("not a JWT signed with RS256")
	}
	if err := parsed.Claims(v.Key, &c); err != nil {
		return c, errors.New("wrong signature")
	}
	return c, nil
}
