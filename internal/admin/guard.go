package admin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// maxAnswers limits how many responses of unbounded size (/status, /metrics) exist at once.
const maxAnswers = 8

// A guard checks requests before they reach the handler: it refuses pages of other sites
// anything that shows hosts, and limits the number of concurrent large responses.
type guard struct {
	handler http.Handler
	local   bool
	answers chan struct{} // holds a token for each large response that is being written
}

// ServeHTTP implements [http.Handler].
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.local && foreign(r) {
		w.Header().Set("Server", serverName)
		w.Header().Set("Cache-Control", "no-store")
		plainText(w, http.StatusForbidden, "Requests from pages of other sites are refused.\n")
		return
	}
	switch r.URL.Path {
	case "/startup", "/livez", "/readyz": // small, and never wait for others
	case "/tap": // only one viewer, for a long time
	default:
		wait := time.NewTimer(writeTimeout / 2)
		defer wait.Stop()
		select {
		case g.answers <- struct{}{}:
			defer func() { <-g.answers }()
		case <-r.Context().Done():
			return
		case <-wait.C:
			w.Header().Set("Server", serverName)
			w.Header().Set("Retry-After", "5")
			plainText(w, http.StatusServiceUnavailable, "Too many concurrent requests: other clients do not read their responses.\n")
			return
		}
	}
	g.handler.ServeHTTP(w, r)
}

// foreign reports whether a page of another site makes a browser request something that shows
// hosts, or /tap, which would end the current viewer. Only browsers send these headers (Fetch
// Metadata, RFC 6454).
func foreign(r *http.Request) bool {
	switch r.URL.Path {
	case "/startup", "/livez", "/metrics":
		return false
	}
	if origins := r.Header.Values("Origin"); len(origins) > 1 || len(origins) == 1 && !ownOrigin(origins[0], r.Host) {
		return true
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	// Only the user who follows a link sees the page.
	followed := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return r.URL.Path == "/tap" || !followed
}

// ownOrigin reports whether a page of origin comes from this server: from a loopback address or
// localhost, and from the port that the request names.
func ownOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" {
		return false
	}
	if name := u.Hostname(); !strings.EqualFold(name, "localhost") {
		ip, err := netip.ParseAddr(name)
		if err != nil || !ip.IsLoopback() {
			return false
		}
	}
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		port = ""
	}
	return u.Port() == port
}
