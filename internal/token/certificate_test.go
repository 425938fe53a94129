package token

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
)

// client returns a client certificate, also as PEM with its key.
func client(t *testing.T, a *authority.Authority, r authority.Request) (cert tls.Certificate, chain, key string) {
	t.Helper()
	r.Client = true
	cert, err := a.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	if chain, key, err = authority.Encode(cert); err != nil {
		t.Fatal(err)
	}
	return cert, chain, key
}

func newAuthority(t *testing.T, name string) *authority.Authority {
	t.Helper()
	a, err := authority.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParseCertificate(t *testing.T) {
	a := newAuthority(t, "SAP")
	_, chain, key := client(t, a, authority.Request{Names: []string{testID}})
	_, _, otherKey := client(t, a, authority.Request{Names: []string{testID}})
	folded := func(text string) string { return strings.ReplaceAll(text, "\n", `\n`) }
	for _, tt := range []struct{ name, chain, key, wrong string }{
		{"as it is", chain, key, ""},
		{"lines folded", folded(chain), folded(key), ""},
		{"lines folded as on Windows", strings.ReplaceAll(chain, "\n", `\r\n`), key, ""},
		{"followed by the CA certificate", chain + string(a.PEM()), key, ""},
		{"certificate and key swapped", key, chain, "certificate contains no certificate in PEM form"},
		{"no certificate", "s3cr3t", key, "certificate contains no certificate in PEM form"},
		{"no key", chain, "s3cr3t", "key holds no private key in PEM form"},
		{"another key", chain, otherKey, "the key is that of another certificate"},
		{"a broken key", chain, "-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----", "the key cannot be read"},
		{"a broken certificate", "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----", key, "the certificate cannot be read"},
	} {
		got, err := ParseCertificate(tt.chain, tt.key)
		switch {
		case tt.wrong == "" && (err != nil || len(got.Certificate) == 0):
			t.Errorf("%s: %v", tt.name, err)
		case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong) || strings.Contains(err.Error(), "s3cr3t")):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.wrong)
		}
	}
}

// TestTheEarliestExpiryOfTheChainCounts: a certificate expires with the first
// certificate of its chain.
func TestTheEarliestExpiryOfTheChainCounts(t *testing.T) {
	a := newAuthority(t, "SAP")
	short, _, _ := client(t, a, authority.Request{Names: []string{testID}, Life: time.Hour})
	long, _, _ := client(t, a, authority.Request{Names: []string{testID}, Life: 9 * time.Hour})
	want := Expiry(&short)
	if d := time.Until(want); d > time.Hour || d < 59*time.Minute {
		t.Errorf("expiry in %v", d)
	}
	long.Certificate = append(long.Certificate, short.Certificate...)
	if got := Expiry(&long); !got.Equal(want) {
		t.Errorf("expiry at %v, want %v", got, want)
	}
}

// mutual starts a token service that accepts the certificates of an authority.
func mutual(t *testing.T, a *authority.Authority, serve http.HandlerFunc) *httptest.Server {
	t.Helper()
	own, err := a.Issue(authority.Request{Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(serve)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Roots(), MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// TestACertificateInPlaceOfASecret: a client certificate authenticates without a secret
// (RFC 8705, section 2.1).
func TestACertificateInPlaceOfASecret(t *testing.T) {
	a := newAuthority(t, "SAP")
	var asked int
	server := mutual(t, a, func(w http.ResponseWriter, r *http.Request) {
		asked++
		_ = r.ParseForm()
		if name := r.TLS.PeerCertificates[0].Subject.CommonName; name != testID || r.PostForm.Get("client_id") != testID || r.PostForm.Has("client_secret") {
			t.Errorf("certificate of %q, form %v", name, r.PostForm)
		}
		answer(200, "application/json", `{"access_token":"a.b.c","expires_in":100}`)(w, r)
	})
	fetcher := func(cert tls.Certificate) Fetcher {
		fetch, err := ClientCredentials(Credentials{URL: server.URL, ClientID: testID, Certificate: &cert, Roots: a.Roots()})
		if err != nil {
			t.Fatal(err)
		}
		return fetch
	}
	good, _, _ := client(t, a, authority.Request{Names: []string{testID}})
	if got, err := fetcher(good)(t.Context()); err != nil || got.Value != "a.b.c" {
		t.Errorf("%v, %v", got, err)
	}
	strange, _, _ := client(t, newAuthority(t, "another authority"), authority.Request{Names: []string{testID}})
	if f := fetchFails(t, fetcher(strange), failure.TokenRejected, ""); !strings.Contains(f.Detail, "the certificate is refused: ") {
		t.Errorf("%v", f)
	}
	old, _, _ := client(t, a, authority.Request{Names: []string{testID}, Expired: time.Now().Add(-time.Minute)})
	before := asked
	if f := fetchFails(t, fetcher(old), failure.CertificateExpired, ""); !strings.HasPrefix(f.Detail, "it was valid until ") || asked != before {
		t.Errorf("%v after %d requests", f, asked-before)
	}
}
