package tokenservice

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// maxForm limits the body of a token request.
const maxForm = 64 << 10

// hugeToken is the default size of a token with the fault token_huge.
const hugeToken = 200 << 10

// Handler returns the routes, also for tests with a fake clock. All other paths, including the
// base URL, are 404, like at XSUAA.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/oauth/token", func(w http.ResponseWriter, r *http.Request) { s.serveToken(w, r, s.authorise) })
	if s.opts.Identity.Resource != "" {
		mux.HandleFunc("/oauth2/token", func(w http.ResponseWriter, r *http.Request) { s.serveToken(w, r, s.authoriseIdentity) })
	}
	mux.HandleFunc("GET /token_keys", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.keySet())
	})
	return mux
}

// A check decides which token a request gets. status is 0 if it gets one.
type check func(w http.ResponseWriter, r *http.Request) (m Mint, status int, code, text string)

// serveToken is POST /oauth/token and /oauth2/token.
func (s *Service) serveToken(w http.ResponseWriter, r *http.Request, authorise check) {
	defer s.begin()()
	if !s.wait(r.Context()) {
		return
	}
	if s.applyFault(w) {
		return
	}
	if s.limiter != nil && !s.limiter.Allow() {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(1/s.opts.Rate))))
		s.refuse(w, http.StatusTooManyRequests, "too_many_requests", "Rate limit exceeded")
		return
	}
	m, status, code, text := authorise(w, r)
	if status != 0 {
		s.refuse(w, status, code, text)
		return
	}
	s.grant(w, m)
}

// begin counts a request and returns a function to call at its end.
func (s *Service) begin() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Requests++
	s.running++
	s.stats.MaxInFlight = max(s.stats.MaxInFlight, s.running)
	return func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}
}

// wait holds a request as long as the faults require. It reports whether the client is still
// connected.
func (s *Service) wait(ctx context.Context) bool {
	f, slow := s.opts.Faults.Take(faults.TokenSlow, faults.Where{})
	if !slow {
		return true
	}
	return s.opts.Faults.Hold(ctx, f)
}

// applyFault answers instead of the service if a fault requires it.
func (s *Service) applyFault(w http.ResponseWriter) bool {
	if f, ok := s.opts.Faults.Take(faults.TokenStatus, faults.Where{}); ok {
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		s.refuse(w, f.Status, statusCode(f.Status), http.StatusText(f.Status))
		return true
	}
	if f, ok := s.opts.Faults.Take(faults.TokenHTML, faults.Where{}); ok {
		status := f.Status
		if status == 0 {
			status = http.StatusOK
		}
		s.count(status)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		w.Write([]byte("<!DOCTYPE html><html><head><title>Log on</title></head><body>Please log on.</body></html>\n"))
		return true
	}
	if _, ok := s.opts.Faults.Take(faults.TokenError, faults.Where{}); ok {
		s.refuse(w, http.StatusOK, "server_error", "An internal error occurred")
		return true
	}
	return false
}

// statusCode returns the OAuth error for an HTTP status.
func statusCode(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "invalid_client"
	case status == http.StatusForbidden:
		return "access_denied"
	case status == http.StatusTooManyRequests:
		return "too_many_requests"
	case status >= 500:
		return "server_error"
	}
	return "invalid_request"
}

// authorise is the check of XSUAA.
func (s *Service) authorise(w http.ResponseWriter, r *http.Request) (m Mint, status int, code, text string) {
	if status, code, text = s.form(w, r); status != 0 {
		return m, status, code, text
	}
	id, known := s.known(r)
	if !known {
		return m, http.StatusUnauthorized, "unauthorized", badCredentials(w)
	}
	m.ClientID = id
	if status, code, text = grantType(r); status != 0 {
		return m, status, code, text
	}
	if zone := r.Header.Get("X-Zid"); zone != "" && zone != s.opts.Tenant {
		_, refused := s.opts.Faults.Take(faults.TenantRefused, faults.Where{Target: zone})
		if refused || !slices.Contains(s.opts.Subscribers, zone) {
			return m, http.StatusUnauthorized, "unauthorized", "No such identity zone"
		}
		m.Tenant = zone
	}
	return m, 0, "", ""
}

