package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

func TestOneVariableIsEnough(t *testing.T) {
	got := conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=kafka-1.corp:9092, kafka-2.corp:9093,"}}.must(t)
	want := Config{
		Clusters: []Cluster{{
			Name:        "default",
			Bootstrap:   []HostPort{{Host: "kafka-1.corp", Port: 9092}, {Host: "kafka-2.corp", Port: 9093}},
			Listen:      HostPort{Host: "127.0.0.1", Port: 9092},
			Advertise:   "localhost",
			BrokerPorts: PortRange{First: 19100, Last: 19199},
		}},
		Connectivity: Connectivity{
			Auth: AuthJWT,
			Via:  "connectivity", ConnectTimeout: 5 * time.Second, HandshakeTimeout: 20 * time.Second,
			Hold: 9 * time.Second, Keepalive: 20 * time.Second,
		},
		Token:  Token{Issuer: IssuerAuto},
		Limits: Limits{MaxRequestBytes: 104857600, FrameStall: time.Minute, Memory: 256 << 20},
		Drain:  Drain{Timeout: 55 * time.Second, Quiet: 3 * time.Second},
		Admin:  Admin{Listen: HostPort{Host: "127.0.0.1", Port: 19099}},
		Log:    Log{Level: "info", Format: "text"},
	}
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Error(diff)
	}
	if len(got.Warnings) != 0 {
		t.Errorf("the defaults cause warnings: %q", got.Warnings)
	}
	if len(got.Values) != len(Keys()) {
		t.Errorf("%d values for %d keys", len(got.Values), len(Keys()))
	}
	if !got.NeedsBinding() {
		t.Error("no binding is needed although neither proxy nor token is configured")
	}
}

