package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"time"
)

// wantsTLS and wantsSASL tell what the word security asks for.
func (t task) wantsTLS() bool  { return strings.HasSuffix(t["security"], "SSL") }
func (t task) wantsSASL() bool { return strings.HasPrefix(t["security"], "SASL_") }

// tlsConfig trusts the authority of the word ca.
func (t task) tlsConfig() (*tls.Config, error) {
	text, err := os.ReadFile(t["ca"])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots}, nil
}

// token is a token of OAUTHBEARER without a signature, and when it expires.
func (t task) token() (string, time.Time) {
	now := time.Now()
	expires := now.Add(time.Hour)
	claims, _ := json.Marshal(map[string]any{"sub": t["username"], "iat": now.Unix(), "exp": expires.Unix()}) // cannot fail
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(claims) + ".", expires
}

// slowly has the records sent one after the other, over the time of the word over.
func slowly(ctx context.Context, t task, send func(record) error) error {
	seconds, err := strconv.Atoi(t["over"])
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Duration(seconds) * time.Second / time.Duration(t.count()))
	defer tick.Stop()
	for i := range t.count() {
		if err := send(make1(t, i, "key-")); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
