package tokenservice

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	testID     = "sb-clone1!b2|connectivity!b3"
	testSecret = "a!b|c$d=e+f%g&h/i j"
)

// start runs a service for the time of a test.
func start(t *testing.T, opts Options) *Service {
	t.Helper()
	if opts.ClientID == "" {
		opts.ClientID, opts.ClientSecret = testID, testSecret
	}
	s, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client returns an HTTP client that leaves no connection behind.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// post sends a token request and returns status, headers and body.
func post(t *testing.T, s *Service, form url.Values, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL()+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// good is a form that is granted.
func good() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {testID}, "client_secret": {testSecret}}
}

// parse verifies a token and returns its claims.
func parse(t *testing.T, s *Service, token string) claims {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var c claims
	if err := parsed.Claims(s.Key(), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOAuthLibraryGetsAToken(t *testing.T) {
	s := start(t, Options{Life: time.Hour, Tenant: "zone-1"})
	for name, style := range map[string]oauth2.AuthStyle{"params": oauth2.AuthStyleInParams, "basic": oauth2.AuthStyleInHeader} {
		t.Run(name, func(t *testing.T) {
			cfg := clientcredentials.Config{ClientID: testID, ClientSecret: testSecret, TokenURL: s.URL() + "/oauth/token", AuthStyle: style}
			token, err := cfg.Token(context.WithValue(t.Context(), oauth2.HTTPClient, client(t)))
			if err != nil {
				t.Fatal(err)
			}
			c := parse(t, s, token.AccessToken)
			if c.Zone != "zone-1" || c.ClientID != testID || c.Issuer != s.Issuer() || c.ID == "" || c.Subject != testID {
				t.Errorf("claims %+v", c)
			}
			if life := c.Expiry.Time().Sub(c.IssuedAt.Time()); life < time.Hour || life > time.Hour+time.Second {
				t.Errorf("life %v", life)
			}
			if token.Extra("expires_in") != 3600.0 || token.TokenType != "bearer" {
				t.Errorf("expires_in %v, type %q", token.Extra("expires_in"), token.TokenType)
			}
		})
	}
	if st := s.Stats(); st.Requests != 2 || st.Granted != 2 || st.ByStatus[200] != 2 || st.MaxInFlight != 1 {
		t.Errorf("stats %+v", st)
	}
	if got := len(s.Secrets()); got != 3 {
		t.Errorf("%d secrets, want the client's and two tokens", got)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, Options{Subscribers: []string{"zone-2"}})
	tests := []struct {
		name   string
		change func(url.Values, http.Header)
		status int
		code   string
	}{
		{"wrong secret", func(f url.Values, _ http.Header) { f.Set("client_secret", "x") }, 401, "unauthorized"},
		{"wrong client", func(f url.Values, _ http.Header) { f.Set("client_id", "x") }, 401, "unauthorized"},
		{"no secret", func(f url.Values, _ http.Header) { f.Del("client_secret") }, 401, "unauthorized"},
		{"no grant", func(f url.Values, _ http.Header) { f.Del("grant_type") }, 400, "invalid_request"},
		{"other grant", func(f url.Values, _ http.Header) { f.Set("grant_type", "password") }, 400, "unsupported_grant_type"},
		{"other content type", func(_ url.Values, h http.Header) { h.Set("Content-Type", "application/json") }, 415, "invalid_request"},
		{"unknown tenant", func(_ url.Values, h http.Header) { h.Set("X-Zid", "zone-9") }, 401, "unauthorized"},
		{"subscriber", func(_ url.Values, h http.Header) { h.Set("X-Zid", "zone-2") }, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			form, header := good(), http.Header{}
			tt.change(form, header)
			resp, body := post(t, s, form, header)
			var a struct{ Error string }
			if err := json.Unmarshal([]byte(body), &a); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || a.Error != tt.code {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, a.Error, tt.status, tt.code)
			}
		})
	}
	for _, path := range []string{"", "/", "/oauth", "/oauth/token/"} {
		resp, err := client(t).Post(s.URL()+path, "application/x-www-form-urlencoded", strings.NewReader(good().Encode()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("POST %q: %d, want 404", path, resp.StatusCode)
		}
	}
}

func TestSubscriberTokenCarriesItsZone(t *testing.T) {
	s := start(t, Options{Subscribers: []string{"zone-2"}})
	_, body := post(t, s, good(), http.Header{"X-Zid": {"zone-2"}})
	var a answer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	if zone := parse(t, s, a.AccessToken).Zone; zone != "zone-2" {
		t.Errorf("zone %q", zone)
	}
}

func TestSecretRotation(t *testing.T) {
	s := start(t, Options{})
	s.SetSecret("new!|")
	if resp, _ := post(t, s, good(), nil); resp.StatusCode != 401 {
		t.Errorf("old secret: %d", resp.StatusCode)
	}
	form := good()
	form.Set("client_secret", "new!|")
	if resp, _ := post(t, s, form, nil); resp.StatusCode != 200 {
		t.Errorf("new secret: %d", resp.StatusCode)
	}
}

func TestRevocation(t *testing.T) {
	set := &faults.Set{}
	defer set.Close()
	s := start(t, Options{Faults: set})
	before, _ := s.Issue(Mint{})
	if _, err := set.Add(faults.Fault{Kind: faults.TokenRevoked}); err != nil {
		t.Fatal(err)
	}
	after, _ := s.Issue(Mint{})
	if !s.Revoked(parse(t, s, before).ID) || s.Revoked(parse(t, s, after).ID) {
		t.Error("exactly the tokens before the revocation are revoked")
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		fault  faults.Fault
		status int
		check  func(t *testing.T, resp *http.Response, body string)
	}{
		{faults.Fault{Kind: faults.TokenStatus, Status: 401}, 401, nil},
		{faults.Fault{Kind: faults.TokenStatus, Status: 503}, 503, nil},
		{faults.Fault{Kind: faults.TokenStatus, Status: 429, RetryAfter: "7"}, 429, func(t *testing.T, resp *http.Response, _ string) {
			if got := resp.Header.Get("Retry-After"); got != "7" {
				t.Errorf("Retry-After %q", got)
			}
		}},
		{faults.Fault{Kind: faults.TokenHTML}, 200, func(t *testing.T, resp *http.Response, body string) {
			if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || !strings.HasPrefix(body, "<!DOCTYPE html>") {
				t.Error("no HTML")
			}
		}},
		{faults.Fault{Kind: faults.TokenError}, 200, func(t *testing.T, _ *http.Response, body string) {
			if !strings.Contains(body, `"error"`) || strings.Contains(body, "access_token") {
				t.Errorf("body %s", body)
			}
		}},
		{faults.Fault{Kind: faults.TokenHuge}, 200, func(t *testing.T, _ *http.Response, body string) {
			if n := len(accessToken(t, body)); n < hugeToken || n > hugeToken+100 {
				t.Errorf("%d bytes", n)
			}
		}},
		{faults.Fault{Kind: faults.TokenEmpty}, 200, func(t *testing.T, _ *http.Response, body string) {
			if accessToken(t, body) != "" {
				t.Error("not empty")
			}
		}},
		{faults.Fault{Kind: faults.TokenNoExpiry}, 200, func(t *testing.T, _ *http.Response, body string) {
			if strings.Contains(body, "expires_in") {
				t.Errorf("body has expires_in")
			}
		}},
		{faults.Fault{Kind: faults.TokenSlow, Delay: faults.Duration(time.Millisecond)}, 200, nil},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault.Kind), func(t *testing.T) {
			set := &faults.Set{}
			defer set.Close()
			s := start(t, Options{Faults: set})
			tt.fault.Count = 1
			if _, err := set.Add(tt.fault); err != nil {
				t.Fatal(err)
			}
			resp, body := post(t, s, good(), nil)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			if tt.check != nil {
				tt.check(t, resp, body)
			}
			if resp, body = post(t, s, good(), nil); resp.StatusCode != 200 || accessToken(t, body) == "" {
				t.Error("the fault happened more often than once")
			}
		})
	}
}

