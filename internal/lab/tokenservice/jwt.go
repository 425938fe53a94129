package tokenservice

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// keyID is the id of the only signing key, like XSUAA's.
const keyID = "default-jwt-key-lab"

// claims are the claims of a token that XSUAA issues for client_credentials.
type claims struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"`
	ClientID  string           `json:"client_id"`
	CID       string           `json:"cid"`
	AZP       string           `json:"azp"`
	Grant     string           `json:"grant_type"`
	Zone      string           `json:"zid"`
	Audience  []string         `json:"aud"`
	Scope     []string         `json:"scope"`
	ID        string           `json:"jti"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	Expiry    *jwt.NumericDate `json:"exp"`
	Extension map[string]any   `json:"ext_attr"`
	Filler    string           `json:"filler,omitempty"`
}

// A Mint describes a token to be issued directly. Empty fields have the service's own values.
type Mint struct {
	Tenant   string
	ClientID string
	Issuer   string
	Life     time.Duration // negative: already expired
	Bytes    int           // minimum length
}

// Issue issues a token without the endpoint, for tests. It is remembered and can be revoked
// like the others.
func (s *Service) Issue(m Mint) (string, error) {
	token, _, err := s.issue(m, time.Now())
	return token, err
}

// issue issues and remembers a token, and returns it with its jti.
func (s *Service) issue(m Mint, now time.Time) (token, jti string, err error) {
	if m.Tenant == "" {
		m.Tenant = s.opts.Tenant
	}
	if m.ClientID == "" {
		m.ClientID = s.opts.ClientID
	}
	if m.Issuer == "" {
		m.Issuer = s.Issuer()
	}
	if m.Life == 0 {
		m.Life = s.opts.Life
	}
	jti = strings.ReplaceAll(NewID(), "-", "")
	c := claims{
		Issuer: m.Issuer, Subject: m.ClientID, ClientID: m.ClientID, CID: m.ClientID, AZP: m.ClientID,
		Grant: "client_credentials", Zone: m.Tenant,
		Audience: []string{m.ClientID, "uaa"}, Scope: []string{"uaa.resource"},
		ID:       jti,
		IssuedAt: jwt.NewNumericDate(now),
		// Rounded up: a token is valid at least as long as requested.
		Expiry:    jwt.NewNumericDate(now.Add(m.Life + time.Second - 1)),
		Extension: map[string]any{"enhancer": "XSUAA", "zdn": s.opts.Subdomain},
	}
	if token, err = s.signer.sign(c); err != nil {
		return "", "", err
	}
	if missing := m.Bytes - len(token); missing > 0 {
		c.Filler = strings.Repeat("x", missing*3/4+3) // base64 makes 4 of 3
		if token, err = s.signer.sign(c); err != nil {
			return "", "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued = append(s.issued, token)
	s.jtis = append(s.jtis, jti)
	if len(s.issued) > maxIssued {
		s.issued = s.issued[len(s.issued)-maxIssued:]
	}
	return token, jti, nil
}

// signer signs claims with RS256.
type signer struct{ jose.Signer }

// newSigner returns a signer for the key.
func newSigner(key *rsa.PrivateKey) (*signer, error) {
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", keyID)
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, opts)
	if err != nil {
		return nil, fmt.Errorf("making the signer: %w", err)
	}
	return &signer{s}, nil
}

// sign returns the compact form of a token.
func (s *signer) sign(c claims) (string, error) {
	token, err := jwt.Signed(s).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token, nil
}

// VerificationKey returns the public key as PEM, the format of bindings.
func (s *Service) VerificationKey() string {
	der, err := x509.MarshalPKIXPublicKey(s.Key())
	if err != nil {
		return "" // never: an RSA key can always be marshalled
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// keySet returns the public key in the form of GET /token_keys.
func (s *Service) keySet() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.Key(), KeyID: keyID, Algorithm: string(jose.RS256), Use: "sig"}}}
}
