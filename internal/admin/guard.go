package admin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// maxAnswers bounds how many answers of unbounded size (/status, /metrics) exist at once.
const maxAnswers = 8

// A guard applies to requests before they reach the handler: pages of other sites do not get
// what shows hosts, and large answers are made a few at a time.
type guard struct {
	handler http.Handler
	local   bool
	answers chan struct{} // one for each large answer that is being written
}

// ServeHTTP implements [http.Handler].
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.local && foreign(r) {
		w.Header().Set("Server", serverName)
		w.Header().Set("Cache-Control", "no-store")
		plainText(w, http.StatusForbidden, "Pages of other sites are refused here.\n")
		return
	}
	switch r.URL.Path {
	case "/startup", "/livez", "/readyz": // small, and never wait for the others
	case "/tap": // one viewer, who stays
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
			plainText(w, http.StatusServiceUnavailable, "Too many requests at once: other clients do not read their answers.\n")
			return
		}
	}
	g.handler.ServeHTTP(w, r)
}

// foreign reports whether the page of another site makes a browser ask for what shows hosts,
// or for /tap, which ends the viewer before it. Nothing but a browser sends these headers
// (Fetch Metadata, RFC 6454).
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
	// A link that a person follows shows the page to that person alone.
	followed := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return r.URL.Path == "/tap" || !followed
}

// ownOrigin reports whether a page of origin comes from this server: from a loopback address
// or localhost, and from the port that the request names.
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