// accessToken returns the token in an answer.
func accessToken(t *testing.T, body string) string {
	t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	return a.AccessToken
}

func TestDownAndBack(t *testing.T) {
	set := &faults.Set{}
	defer set.Close()
	s := start(t, Options{Faults: set})
	url := s.URL()
	f, err := set.Add(faults.Fault{Kind: faults.TokenDown})
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := client(t).PostForm(url+"/oauth/token", good()); err == nil {
		resp.Body.Close()
		t.Error("a service that is down answered")
	}
	set.Remove(f.ID)
	if resp, _ := post(t, s, good(), nil); resp.StatusCode != 200 {
		t.Errorf("status %d after the return", resp.StatusCode)
	}
}

func TestHeldUntilRemovedOrClosed(t *testing.T) {
	set := &faults.Set{}
	defer set.Close()
	s := start(t, Options{Faults: set})
	f, err := set.Add(faults.Fault{Kind: faults.TokenSlow})
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan int, 2)
	go func() { resp, _ := post(t, s, good(), nil); result <- resp.StatusCode }()
	if err := set.Wait(t.Context(), f.ID, 1); err != nil {
		t.Fatal(err)
	}
	set.Remove(f.ID)
	if status := <-result; status != 200 {
		t.Errorf("status %d", status)
	}

	// One that is still held when the service closes does not keep it.
	if f, err = set.Add(faults.Fault{Kind: faults.TokenSlow}); err != nil {
		t.Fatal(err)
	}
	hc := client(t)
	go func() {
		if resp, err := hc.PostForm(s.URL()+"/oauth/token", good()); err == nil {
			resp.Body.Close()
		}
		result <- 0
	}()
	if err := set.Wait(t.Context(), f.ID, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-result
}

