package admin

import (
	"net/http"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// TestOtherSitesAreRefused: a page of another site does not make a browser end a viewer or
// read hosts.
func TestOtherSitesAreRefused(t *testing.T) {
	base := serve(t, &Server{Source: trouble(), Tap: &tap.Tap{}})
	port := base[len("http://127.0.0.1"):]
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, tt := range []struct {
		name, path string
		headers    []string
		refused    bool
	}{
		{"no browser", "/tap", nil, false},
		{"its own page", "/tap", []string{"Origin", base, "Sec-Fetch-Site", "same-origin"}, false},
		{"its own page by another name", "/tap", []string{"Origin", "http://localhost" + port}, false},
		{"its own page by IPv6", "/tap", []string{"Origin", "http://[::1]" + port}, false},
		{"an address that was typed", "/tap", []string{"Sec-Fetch-Site", "none"}, false},
		{"another site", "/tap", []string{"Origin", "https://example.com"}, true},
		{"another port", "/tap", []string{"Origin", "http://localhost:1"}, true},
		{"the port of its scheme", "/tap", []string{"Origin", "http://localhost"}, true},
		{"TLS", "/tap", []string{"Origin", "https://localhost" + port}, true},
		{"a name", "/tap", []string{"Origin", "http://localhost.example.com" + port}, true},
		{"an address that is not here", "/tap", []string{"Origin", "http://10.0.0.1" + port}, true},
		{"a sandbox", "/tap", []string{"Origin", "null"}, true},
		{"nothing", "/tap", []string{"Origin", ""}, true},
		{"an image in another site", "/tap", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, true},
		{"another port of this host", "/tap", []string{"Sec-Fetch-Site", "same-site"}, true},
		{"a link in another site", "/tap", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, true},
		{"a link to the status", "/status", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, false},
		{"the status in a frame", "/status", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, true},
		{"the status in a script", "/status", []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"the page in a script", "/", []string{"Origin", "http://example.com"}, true},
		{"readiness in a script", "/readyz", []string{"Origin", "http://example.com"}, true},
		{"liveness has no hosts", "/livez", []string{"Origin", "http://example.com"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, base+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Set(tt.headers[i], tt.headers[i+1])
			}
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := response.StatusCode == http.StatusForbidden; got != tt.refused {
				t.Errorf("status %d", response.StatusCode)
			}
		})
	}
}