// TestPrecedence sets every key in every subset of flag, variable and file.
func TestPrecedence(t *testing.T) {
	samples := map[string][3]string{ // flag, variable, file
		"bootstrap": {"a:1,b:2", "c:3", "d:4"}, "listen": {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"},
		"advertise": {"a", "b", "c"}, "broker_ports": {"1-2", "3-4", "5-6"}, "location_id": {"A", "B", "C"}, "tenant": {"a", "b", "c"},
		"address_map": {"", `[{from: "a", to: "b"}]`, `[{from: "c", to: "d"}]`},
		"forwards":    {"", `[{name: "a", listen: "127.0.0.1:1", to: "b:2"}]`, `[{name: "c", listen: "127.0.0.1:3", to: "d:4", location_id: "X"}]`},
		"tls.enabled": {"true", "true", "true"}, "tls.ca_file": {"a.pem", "b.pem", "c.pem"}, "tls.server_name": {"a", "b", "c"},
		"allow_remote": {"true", "true", "true"}, "insecure_remote": {"true", "true", "true"},
		"connectivity.via": {"connectivity", "connectivity", "connectivity"}, "connectivity.service": {"a", "b", "c"},
		"connectivity.auth": {"jwt", "jwt", "jwt"}, "connectivity.username": {"", "", ""}, "connectivity.password": {"", "", ""}, "connectivity.password_file": {"", "", ""},
		"connectivity.proxy": {"a:1", "b:2", "c:3"}, "log.level": {"debug", "warn", "error"}, "log.format": {"json", "json", "json"},
		"destination": {"a", "b", "c"}, "connectivity.destination_service": {"a", "b", "c"},
		"token.issuer": {"xsuaa", "xsuaa", "xsuaa"}, "token.resource": {"", "", ""},
		"token.url": {"https://a/oauth/token", "https://b/oauth/token", "https://c/oauth/token"}, "token.client_id": {"a", "b", "c"},
		"token.client_secret": {"", "b", "c"}, "token.client_secret_file": {"", "", ""},
		"token.certificate_file": {"", "", ""}, "token.key_file": {"", "", ""}, "token.ca_file": {"a.pem", "b.pem", "c.pem"},
		"limits.max_connections": {"1", "2", "3"}, "limits.max_request_bytes": {"1KiB", "2KiB", "3KiB"}, "limits.memory": {"17MiB", "18MiB", "19MiB"},
		"admin.tap":    {"true", "true", "true"},
		"admin.listen": {"127.0.0.1:4", "127.0.0.1:5", "127.0.0.1:6"},
	}
	for _, k := range Keys() {
		sample, ok := samples[k.name]
		if !ok && k.name != "name" {
			sample = [3]string{"4s", "5s", "6s"} // the durations
		}
		section, leaf, nested := strings.Cut(k.name, ".")
		for subset := 1; subset < 8; subset++ {
			c := conf{env: []string{}, files: map[string]string{"a.pem": testutil.AuthorityPEM, "b.pem": testutil.AuthorityPEM, "c.pem": testutil.AuthorityPEM}}
			if strings.HasPrefix(k.name, "tls.") && k.name != "tls.enabled" {
				c.args = append(c.args, "--tls-enabled")
			}
			if k.name != "bootstrap" {
				c.env = append(c.env, bootstrap)
			}
			if strings.HasPrefix(k.name, "token.") { // all or none
				c.env = append(c.env, "KAFKA_TUNNEL_TOKEN_URL=https://x", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=x", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=x")
				if subset&2 == 0 {
					c.env = slices.DeleteFunc(c.env, func(v string) bool {
						return k.name != "token.client_secret_file" && strings.HasPrefix(v, k.variable()+"=")
					})
				}
			}
			want, source := "", ""
			if subset&4 != 0 && sample[2] != "" {
				want, source = sample[2], "file tunnel.yaml:2"
				switch {
				case k.is(inCluster) && nested:
					c.file = fmt.Sprintf("clusters:\n- %s: {%s: %s}", section, leaf, sample[2])
				case k.is(inCluster):
					c.file = fmt.Sprintf("clusters:\n- %s: %s", k.name, sample[2])
				case !nested:
					c.file = fmt.Sprintf("\n%s: %s", k.name, sample[2])
				default:
					c.file = fmt.Sprintf("%s:\n  %s: %s", section, leaf, sample[2])
				}
			}
			if subset&2 != 0 && sample[1] != "" {
				want, source = sample[1], "variable "+k.variable()
				c.env = append(c.env, k.variable()+"="+sample[1])
			}
			if subset&1 != 0 && sample[0] != "" && k.Flag() != "" {
				want, source = sample[0], "flag --"+k.Flag()
				c.args = append(c.args, "--"+k.Flag()+"="+sample[0])
			}
			if want == "" {
				continue
			}
			key := k.name
			if k.is(inCluster) {
				key = "clusters.default." + key
			}
			if k.is(isSecret) {
				want = "***"
			}
			if k.name == "address_map" {
				want = strings.NewReplacer("a,", `"a",`).Replace(want)
			}
			eff := c.must(t)
			got, gotSource := eff.value(t, key)
			if got != want || gotSource != source {
				t.Errorf("%s given by %+v is %q (%s), want %q (%s)", k.name, c, got, gotSource, want, source)
			}
		}
	}
}

func TestListsAreReplacedWhole(t *testing.T) {
	c := conf{
		env:  []string{`KAFKA_TUNNEL_ADDRESS_MAP=[{from: "node:1", to: "v1:1", location_id: ""}]`},
		args: []string{"--bootstrap", "a:1", "--bootstrap", "b:2,c:3"},
		file: "clusters:\n- bootstrap: [x:1, y:2]\n  address_map:\n  - {from: a, to: b}\n  - {from: c, to: d}\n",
	}
	cluster := c.must(t).Config.Clusters[0]
	if diff := cmp.Diff([]HostPort{{Host: "a", Port: 1}, {Host: "b", Port: 2}, {Host: "c", Port: 3}}, cluster.Bootstrap); diff != "" {
		t.Error(diff)
	}
	none := ""
	if diff := cmp.Diff([]AddressRule{{From: "node:1", To: "v1:1", LocationID: &none}}, cluster.AddressMap); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyMeansUnset(t *testing.T) {
	eff := conf{
		env: []string{
			bootstrap, "KAFKA_TUNNEL_LISTEN=", "KAFKA_TUNNEL_LOG_LEVEL= ", "KAFKA_TUNNEL_NONSENSE=", "KAFKA_TUNNEL_CONFIG=",
			"KAFKA_TUNNEL_ADVERTISE=first", "KAFKA_TUNNEL_ADVERTISE=",
		},
		file: "clusters:\n- listen: 127.0.0.1:7\n  name: ~\n  advertise:\nlog: {level: ~}\nlimits:\n",
	}.must(t)
	for key, want := range map[string]string{
		"clusters.default.listen": "127.0.0.1:7", "log.level": "info", "clusters.default.advertise": "localhost", "limits.memory": "256MiB",
	} {
		if got, source := eff.value(t, key); got != want {
			t.Errorf("%s = %q (%s), want %q", key, got, source, want)
		}
	}
	// An empty flag is not unset.
	eff = conf{env: []string{bootstrap, "KAFKA_TUNNEL_LOCATION_ID=X"}, args: []string{"--location-id="}}.must(t)
	if got, source := eff.value(t, "clusters.default.location_id"); got != "" || source != "flag --location-id" {
		t.Errorf("location_id = %q (%s)", got, source)
	}
}

func TestTheTextOfAValueIsKept(t *testing.T) {
	eff := conf{file: `
clusters:
- bootstrap: &b [a:1]
  location_id: 007
  advertise: on
  broker_ports: 0
  allow_remote: TRUE
connectivity: {service: 1.50, hold: 1m30s}
limits: {memory: 64m, max_request_bytes: 1_000_000}
`}
	wrong := eff.problems(t)
	if len(wrong) != 1 || wrong[0].Key != "limits.max_request_bytes" || wrong[0].Source != "file tunnel.yaml:9" {
		t.Fatalf("problems:%s", lines(wrong))
	}
	eff.file = strings.Replace(eff.file, "1_000_000", "1000000", 1)
	for key, want := range map[string]string{
		"clusters.default.location_id": "007", "clusters.default.advertise": "on", "connectivity.service": "1.50",
		"clusters.default.broker_ports": "0", "limits.memory": "64MiB", "limits.max_request_bytes": "1000000",
		"connectivity.hold": "1m30s", "clusters.default.allow_remote": "true",
	} {
		if got, _ := eff.must(t).value(t, key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}

func TestAliasesAndJSON(t *testing.T) {
	eff := conf{file: "clusters:\n- {name: a, bootstrap: &b [x:1], listen: 'localhost:1', broker_ports: &p 0}\n- {name: b, bootstrap: *b, listen: 'localhost:2', broker_ports: *p}\n"}.must(t)
	if got, source := eff.value(t, "clusters.b.bootstrap"); got != "x:1" {
		t.Errorf("an alias yields %q (%s)", got, source)
	}
	eff = conf{file: `{"clusters": [{"bootstrap": ["x:1", "y:2"], "allow_remote": false}], "limits": {"max_connections": 5}}`}.must(t)
	if got, _ := eff.value(t, "clusters.default.bootstrap"); got != "x:1,y:2" || eff.Config.Limits.MaxConnections != 5 {
		t.Errorf("JSON yields %+v", eff.Config)
	}
}

func TestFileIsFoundAndRead(t *testing.T) {
	path := writeFile(t, "log: {level: debug}\n")
	other := writeFile(t, "log: {level: warn}\n")
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Flags(flags)
	eff, err := Load(Input{Environ: []string{bootstrap, "KAFKA_TUNNEL_CONFIG=" + path}, Flags: flags})
	if err != nil || eff.Config.Log.Level != "debug" || eff.File != path {
		t.Fatalf("by variable: %v, %v", eff, err)
	}
	if err := flags.Set("config", other); err != nil {
		t.Fatal(err)
	}
	eff, err = Load(Input{Environ: []string{bootstrap, "KAFKA_TUNNEL_CONFIG=" + path}, Flags: flags})
	if err != nil || eff.Config.Log.Level != "warn" || eff.File != other {
		t.Fatalf("by flag: %v, %v", eff, err)
	}
	_, err = Load(Input{Environ: []string{"KAFKA_TUNNEL_CONFIG=" + path + ".gone"}})
	if err == nil || !strings.Contains(err.Error(), "(variable KAFKA_TUNNEL_CONFIG): cannot be read") || strings.Contains(err.Error(), "bootstrap") {
		t.Errorf("a missing file: %v", err)
	}
	_, err = Load(Input{Environ: []string{"KAFKA_TUNNEL_CONFIG=" + writeFile(t, strings.Repeat("# much\n", maxFile/7+1))}})
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("an endless file: %v", err)
	}
}

func TestSecretFile(t *testing.T) {
	env := []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://uaa.corp", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=sb-a!b1|c!d"}
	path := writeFile(t, "s3cr3t!|\r\n")
	eff, err := Load(Input{Environ: append(env, "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET_FILE="+path)})
	if err != nil {
		t.Fatal(err)
	}
	want := Token{Issuer: IssuerAuto, URL: "https://uaa.corp/oauth/token", ClientID: "sb-a!b1|c!d", ClientSecret: "s3cr3t!|", ClientSecretFile: path}
	if eff.Config.Token != want {
		t.Errorf("token = %+v", eff.Config.Token)
	}
	if value, source := eff.value(t, "token.client_secret"); value != "***" || source != "file "+path {
		t.Errorf("client_secret = %q (%s)", value, source)
	}
	if got := fmt.Sprintf("%+v %#v", eff, eff.Config.Token); strings.Contains(got, "s3cr3t") {
		t.Error("the secret is shown: " + got)
	}
	for content, message := range map[string]string{"": "the file is empty", "\n": "the file is empty", "a\nb\n": "more than one line"} {
		_, err := Load(Input{Environ: append(env, "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET_FILE="+writeFile(t, content))})
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// TestDisplayIsReadAgain: the values that `config` shows can be set in variables.
func TestDisplayIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "duration"))
		if got, wrong := duration(0, 10*time.Minute)(showDuration(d)); wrong != nil || got != d {
			t.Fatalf("%s is parsed as %s, %v", showDuration(d), got, wrong)
		}
		n := rapid.Int64Range(0, 1<<45).Draw(t, "size")
		if got, wrong := size(0, 1<<45)(showSize(n)); wrong != nil || got != n {
			t.Fatalf("%s is parsed as %d, %v", showSize(n), got, wrong)
		}
		first := rapid.Uint16Min(1).Draw(t, "first")
		ports := PortRange{First: first, Last: rapid.Uint16Range(first, 65535).Draw(t, "last")}
		if got, wrong := portRange(ports.String()); wrong != nil || got != ports || ports.Size() < 1 {
			t.Fatalf("%s is parsed as %s, %v", ports, got, wrong)
		}
	})
}

