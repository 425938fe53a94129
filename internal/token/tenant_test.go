package token

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func TestTenantsBySubdomain(t *testing.T) {
	for _, tt := range []struct{ endpoint, subdomain, want string }{
		{"https://provider.authentication.eu10.hana.ondemand.com/oauth/token", "sub", "https://sub.authentication.eu10.hana.ondemand.com/oauth/token"},
		{"https://provider.authentication.cert.eu10.hana.ondemand.com:443/oauth/token", "sub-2", "https://sub-2.authentication.cert.eu10.hana.ondemand.com:443/oauth/token"},
		{"http://127.0.0.1:8080/oauth/token", "sub", ""},
		{"http://[::1]:8080/oauth/token", "sub", ""},
		{"http://uaa/oauth/token", "sub", ""},
	} {
		got, err := forTenant(tt.endpoint, tt.subdomain)
		if got != tt.want || (err == nil) != (got != "") {
			t.Errorf("%s for %s: %q, %v", tt.endpoint, tt.subdomain, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "name the tenant by its id") {
			t.Errorf("%v", err)
		}
		if _, wrong := ClientCredentials(Credentials{URL: tt.endpoint, ClientID: testID, Tenant: tt.subdomain}); (wrong == nil) != (err == nil) {
			t.Errorf("%s: %v", tt.endpoint, wrong)
		}
	}
}

func TestTenantsByID(t *testing.T) {
	const zone = "0f3a1b2c-1111-4222-8333-444455556666"
	var zones []string
	server := uaa(t, func(w http.ResponseWriter, r *http.Request) {
		zones = append(zones, strings.Join(r.Header.Values("X-Zid"), ","))
		answer(401, "application/json", `{"error":"unauthorized"}`)(w, r)
	})
	for _, tenant := range []string{zone, ""} {
		fetch, err := ClientCredentials(Credentials{URL: server.URL, ClientID: testID, ClientSecret: testSecret, Tenant: tenant})
		if err != nil {
			t.Fatal(err)
		}
		want, code := "status 401 unauthorized", failure.TokenRejected
		if tenant != "" {
			want, code = want+", tenant "+zone, failure.TenantRejected
		}
		if f := fetchFails(t, fetch, code, ""); f.Detail != want {
			t.Errorf("%q, want %q", f.Detail, want)
		}
	}
	if strings.Join(zones, ";") != zone+";" {
		t.Errorf("X-Zid %q", zones)
	}
}