// authoriseIdentity is the check of IAS.
func (s *Service) authoriseIdentity(w http.ResponseWriter, r *http.Request) (m Mint, status int, code, text string) {
	if status, code, text = s.form(w, r); status != 0 {
		return m, status, code, text
	}
	id, secret := credentials(r)
	if own := s.opts.Identity; id != own.ClientID || subtle.ConstantTimeCompare([]byte(secret), []byte(own.Secret)) != 1 {
		return m, http.StatusUnauthorized, "invalid_client", badCredentials(w)
	}
	if status, code, text = grantType(r); status != 0 {
		return m, status, code, text
	}
	_, refused := s.opts.Faults.Take(faults.ResourceRefused, faults.Where{})
	if refused || r.PostForm.Get("resource") != s.opts.Identity.Resource {
		return m, http.StatusBadRequest, "invalid_target", "The resource is not known"
	}
	return Mint{ClientID: id, Issuer: s.IdentityIssuer()}, 0, "", ""
}

func badCredentials(w http.ResponseWriter) string {
	w.Header().Set("WWW-Authenticate", `Basic realm="UAA/client", error="unauthorized", error_description="Bad credentials"`)
	return "Bad credentials"
}

// form parses the form of a request.
func (s *Service) form(w http.ResponseWriter, r *http.Request) (status int, code, text string) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, "method_not_allowed", "Request method not supported"
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return http.StatusUnsupportedMediaType, "invalid_request", "Content type not supported"
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return http.StatusBadRequest, "invalid_request", "The form cannot be read"
	}
	return 0, "", ""
}

func grantType(r *http.Request) (status int, code, text string) {
	switch r.PostForm.Get("grant_type") {
	case "client_credentials":
		return 0, "", ""
	case "":
		return http.StatusBadRequest, "invalid_request", "Missing grant type"
	default:
		return http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant type"
	}
}

// known returns the client of a request, if it is known: by its secret or, on the port for
// certificates, by its verified certificate.
func (s *Service) known(r *http.Request) (string, bool) {
	id, secret := credentials(r)
	want, known := s.opts.Clients[id]
	if subtle.ConstantTimeCompare([]byte(id), []byte(s.opts.ClientID)) == 1 {
		want, known = s.Secret(), true
	}
	if r.TLS != nil {
		return id, known && secret == "" && len(r.TLS.PeerCertificates) > 0 && r.TLS.PeerCertificates[0].Subject.CommonName == id
	}
	return id, known && subtle.ConstantTimeCompare([]byte(secret), []byte(want)) == 1
}

// credentials returns client id and secret from the form or from HTTP Basic, where they are
// form-encoded (RFC 6749 section 2.3.1), which some clients omit.
func credentials(r *http.Request) (id, secret string) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	if v, err := url.QueryUnescape(id); err == nil {
		id = v
	}
	if v, err := url.QueryUnescape(secret); err == nil {
		secret = v
	}
	return id, secret
}

// answer is the body of a successful response.
type answer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in,omitempty"`
	Scope       string `json:"scope"`
	ID          string `json:"jti"`
}

// grant answers with a token.
func (s *Service) grant(w http.ResponseWriter, m Mint) {
	if f, ok := s.opts.Faults.Take(faults.TokenHuge, faults.Where{}); ok {
		if m.Bytes = int(f.Bytes); m.Bytes == 0 {
			m.Bytes = hugeToken
		}
	}
	token, jti, err := s.issue(m, time.Now())
	if err != nil {
		s.opts.Logger.Error("token service cannot sign", "error", err)
		s.refuse(w, http.StatusInternalServerError, "server_error", "Signing failed")
		return
	}
	a := answer{AccessToken: token, TokenType: "bearer", ExpiresIn: int64(s.opts.Life / time.Second), Scope: "uaa.resource", ID: jti}
	if _, ok := s.opts.Faults.Take(faults.TokenEmpty, faults.Where{}); ok {
		a.AccessToken = ""
	}
	if _, ok := s.opts.Faults.Take(faults.TokenNoExpiry, faults.Where{}); ok {
		a.ExpiresIn = 0
	}
	s.mu.Lock()
	s.stats.Granted++
	s.mu.Unlock()
	s.count(http.StatusOK)
	s.opts.Logger.Debug("token issued", "client", s.opts.ClientID, "jti", jti)
	writeJSON(w, http.StatusOK, a)
}

// refuse answers with an OAuth error.
func (s *Service) refuse(w http.ResponseWriter, status int, code, text string) {
	s.count(status)
	s.opts.Logger.Debug("token refused", "status", status, "reason", code)
	writeJSON(w, status, map[string]string{"error": code, "error_description": text})
}

// count counts a response.
func (s *Service) count(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.ByStatus[status]++
}

// writeJSON writes a JSON response that must not be cached.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