// TestClientCertificate: a certificate can be configured in place of a secret, without
// a binding.
func TestClientCertificate(t *testing.T) {
	eff := conf{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://sub.authentication.cert.example.com", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=x",
		"KAFKA_TUNNEL_TOKEN_CERTIFICATE_FILE=c.pem", "KAFKA_TUNNEL_TOKEN_KEY_FILE=k.pem", "KAFKA_TUNNEL_CONNECTIVITY_PROXY=p:1"}, files: clientPair(t)}.must(t)
	if c := eff.Config.Token.Certificate; c == nil || len(c.Certificate) != 1 || eff.NeedsBinding() {
		t.Errorf("%+v", eff.Config.Token)
	}
}

// TestAuth: the methods of authentication at the proxy, and what each of them needs.
func TestAuth(t *testing.T) {
	none := conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_AUTH=none", "KAFKA_TUNNEL_CONNECTIVITY_PROXY=p:1"}}
	if eff := none.must(t); eff.NeedsBinding() {
		t.Error("a proxy in trusted mode needs a binding")
	}
	kyma := conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_AUTH=none", "KUBERNETES_SERVICE_HOST=10.0.0.1"}}
	eff, err := Resolve(kyma.input(t))
	if err != nil {
		t.Fatal(err)
	}
	if value, source := eff.value(t, "connectivity.proxy"); value != kymaProxy || source != "default on Kubernetes" || eff.Config.Connectivity.Proxy != kymaProxy {
		t.Errorf("on Kubernetes the proxy is %q (%s)", value, source)
	}
	kyma.env = kyma.env[:2]
	if _, err := Resolve(kyma.input(t)); err == nil {
		t.Error("outside of Kubernetes a proxy is configured")
	}
	c := conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_AUTH=userpass", "KAFKA_TUNNEL_CONNECTIVITY_USERNAME=u", "KAFKA_TUNNEL_CONNECTIVITY_PASSWORD_FILE=pw", "KAFKA_TUNNEL_CONNECTIVITY_PROXY=p:1"}, files: map[string]string{"pw": "s3cr3t\n"}}
	eff = c.must(t)
	if eff.Config.Connectivity.Password != "s3cr3t" || eff.NeedsBinding() {
		t.Errorf("%+v", eff.Config.Connectivity)
	}
	if value, source := eff.value(t, "connectivity.password"); value != "***" || source != "file pw" {
		t.Errorf("the password is shown as %q (%s)", value, source)
	}
}

