package binding

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fixture(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFindConnectivity(t *testing.T) {
	lite := Connectivity{
		Name: "my-connectivity", ProxyHost: "connectivityproxy.internal.cf.example.com", ProxyPort: 20004,
		Client: Client{ClientID: "sb-clone1!b1|connectivity!b5", ClientSecret: "s3cr3t!|$x+/=", TokenURL: "https://sub.authentication.example.com/oauth/token"}, Source: "VCAP_SERVICES",
	}
	a := Connectivity{
		Name: "binding-of-a", ProxyHost: "proxy-a.example.com", ProxyPort: 20004,
		Client: Client{ClientID: "client-a", ClientSecret: "s3cr3t-a", TokenURL: "https://a.example.com/oauth/token"}, Source: "VCAP_SERVICES",
	}
	b := Connectivity{
		Name: "conn-b", ProxyHost: "10.0.0.7", ProxyPort: 20004,
		Client: Client{ClientID: "client-b", ClientSecret: "s3cr3t-b", TokenURL: "https://b.example.com/oauth/token"}, Source: "VCAP_SERVICES",
	}
	c := Connectivity{
		Name: "conn-copy", ProxyHost: "proxy-c.example.com", ProxyPort: 20004,
		Client: Client{ClientID: "client-c", ClientSecret: "s3cr3t-c", TokenURL: "https://c.example.com/oauth/token"}, Source: "VCAP_SERVICES",
	}
	for _, test := range []struct {
		name, fixture, service string
		want                   Connectivity
	}{
		{"the only one", "lite.json", "", lite},
		{"the only one, by name", "lite.json", "my-connectivity", lite},
		{"by the name of the instance", "two.json", "conn-a", a},
		{"by the name of the binding", "two.json", "binding-of-a", a},
		{"numeric port, old url", "two.json", "conn-b", b},
		{"names in another case", "two.json", "CONN-B", b},
		{"user-provided", "user-provided.json", "", c},
		{"user-provided, by name", "user-provided.json", "conn-copy", c},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := FindConnectivity([]string{"VCAP_SERVICES=" + fixture(t, test.fixture)}, Choice{Service: test.service})
			if err != nil {
				t.Fatal(err)
			}
			if *got != test.want {
				t.Errorf("got %#v with secret %q, want %#v with secret %q", *got, got.ClientSecret.Reveal(), test.want, test.want.ClientSecret.Reveal())
			}
		})
	}
}

