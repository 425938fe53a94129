//go:build conformance

package conformance

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
)

// hugeToken is the length of a token that is longer than any buffer of 32 KB.
const hugeToken = 40 << 10

// A witness is a published client of SAP's authentication method by other authors, with a small
// program around it. It runs unmodified.
type witness struct {
	name    string
	command func(t *testing.T) *exec.Cmd
	says    map[string]string // its messages for the proxy's results
	literal bool              // it sends IP addresses as such, not as domain names
}

var witnesses = []witness{
	{
		name:    "hdb",
		command: func(t *testing.T) *exec.Cmd { return node(t, "hdb", "witness.js") },
		says: map[string]string{
			proxy.AuthStatus: "AUTH_SAPCLOUD_REJECT",
			proxy.Reply(2):   "CONNECT_RULESET",
			proxy.Reply(3):   "CONNECT_NET_UNREACHABLE",
			proxy.Reply(4):   "CONNECT_HOST_UNREACHABLE",
			proxy.Reply(5):   "CONNECT_CONN_REFUSED",
		},
	},
	{
		name:    "mailclient",
		command: func(t *testing.T) *exec.Cmd { return node(t, "mailclient", "witness.js") },
		says: map[string]string{
			proxy.AuthStatus: "Authentication failed",
			proxy.Reply(2):   "NotAllowed",
			proxy.Reply(3):   "NetworkUnreachable",
			proxy.Reply(4):   "HostUnreachable",
			proxy.Reply(5):   "ConnectionRefused",
			proxy.Reply(8):   "AddressNotSupported",
		},
		literal: true,
	},
	{
		name:    "pysocket",
		command: func(t *testing.T) *exec.Cmd { return python(t, "pysocket", "witness.py") },
		says: map[string]string{
			proxy.AuthStatus: "AUTH FAILED FAILURE",
			proxy.Reply(2):   "FORBIDDEN",
			proxy.Reply(3):   "NETWORK_UNREACHABLE",
			proxy.Reply(4):   "HOST_UNREACHABLE",
			proxy.Reply(5):   "CONNECTION_REFUSED",
			proxy.Reply(8):   "ADDRESS_UNSUPPORTED",
			proxy.Violation:  "NOT ENOUGH BYTES",
		},
		literal: true,
	},
}

