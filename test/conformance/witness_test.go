//go:build conformance

package conformance

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
)

// TestIndependentWitness: a published client of SAP's authentication method that
// knows nothing of ours reaches a broker through the lab's connectivity proxy.
// If the lab and the tunnel misread SAP's bytes in the same way, this fails.
func TestIndependentWitness(t *testing.T) {
	const unknownHost = "kafka-9." + realDomain + ":9092"
	for _, tt := range []struct {
		name             string
		connector, asked string // Location IDs
		target           string // empty: a broker
		spoil            bool   // a token that is not quite right
		want             string // error; empty: an answer from the broker
	}{
		{name: "no Location ID"},
		{name: "Location ID", connector: "PLANT 1/Süd", asked: "PLANT 1/Süd"},
		{name: "other Location ID", connector: "PLANT 1/Süd", asked: "PLANT2", want: "CONNECT_NET_UNREACHABLE"},
		{name: "Location ID left out", connector: "PLANT 1/Süd", want: "CONNECT_NET_UNREACHABLE"},
		{name: "host that is not exposed", target: unknownHost, want: "CONNECT_RULESET"},
		{name: "spoilt token", spoil: true, want: "AUTH_SAPCLOUD_REJECT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := lab.Start(deadline(t), lab.Options{Brokers: 1, LocationID: tt.connector})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
			c := credentials(t, l.Env())
			token := c.token(t)
			if tt.spoil {
				token = token[:len(token)-8] + "AAAAAAAA"
			}
			target := tt.target
			if target == "" {
				target = l.Bootstrap()[0]
			}
			host, port, err := net.SplitHostPort(target)
			if err != nil {
				t.Fatal(err)
			}
			cmd := node(t, "hdb", "witness.js")
			cmd.Env = append(cmd.Env, "PROXY_HOST="+c.Host, "PROXY_PORT="+c.Port, "PROXY_TOKEN="+token,
				"PROXY_LOCATION="+tt.asked, "TARGET_HOST="+host, "TARGET_PORT="+port)
			out := runTool(t, cmd)
			var answer struct {
				APIs  int
				Error string
			}
			if err := json.Unmarshal(out, &answer); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
			t.Logf("%s", out)
			if tt.want == "" && (answer.Error != "" || answer.APIs < 10) || !strings.Contains(answer.Error, tt.want) {
				t.Errorf("answer %+v, want error %q", answer, tt.want)
			}
			if v := l.Proxy().Violations(); len(v) > 0 {
				t.Errorf("the proxy objects to the witness's bytes: %q", v)
			}
		})
	}
}

// A binding is what the connectivity service gives an application.
type binding struct {
	Host     string `json:"onpremise_proxy_host"`
	Port     string `json:"onpremise_socks5_proxy_port"`
	ClientID string `json:"clientid"`
	Secret   string `json:"clientsecret"`
	TokenURL string `json:"token_service_url"`
}

// credentials finds the binding in an environment.
func credentials(t *testing.T, env []string) binding {
	t.Helper()
	for _, kv := range env {
		value, ok := strings.CutPrefix(kv, "VCAP_SERVICES=")
		if !ok {
			continue
		}
		var services struct {
			Connectivity []struct{ Credentials binding }
		}
		if err := json.Unmarshal([]byte(value), &services); err != nil || len(services.Connectivity) != 1 {
			t.Fatalf("VCAP_SERVICES: %v", err)
		}
		return services.Connectivity[0].Credentials
	}
	t.Fatal("no VCAP_SERVICES")
	return binding{}
}

// token fetches a token as SAP documents it.
func (b binding) token(t *testing.T) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {b.ClientID}, "client_secret": {b.Secret}}
	req, err := http.NewRequestWithContext(deadline(t), http.MethodPost, b.TokenURL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := web().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK || answer.Token == "" {
		t.Fatalf("no token: %s, %v", resp.Status, err)
	}
	return answer.Token
}

// TestWitnessInLandscapeProcess: the same from another process, with nothing but
// the environment file that `lab --landscape-only` writes.
func TestWitnessInLandscapeProcess(t *testing.T) {
	l := startLandscape(t, "--brokers", "1")
	c := credentials(t, l.env)
	bootstrap, _, _ := strings.Cut(l.get("KAFKA_TUNNEL_BOOTSTRAP"), ",")
	host, port, err := net.SplitHostPort(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	cmd := node(t, "hdb", "witness.js")
	cmd.Env = append(cmd.Env, "PROXY_HOST="+c.Host, "PROXY_PORT="+c.Port, "PROXY_TOKEN="+c.token(t),
		"TARGET_HOST="+host, "TARGET_PORT="+port)
	if out := string(runTool(t, cmd)); !strings.Contains(out, `"apis"`) {
		t.Errorf("the witness says %s", out)
	}
}