func TestForwards(t *testing.T) {
	want := []Forward{
		{Name: "registry", Listen: HostPort{Host: "127.0.0.1", Port: 18081}, To: HostPort{Host: "registry.corp", Port: 8081}},
		{Name: "connect", Listen: HostPort{Host: "localhost", Port: 18083}, To: HostPort{Host: "connect.corp", Port: 8083}, LocationID: "PLANT 1", Tenant: "sub"},
	}
	const text = `[{name: registry, listen: "127.0.0.1:18081", to: "registry.corp:8081"}, {name: connect, listen: "localhost:18083", to: "connect.corp:8083", location_id: PLANT 1, tenant: sub}]`
	for name, c := range map[string]conf{
		"by variable": {env: []string{bootstrap, "KAFKA_TUNNEL_FORWARDS=" + text}},
		"by file":     {env: []string{bootstrap}, file: "forwards: " + text},
	} {
		eff := c.must(t)
		if diff := cmp.Diff(want, eff.Config.Forwards); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		shown, _ := eff.value(t, "forwards")
		again := conf{env: []string{bootstrap, "KAFKA_TUNNEL_FORWARDS=" + shown}}.must(t)
		if diff := cmp.Diff(want, again.Config.Forwards); diff != "" {
			t.Errorf("%s, as it is shown: %s", name, diff)
		}
	}
	for text, message := range map[string]string{
		`x`: "expected a list of forwards",
		`[{name: a, listen: "0.0.0.0:1", to: "b:2"}]`:                                                "expected an address on loopback",
		`[{name: a, listen: "127.0.0.1:1", to: "b"}]`:                                                "expected HOST:PORT",
		`[{name: a, to: "b:1"}]`:                                                                     "forwards[0].listen (variable KAFKA_TUNNEL_FORWARDS): is missing",
		`[{name: a, listen: "127.0.0.1:1", to: "b:2", port: 3}]`:                                     "unknown key",
		`[{name: default, listen: "127.0.0.1:1", to: "b:2"}]`:                                        "could not tell them apart",
		`[{name: a, listen: "127.0.0.1:9092", to: "b:2"}]`:                                           "overlaps with",
		`[{name: a, listen: "127.0.0.1:1", to: "b:2"}, {name: b, listen: "127.0.0.1:1", to: "b:2"}]`: "overlaps with",
		`[3]`: "expected a forward such as",
	} {
		got := conf{env: []string{bootstrap, "KAFKA_TUNNEL_FORWARDS=" + text}}.problems(t)
		if !strings.Contains(lines(got), message) {
			t.Errorf("%s: %s", text, lines(got))
		}
	}
}

// TestABindingWithoutAProxy: a binding of the plan connectivity_proxy, which has no
// proxy, requires connectivity.proxy.
func TestABindingWithoutAProxy(t *testing.T) {
	const vcap = `VCAP_SERVICES={"connectivity":[{"name":"conn","plan":"connectivity_proxy","credentials":{"clientid":"x","clientsecret":"y","token_service_url":"https://uaa.corp"}}]}`
	for name, test := range map[string]struct{ variable, proxy string }{
		"configured":    {"KAFKA_TUNNEL_CONNECTIVITY_PROXY=proxy.corp:20004", "proxy.corp:20004"},
		"on Kubernetes": {"KUBERNETES_SERVICE_HOST=10.0.0.1", kymaProxy},
		"elsewhere":     {"X=", ""},
	} {
		eff, err := Resolve(conf{env: []string{bootstrap, vcap, test.variable}}.input(t))
		if test.proxy == "" {
			if !failure.Is(err, failure.BindingMalformed) || !strings.Contains(err.Error(), "set connectivity.proxy") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || eff.Config.Connectivity.Proxy != test.proxy || eff.Config.Token.ClientID != "x" {
			t.Errorf("%s: %v %+v", name, err, eff)
		}
	}
}