// ask makes the witness connect and request a broker's APIs. It returns their number, or the
// witness's error.
func (w witness) ask(t *testing.T, b binding, token, location, target string) (apis int, failure string) {
	t.Helper()
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command(t)
	cmd.Env = append(cmd.Env, "PROXY_HOST="+b.Host, "PROXY_PORT="+b.Port, "PROXY_TOKEN="+token,
		"PROXY_LOCATION="+location, "TARGET_HOST="+host, "TARGET_PORT="+port)
	out := runTool(t, cmd)
	t.Logf("%s", out)
	var answer struct {
		APIs  int
		Error string
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return answer.APIs, answer.Error
}

// TestIndependentWitness: published clients of SAP's authentication method, which share nothing
// with ours, reach a broker through the lab's connectivity proxy, or are refused in a way that
// they understand. If the lab and the tunnel misread SAP's bytes in the same way, this fails.
func TestIndependentWitness(t *testing.T) {
	const (
		domainTarget = "kafka-1." + realDomain + ":9092"
		ipv4Target   = "10.20.30.40:9092"
	)
	// 194 bytes, because pysocket writes the length as UTF-8: from 128 on it takes two bytes,
	// so no such host can be reached. The proxy reads this length completely and refuses at
	// once, instead of waiting for more.
	longHost := strings.Repeat("a23456789.", 18) + realDomain
	for _, tt := range []struct {
		name             string
		connector, asked string            // Location IDs
		target           string            // empty: domainTarget
		bad              tokenservice.Mint // another token, if not empty
		spoil            bool              // a token with a wrong signature
		fault            faults.Fault      // if it has a kind
		want             string            // the proxy's result; empty: it connects
		other            map[string]string // the same for witnesses that differ
	}{
		{name: "no Location ID"},
		{name: "Location ID", connector: "PLANT 1/Süd", asked: "PLANT 1/Süd"},
		// 252 bytes as base64: all bits of the length count.
		{name: "long Location ID", connector: strings.Repeat("PLANT 1/Süd ", 14) + "1234567", asked: strings.Repeat("PLANT 1/Süd ", 14) + "1234567"},
		{name: "other Location ID", connector: "PLANT 1/Süd", asked: "PLANT2", want: proxy.Reply(3)},
		{name: "Location ID left out", connector: "PLANT 1/Süd", want: proxy.Reply(3)},
		{name: "IPv4 target", target: ipv4Target},
		{name: "IPv4 target, Location ID", connector: "PLANT2", asked: "PLANT2", target: ipv4Target},
		// SAP has no IPv6. hdb asks for a host of that name, which is not exposed.
		{name: "IPv6 target", target: "[fd00::1]:9092", want: proxy.Reply(8), other: map[string]string{"hdb": proxy.Reply(2)}},
		{name: "long host", target: longHost + ":9092", other: map[string]string{"pysocket": proxy.Violation}},
		{name: "host that is not exposed", target: "kafka-9." + realDomain + ":9092", want: proxy.Reply(2)},
		{name: "IPv4 target that is not exposed", target: "10.20.30.41:9092", want: proxy.Reply(2)},
		{name: "dead backend", fault: faults.Fault{Kind: faults.BrokerDown}, want: proxy.Reply(4)},
		{name: "dead backend, IPv4 target", target: ipv4Target, fault: faults.Fault{Kind: faults.BrokerDown}, want: proxy.Reply(4)},
		{name: "token of 40 KB", fault: faults.Fault{Kind: faults.TokenHuge, Bytes: hugeToken}},
		{name: "token of 40 KB, Location ID", connector: "PLANT2", asked: "PLANT2", fault: faults.Fault{Kind: faults.TokenHuge, Bytes: hugeToken}},
		{name: "token with a wrong signature", spoil: true, want: proxy.AuthStatus},
		{name: "token that has expired", bad: tokenservice.Mint{Life: -time.Minute}, want: proxy.AuthStatus},
		{name: "token of another tenant", bad: tokenservice.Mint{Tenant: "elsewhere"}, want: proxy.AuthStatus},
		// SAP also has a reply for it, in addition to the status in the cases above.
		{name: "wrong token, refused in the reply", spoil: true, fault: faults.Fault{Kind: faults.BadToken, Mode: faults.ModeReply}, want: proxy.Reply(5)},
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
			for _, host := range []string{"10.20.30.40", longHost} {
				entry := connector.Entry{Host: host, First: 9092, Internal: "kafka-1." + realDomain, InternalFirst: 9092}
				if err := l.Connector().Allow(entry); err != nil {
					t.Fatal(err)
				}
			}
			if tt.fault.Kind != "" {
				if _, err := l.Faults().Add(tt.fault); err != nil {
					t.Fatal(err)
				}
			}
			b := credentials(t, l.Env())
			token := b.token(t)
			switch {
			case tt.spoil:
				token = token[:len(token)-8] + "AAAAAAAA"
			case tt.bad != (tokenservice.Mint{}):
				if token, err = l.Tokens().Issue(tt.bad); err != nil {
					t.Fatal(err)
				}
			case tt.fault.Kind == faults.TokenHuge && len(token) < hugeToken:
				t.Fatalf("the token has %d bytes", len(token))
			}
			target := cmp.Or(tt.target, domainTarget)
			for _, w := range witnesses {
				t.Run(w.name, func(t *testing.T) {
					before := len(l.Proxy().Connects())
					want := cmp.Or(tt.other[w.name], tt.want, proxy.Granted)
					apis, failure := w.ask(t, b, token, tt.asked, target)
					said, known := w.says[want]
					if want == proxy.Granted {
						if failure != "" || apis < 10 {
							t.Errorf("%d APIs, error %q; want an answer of the broker", apis, failure)
						}
					} else if !known || !strings.Contains(failure, said) {
						t.Errorf("%d APIs, error %q; want the error %q for %s", apis, failure, said, want)
					}
					seen := l.Proxy().Connects()[before:]
					if len(seen) != 1 {
						t.Fatalf("the proxy saw %+v", seen)
					}
					w.check(t, seen[0], want, tt.asked, target)
				})
			}
		})
	}
}

// check compares what the proxy saw of the witness with the expectation.
func (w witness) check(t *testing.T, seen proxy.Connect, result, location, target string) {
	t.Helper()
	if seen.Result != result || seen.LocationID != location {
		t.Errorf("the proxy saw %+v, want %s with Location ID %q", seen, result, location)
	}
	if seen.Target == "" {
		return // refused before its request
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		t.Fatal(err)
	}
	domain := !w.literal || net.ParseIP(host) == nil
	if domain {
		target = host + ":" + port // no brackets around a name
	}
	if seen.Target != target || seen.Domain != domain {
		t.Errorf("the proxy saw %+v, want target %s, as a domain name %t", seen, target, domain)
	}
}

// A binding has the credentials of the connectivity service.
type binding struct {
	Host     string `json:"onpremise_proxy_host"`
	Port     string `json:"onpremise_socks5_proxy_port"`
	ClientID string `json:"clientid"`
	Secret   string `json:"clientsecret"`
	TokenURL string `json:"token_service_url"`
}

// credentials returns the binding in an environment.
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

// token fetches a token according to SAP's documentation.
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

// TestWitnessInLandscapeProcess: the same with a lab in another process, configured only by the
// environment file that `lab --landscape-only` writes.
func TestWitnessInLandscapeProcess(t *testing.T) {
	l := startLandscape(t, "--brokers", "1")
	b := credentials(t, l.env)
	token := b.token(t)
	bootstrap, _, _ := strings.Cut(l.get("KAFKA_TUNNEL_BOOTSTRAP"), ",")
	for _, w := range witnesses {
		t.Run(w.name, func(t *testing.T) {
			if apis, failure := w.ask(t, b, token, "", bootstrap); apis < 10 {
				t.Errorf("%d APIs, error %q", apis, failure)
			}
		})
	}
}