// TestX509: a certificate in place of the secret, and another URL.
func TestX509(t *testing.T) {
	a, err := authority.New("SAP")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Issue(authority.Request{Names: []string{"id"}, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	chain, key, err := authority.Encode(cert)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(string) string{
		"as it is":     func(text string) string { return text },
		"lines folded": func(text string) string { return strings.ReplaceAll(text, "\n", `\n`) },
	} {
		changes, err := json.Marshal(map[string]any{
			"clientsecret": nil, "credential-type": "x509", "certurl": "https://sub.authentication.cert.example.com",
			"certificate": change(chain), "key": change(key),
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := FindConnectivity([]string{"VCAP_SERVICES=" + credentials(t, string(changes))}, Choice{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.TokenURL != "https://sub.authentication.cert.example.com/oauth/token" || got.Certificate != strings.TrimSpace(change(chain)) || got.Key.Reveal() != change(key) || got.ClientSecret != "" {
			t.Errorf("%s: %+v", name, got)
		}
		if text := fmt.Sprintf("%+v %#v", *got, *got); strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("%s: the key is printed", name)
		}
	}
}

func TestPlanForTheAPIIsNoCandidate(t *testing.T) {
	environ := []string{"VCAP_SERVICES=" + fixture(t, "api-access.json")}
	got, err := FindConnectivity(environ, Choice{})
	if err != nil || got.Name != "conn-lite" {
		t.Errorf("FindConnectivity = %v, %v, want conn-lite", got, err)
	}
	_, err = FindConnectivity(environ, Choice{Service: "conn-api"})
	if !failure.Is(err, failure.BindingMalformed) || !strings.Contains(err.Error(), "plan lite") {
		t.Errorf("the binding of the plan api_access by name: %v", err)
	}
}

// TestThePlanForProxies has credentials and no address.
func TestThePlanForProxies(t *testing.T) {
	document := strings.Replace(credentials(t, `{"onpremise_proxy_host":null,"onpremise_socks5_proxy_port":null}`), `"name":"conn"`, `"name":"conn","plan":"connectivity_proxy"`, 1)
	got, err := FindConnectivity([]string{"VCAP_SERVICES=" + document}, Choice{})
	if err != nil || got.ProxyHost != "" || got.ClientID != "id" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheFileWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vcap_services")
	if err := os.WriteFile(path, []byte("\xef\xbb\xbf"+fixture(t, "lite.json")), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := FindConnectivity([]string{"VCAP_SERVICES=" + fixture(t, "two.json"), "VCAP_SERVICES_FILE_PATH=" + path}, Choice{})
	if err != nil || got.Source != path || got.Name != "my-connectivity" {
		t.Fatalf("FindConnectivity = %v, %v", got, err)
	}

	_, err = FindConnectivity([]string{"VCAP_SERVICES=" + fixture(t, "lite.json"), "VCAP_SERVICES_FILE_PATH=" + path + ".gone"}, Choice{})
	if !failure.Is(err, failure.BindingMalformed) || !strings.Contains(err.Error(), path+".gone") {
		t.Errorf("an unreadable file is not told: %v", err)
	}
	if err := os.WriteFile(path, make([]byte, maxDocument+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = FindConnectivity([]string{"VCAP_SERVICES_FILE_PATH=" + path}, Choice{}); !failure.Is(err, failure.BindingMalformed) || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file without an end: %v", err)
	}
}

// credentials returns a document with one connectivity service. Each change
// replaces one credential; null removes it.
func credentials(t *testing.T, changes string) string {
	t.Helper()
	all := map[string]any{
		"clientid": "id", "clientsecret": "s3cr3t", "onpremise_proxy_host": "proxy.example.com",
		"onpremise_socks5_proxy_port": "20004", "token_service_url": "https://uaa.example.com",
	}
	var changed map[string]any
	if err := json.Unmarshal([]byte(changes), &changed); err != nil {
		t.Fatal(err)
	}
	for k, v := range changed {
		if all[k] = v; v == nil {
			delete(all, k)
		}
	}
	text, err := json.Marshal(map[string]any{"connectivity": []any{map[string]any{"name": "conn", "label": "connectivity", "credentials": all}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBadBindings(t *testing.T) {
	for _, test := range []struct {
		name, document, service string
		code                    failure.Code
		want                    []string // parts of the message
	}{
		{"nothing is set", "", "", failure.BindingMissing, []string{"none of VCAP_SERVICES, VCAP_SERVICES_FILE_PATH and SERVICE_BINDING_ROOT is set"}},
		{"no service", "{}", "", failure.BindingMissing, []string{"VCAP_SERVICES has no services"}},
		{"null", "null", "", failure.BindingMissing, []string{"has no services"}},
		{"empty list", `{"connectivity":[]}`, "", failure.BindingMissing, []string{"has no services"}},
		{"others only", `{"xsuaa":[{"name":"x"}],"destination":[{"name":"d"},{"name":"e"}]}`, "", failure.BindingMissing, []string{"has only destination, xsuaa"}},
		{"metric registrar only", `{"user-provided":[{"name":"m","syslog_drain_url":"secure-endpoint://:9100/metrics","credentials":{}}]}`, "", failure.BindingMissing, []string{"has only user-provided"}},
		{"wrong name", fixture(t, "two.json"), "conn-c", failure.BindingUnknown, []string{`none is named "conn-c"`, "binding-of-a (instance conn-a), conn-b"}},
		{"name of another service", fixture(t, "lite.json"), "my-destination", failure.BindingUnknown, []string{`none is named "my-destination"`, "bound: my-connectivity"}},
		{"ambiguous", fixture(t, "two.json"), "", failure.BindingAmbiguous, []string{"binding-of-a (instance conn-a), conn-b"}},
		{"two with one name", `{"connectivity":[{"name":"a","instance_name":"x"},{"name":"b","instance_name":"x"}]}`, "x", failure.BindingAmbiguous, []string{`2 services are named "x": a (instance x), b (instance x)`}},

		{"cut off", fixture(t, "lite.json")[:900], "", failure.BindingMalformed, []string{"service binding in VCAP_SERVICES", "not valid JSON: line 24"}},
		{"not JSON", `{"connectivity": s3cr3t}`, "", failure.BindingMalformed, []string{"not valid JSON: line 1, column 18"}},
		{"two documents", "{}\n{}", "", failure.BindingMalformed, []string{"not valid JSON: line 2, column 1"}},
		{"a list", `["s3cr3t"]`, "", failure.BindingMalformed, []string{"not a JSON object"}},
		{"a text", `"s3cr3t"`, "", failure.BindingMalformed, []string{"not a JSON object"}},
		{"label is no list", `{"connectivity":{"name":"s3cr3t"}}`, "", failure.BindingMalformed, []string{`"connectivity" is not a list`}},
		{"entry is no object", `{"connectivity":["s3cr3t"]}`, "", failure.BindingMalformed, []string{`entry 1 of "connectivity" is not a service`}},
		{"name is no text", `{"connectivity":[{"name":{"a":"s3cr3t"}}]}`, "", failure.BindingMalformed, []string{`entry 1 of "connectivity" is not a service`}},
		{"credentials are a text", `{"connectivity":[{"name":"conn","credentials":"s3cr3t"}]}`, "", failure.BindingMalformed, []string{`entry 1 of "connectivity" is not a service`}},
		{"no credentials", `{"connectivity":[{"name":"conn"}]}`, "", failure.BindingMalformed, []string{`"conn": it has no credentials`}},
		{"chosen without credentials", `{"user-provided":[{"name":"m","credentials":{}}]}`, "m", failure.BindingMalformed, []string{`"m": it has no credentials`}},
		{"chosen, something else", fixture(t, "user-provided.json"), "database", failure.BindingMalformed, []string{`"database": onpremise_proxy_host is missing, onpremise_socks5_proxy_port is missing, clientid is missing`}},
		{"x509", fixture(t, "x509.json"), "", failure.BindingMalformed, []string{"certificate contains no certificate in PEM form"}},
		{"x509 without its type", credentials(t, `{"clientsecret":null,"certurl":"https://s3cr3t"}`), "", failure.BindingMalformed, []string{"certificate is missing, key is missing"}},
		{"x509 without certurl", credentials(t, `{"clientsecret":null,"credential-type":"x509","certificate":"s3cr3t","key":"s3cr3t"}`), "", failure.BindingMalformed, []string{"certificate contains no certificate in PEM form", "certurl is missing"}},
		{"credhub-ref", fixture(t, "credhub.json"), "", failure.BindingCredhubRef, []string{`"my-connectivity"`}},
		{"empty", " ", "", failure.BindingMissing, []string{"is set"}},

		{"no host", credentials(t, `{"onpremise_proxy_host":null}`), "", failure.BindingMalformed, []string{"onpremise_proxy_host is missing"}},
		{"empty host", credentials(t, `{"onpremise_proxy_host":" "}`), "", failure.BindingMalformed, []string{"onpremise_proxy_host is empty"}},
		{"host with scheme", credentials(t, `{"onpremise_proxy_host":"socks://s3cr3t"}`), "", failure.BindingMalformed, []string{"onpremise_proxy_host is not a host name"}},
		{"host of 256 bytes", credentials(t, `{"onpremise_proxy_host":"`+strings.Repeat("h", 256)+`"}`), "", failure.BindingMalformed, []string{"onpremise_proxy_host is not a host name"}},
		{"port 0", credentials(t, `{"onpremise_socks5_proxy_port":0}`), "", failure.BindingMalformed, []string{"onpremise_socks5_proxy_port is not a port from 1 to 65535"}},
		{"port too high", credentials(t, `{"onpremise_socks5_proxy_port":"65536"}`), "", failure.BindingMalformed, []string{"is not a port"}},
		{"negative port", credentials(t, `{"onpremise_socks5_proxy_port":-1}`), "", failure.BindingMalformed, []string{"is not a port"}},
		{"broken port", credentials(t, `{"onpremise_socks5_proxy_port":20004.5}`), "", failure.BindingMalformed, []string{"is not a whole number"}},
		{"huge port", credentials(t, `{"onpremise_socks5_proxy_port":1e300}`), "", failure.BindingMalformed, []string{"is not a whole number"}},
		{"port is a list", credentials(t, `{"onpremise_socks5_proxy_port":["s3cr3t"]}`), "", failure.BindingMalformed, []string{"is neither a string nor a number"}},
		{"port is a word", credentials(t, `{"onpremise_socks5_proxy_port":"s3cr3t"}`), "", failure.BindingMalformed, []string{"is not a port"}},
		{"no id", credentials(t, `{"clientid":null}`), "", failure.BindingMalformed, []string{"clientid is missing"}},
		{"no secret", credentials(t, `{"clientsecret":null}`), "", failure.BindingMalformed, []string{"clientsecret is missing"}},
		{"empty secret", credentials(t, `{"clientsecret":""}`), "", failure.BindingMalformed, []string{"clientsecret is empty"}},
		{"secret is an object", credentials(t, `{"clientsecret":{"a":"s3cr3t"}}`), "", failure.BindingMalformed, []string{"clientsecret is neither a string nor a number"}},
		{"no token service", credentials(t, `{"token_service_url":null}`), "", failure.BindingMalformed, []string{"token_service_url is missing"}},
		{"token service without scheme", credentials(t, `{"token_service_url":"uaa.s3cr3t"}`), "", failure.BindingMalformed, []string{"token_service_url cannot be used"}},
		{"token service with a password", credentials(t, `{"token_service_url":"https://u:s3cr3t@uaa"}`), "", failure.BindingMalformed, []string{"token_service_url cannot be used"}},
		{"token service not a URL", credentials(t, `{"token_service_url":"https://s3cr3t:%zz"}`), "", failure.BindingMalformed, []string{"token_service_url cannot be used"}},
		{"broken old url", credentials(t, `{"token_service_url":null,"url":"s3cr3t"}`), "", failure.BindingMalformed, []string{"url cannot be used"}},
		{"everything at once", credentials(t, `{"clientid":null,"clientsecret":5.5,"onpremise_socks5_proxy_port":"x"}`), "", failure.BindingMalformed, []string{"onpremise_socks5_proxy_port is not a port from 1 to 65535, clientid is missing, clientsecret is not a whole number"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := FindConnectivity([]string{"VCAP_SERVICES=" + test.document}, Choice{Service: test.service})
			if err == nil {
				t.Fatalf("no error, but %+v", got)
			}
			f, ok := failure.As(err)
			if !ok || f.Code != test.code {
				t.Fatalf("the error %v is not %s", err, test.code)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the message lacks %q: %s", part, err)
				}
			}
			for _, text := range []string{err.Error(), f.Advice()} {
				if strings.Contains(text, "s3cr3t") {
					t.Errorf("the message shows what stands in the binding: %s", text)
				}
			}
		})
	}
}

// TestOtherServicesDoNoHarm: neither those that go-cfenv cannot decode nor those of which
// it makes a service without a name.
func TestOtherServicesDoNoHarm(t *testing.T) {
	for _, others := range []string{
		`"strange":[1,"x",{"name":{"a":1}},{"tags":{"b":2}}],"stranger":{"c":3}`, `"strange":[null,[],[[]]]`, `"strange":null`, `"stranger":"x"`,
		`"user-provided":[{"name":{"a":1}}]`,
	} {
		document := "{" + others + `,"connectivity":` + strings.TrimPrefix(credentials(t, `{}`), `{"connectivity":`)
		got, err := FindConnectivity([]string{"VCAP_SERVICES=" + document}, Choice{})
		if err != nil || got.Name != "conn" {
			t.Errorf("%s: FindConnectivity = %v, %v", others, got, err)
		}
	}
	for _, broken := range []string{`[null]`, `[[]]`} {
		if _, err := FindConnectivity([]string{`VCAP_SERVICES={"connectivity":` + broken + "}"}, Choice{}); err == nil || !strings.Contains(err.Error(), `entry 1 of "connectivity" is not a service`) {
			t.Errorf("%s: %v", broken, err)
		}
	}
}

func TestTheLastVariableCounts(t *testing.T) {
	got, err := FindConnectivity([]string{"VCAP_SERVICES={", "VCAP_SERVICES=" + credentials(t, `{"clientid":12}`)}, Choice{})
	if err != nil || got.ClientID != "12" {
		t.Errorf("FindConnectivity = %v, %v", got, err)
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	type holder struct {
		A Secret  `json:"a"`
		B *Secret `json:"b"`
	}
	secret := Secret("s3cr3t")
	h := holder{secret, &secret}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "secret", secret, "holder", h)
	encoded, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := secret.MarshalText()
	printed := fmt.Sprintf("%v %+v %#v %s %q %x %d|%v %+v %#v|%v", secret, secret, secret, secret, secret, secret, secret, h, h, h, []Secret{secret})
	all := printed + logged.String() + string(encoded) + string(text) + secret.String()
	for _, form := range []string{"s3cr3t", fmt.Sprintf("%x", "s3cr3t")} {
		if strings.Contains(all, form) {
			t.Errorf("printed: %s", all)
		}
	}
	if diff := cmp.Diff(`{"a":"***","b":"***"}`, string(encoded)); diff != "" {
		t.Error(diff)
	}
	if secret.Reveal() != "s3cr3t" || Secret("").String() != "" {
		t.Error("Reveal or the empty secret is wrong")
	}
}

func FuzzFindConnectivity(f *testing.F) {
	for _, name := range []string{"lite.json", "two.json", "user-provided.json", "x509.json", "credhub.json", "api-access.json"} {
		f.Add(fixture(f, name), "")
		f.Add(fixture(f, name), "conn-a")
	}
	f.Add(`{"connectivity":[{"credentials":{"onpremise_socks5_proxy_port":1e400}}]}`, "x")
	f.Add(`{"connectivity":null,"CONNECTIVITY":[{}]}`, "")
	f.Fuzz(func(t *testing.T, document, service string) {
		got, err := FindConnectivity([]string{"VCAP_SERVICES=" + document}, Choice{Service: service})
		if err != nil {
			code, ok := failure.As(err)
			if !ok || code.Entry().Hop != failure.HopConfig {
				t.Fatalf("the error is not one of the catalogue's: %v", err)
			}
			return
		}
		if got.ProxyHost == "" || got.ProxyPort == 0 || got.ClientID == "" || got.ClientSecret == "" || got.TokenURL == "" {
			t.Fatalf("accepted without all that is needed: %#v", *got)
		}
	})
}