func TestRateLimit(t *testing.T) {
	s := start(t, Options{Rate: 0.001, Burst: 2})
	var last *http.Response
	for range 3 {
		last, _ = post(t, s, good(), nil)
	}
	if last.StatusCode != 429 || last.Header.Get("Retry-After") != "1000" {
		t.Errorf("status %d, Retry-After %q", last.StatusCode, last.Header.Get("Retry-After"))
	}
}

func TestKeySet(t *testing.T) {
	s := start(t, Options{})
	resp, err := client(t).Get(s.URL() + "/token_keys")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var keys jose.JSONWebKeySet
	if err := json.NewDecoder(resp.Body).Decode(&keys); err != nil {
		t.Fatal(err)
	}
	token, _ := s.Issue(Mint{})
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Claims(keys, &claims{}); err != nil {
		t.Errorf("the published key does not verify: %v", err)
	}
	if !strings.HasPrefix(s.VerificationKey(), "-----BEGIN PUBLIC KEY-----") {
		t.Error("no PEM")
	}
}

// TestCertificates: on the port for them the client's certificate stands in place of
// its secret, and nothing else does.
func TestCertificates(t *testing.T) {
	a, err := authority.New("SAP")
	if err != nil {
		t.Fatal(err)
	}
	other, err := authority.New("another authority")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{ClientID: testID, ClientSecret: testSecret, Authority: a})
	ask := func(issuer *authority.Authority, name, secret string) (int, error) {
		cert, err := issuer.Issue(authority.Request{Names: []string{name}, Client: true})
		if err != nil {
			t.Fatal(err)
		}
		c := client(t)
		c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: a.Roots(), Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {testID}}
		if secret != "" {
			form.Set("client_secret", secret)
		}
		resp, err := c.PostForm(s.CertURL()+"/oauth/token", form)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return resp.StatusCode, nil
	}
	for _, tt := range []struct {
		name, common, secret string
		issuer               *authority.Authority
		status               int
	}{
		{"its own", testID, "", a, http.StatusOK},
		{"of another client", "sb-other", "", a, http.StatusUnauthorized},
		{"with a secret", testID, testSecret, a, http.StatusUnauthorized},
		{"of another authority", testID, "", other, 0},
	} {
		if status, err := ask(tt.issuer, tt.common, tt.secret); status != tt.status || (err == nil) != (status > 0) {
			t.Errorf("%s: status %d, %v", tt.name, status, err)
		}
	}
	form := good()
	form.Del("client_secret")
	if resp, _ := post(t, s, form, nil); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a secret on the other port: %d", resp.StatusCode)
	}
}
