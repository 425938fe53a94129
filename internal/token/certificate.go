package token

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"time"
)

// ParseCertificate reads what an X.509 binding holds in place of a secret: a chain of
// certificates, the client's own first, and its key, both PEM. Where they went through
// a variable, their lines may be separated by the two characters \n.
//
// Its error is worded for a user and holds nothing of the key.
func ParseCertificate(chain, key string) (*tls.Certificate, error) {
	chain, key = Unfold(chain), Unfold(key)
	switch {
	case !hasBlock(chain, "CERTIFICATE"):
		return nil, errors.New("certificate contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	case !hasBlock(key, "PRIVATE KEY"):
		return nil, errors.New("key holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)")
	}
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		return nil, errors.New("certificate and key cannot be used together: " + pairProblem(err))
	}
	return &pair, nil
}

// Unfold makes lines of what a variable may have made of them.
func Unfold(text string) string {
	if strings.Contains(text, "\n") {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, `\r`, ""), `\n`, "\n")
}

// hasBlock reports whether a text has a PEM block whose type ends so.
func hasBlock(text, kind string) bool {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, kind) {
			return true
		}
	}
	return false
}

// pairProblem words an error of crypto/tls: none of them quotes a key, but only these
// are known to say something to a user.
func pairProblem(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "does not match"):
		return "the key is that of another certificate"
	case strings.Contains(text, "parse private key"):
		return "the key cannot be read (an encrypted key is not supported)"
	}
	return "the certificate cannot be read"
}

// Expiry returns when a client certificate ends: at the earliest end of its chain.
func Expiry(c *tls.Certificate) time.Time {
	var end time.Time
	for _, der := range c.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err == nil && (end.IsZero() || cert.NotAfter.Before(end)) {
			end = cert.NotAfter
		}
	}
	return end
}
