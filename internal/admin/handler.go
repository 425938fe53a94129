package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// serverName is the Server header of every response. [Client] uses it to distinguish the tunnel
// from another server on the port.
const serverName = "kafka-tunnel"

// An endpoint is one path with its line in the index.
type endpoint struct {
	path, line string
	localOnly  bool // shows hosts or advice
	serve      func(h *handler, w http.ResponseWriter, r *http.Request)
}

// endpoints is the table of endpoints.
func endpoints() []endpoint {
	return []endpoint{
		{"/startup", "200 once all ports are bound", false, (*handler).startup},
		{"/livez", "200 while the tunnel works; does not check whether brokers can be reached", false, (*handler).livez},
		{"/readyz", "200 if brokers can be reached (ready, degraded), else 503 (down), with the reasons (?cluster=NAME for one cluster); not for liveness", false, (*handler).readyz},
		{"/metrics", "metrics for Prometheus", false, (*handler).metrics},
		{"/status", "what the tunnel is doing, as JSON", true, (*handler).status},
		{"/tap", "frames as they pass, for kafka-tunnel tap; requires admin.tap", true, (*handler).tap},
		{"/", "this page", true, (*handler).index},
	}
}

// handler serves one listener's requests.
type handler struct {
	s     *Server
	local bool // the listener is on loopback
	paths map[string]endpoint
}

func (s *Server) handler(local bool) http.Handler {
	h := &handler{s: s, local: local, paths: map[string]endpoint{}}
	for _, e := range endpoints() {
		if local || !e.localOnly {
			h.paths[e.path] = e
		}
	}
	return h
}

// ServeHTTP applies the rules for all endpoints and calls the requested one.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Server", serverName)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if h.local && !hostAllowed(r.Host) {
		plainText(w, http.StatusForbidden, "Use an IP address or localhost in the URL: other names are refused.\n")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		plainText(w, http.StatusMethodNotAllowed, "Only GET and HEAD are allowed.\n")
		return
	}
	e, ok := h.paths[r.URL.Path]
	if !ok {
		h.notFound(w, r.URL.Path)
		return
	}
	e.serve(h, w, r)
}

func (h *handler) notFound(w http.ResponseWriter, path string) {
	text := "This path does not exist.\n"
	for _, e := range endpoints() {
		if e.localOnly && e.path == path {
			text = "Available on loopback only: admin.listen is not a loopback address.\n"
		}
	}
	plainText(w, http.StatusNotFound, text)
}

func (h *handler) startup(w http.ResponseWriter, _ *http.Request) {
	if !h.s.Source.Bound() {
		plainText(w, http.StatusServiceUnavailable, "not all ports are bound\n")
		return
	}
	plainText(w, http.StatusOK, "ok\n")
}

func (h *handler) livez(w http.ResponseWriter, _ *http.Request) {
	switch err := h.s.Source.Alive(); {
	case err == nil:
		plainText(w, http.StatusOK, "ok\n")
	case h.local:
		plainText(w, http.StatusServiceUnavailable, err.Error()+"\n")
	default:
		plainText(w, http.StatusServiceUnavailable, "not alive\n")
	}
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	cluster, err := clusterOf(r.URL.RawQuery)
	if err != nil {
		plainText(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	ready := h.s.Source.Ready(r.Context(), cluster)
	if cluster != "" && len(ready.Clusters) == 0 {
		plainText(w, http.StatusNotFound, "There is no cluster with this name.\n")
		return
	}
	if !h.local {
		ready = ready.withoutHosts()
	}
	status := http.StatusOK
	if !ready.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, ready.filled())
}

// clusterOf returns the cluster that a query names; "" if it names none.
func clusterOf(rawQuery string) (string, error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return "", fmt.Errorf("the query is malformed; supported: ?cluster=NAME")
	}
	names, asked := query["cluster"]
	if len(query) > 1 || (len(query) == 1 && !asked) {
		return "", fmt.Errorf("unknown parameter; supported: ?cluster=NAME")
	}
	if !asked {
		return "", nil
	}
	if len(names) != 1 || names[0] == "" {
		return "", fmt.Errorf("?cluster=NAME accepts one name")
	}
	return names[0], nil
}

func (h *handler) metrics(w http.ResponseWriter, r *http.Request) {
	if h.s.Metrics == nil {
		plainText(w, http.StatusNotFound, "Metrics are not available.\n")
		return
	}
	h.s.Metrics.ServeHTTP(w, r)
}

func (h *handler) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, h.s.Source.Status().filled())
}

func (h *handler) index(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	for _, e := range endpoints() {
		fmt.Fprintf(&b, "%-10s %s\n", e.path, e.line)
	}
	b.WriteByte('\n')
	Render(&b, h.s.Source.Status()) //nolint:errcheck // a Builder returns no error
	plainText(w, http.StatusOK, b.String())
}

// hostAllowed reports whether a Host header is an IP address or localhost, with or without a
// port. A request of HTTP/1.0 may have none: no browser sends such a request.
func hostAllowed(host string) bool {
	if host == "" {
		return true
	}
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	if name, port, found := strings.Cut(host, ":"); strings.EqualFold(name, "localhost") {
		_, err := strconv.ParseUint(port, 10, 16)
		return !found || err == nil
	}
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		ip, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && ip.Is6()
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(text))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)              // advice contains >, and people read it
	if err := encoder.Encode(v); err != nil { // only a value that JSON cannot represent, such as an infinite age
		plainText(w, http.StatusInternalServerError, "The response cannot be encoded as JSON.\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body.Bytes())
}
