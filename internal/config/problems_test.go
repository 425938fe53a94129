package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// TestBadValues: each single wrong value causes exactly one problem.
func TestBadValues(t *testing.T) {
	const one = "clusters:\n- bootstrap: [a:1]\n"
	for _, test := range []struct {
		name string
		conf
		key, source, value, message, nearest string
	}{
		// Syntax of the file.
		{"not YAML", conf{file: "log: [\n"}, "config", "file tunnel.yaml", "", "is not valid YAML: line 1", ""},
		{"a text", conf{file: "hello"}, "config", "file tunnel.yaml:1", "", "expected a mapping of keys, got a single value", ""},
		{"two documents", conf{file: one + "---\nlog: {}\n"}, "config", "file tunnel.yaml", "", "has more than one YAML document", ""},
		{"unknown key", conf{file: one + "logs: {level: info}\n"}, "logs", "file tunnel.yaml:3", "", "unknown key", "log"},
		{"unknown key in a section", conf{file: one + "connectivity:\n  hodl: 9s\n"}, "connectivity.hodl", "file tunnel.yaml:4", "", "unknown key", "connectivity.hold"},
		{"unknown key in a cluster", conf{file: one + "  locationid: X\n"}, "clusters.default.locationid", "file tunnel.yaml:3", "", "unknown key", "clusters.default.location_id"},
		{"key of a later release", conf{file: one + "  sasl: {mechanism: PLAIN}\n"}, "clusters.default.sasl", "file tunnel.yaml:3", "", "unknown key", ""},
		{"other case", conf{file: one + "Log: {level: info}\n"}, "Log", "file tunnel.yaml:3", "", "unknown key", "log"},
		{"key in the wrong place", conf{file: one + "location_id: X\n"}, "location_id", "file tunnel.yaml:3", "", "unknown key", "clusters.default.location_id"},
		{"path as key", conf{file: one + "connectivity.hold: 5s\n"}, "connectivity.hold", "file tunnel.yaml:3", "", "unknown key", "connectivity: {hold: ...}"},
		{"merge key", conf{file: one + "log:\n  <<: {level: info}\n"}, "log.<<", "file tunnel.yaml:4", "", "unknown key", ""},
		{"key is a list", conf{file: one + "log: {[a]: b}\n"}, "log", "file tunnel.yaml:3", "", "a key that is not a name", ""},
		{"twice", conf{file: one + "log: {level: info}\nlog: {format: json}\n"}, "log", "file tunnel.yaml:4", "", "is given twice, first in line 3", ""},
		{"clusters is a mapping", conf{file: "clusters: {name: a}"}, "clusters", "file tunnel.yaml:1", "", "expected a list of clusters, got a mapping", ""},
		{"cluster is a text", conf{file: "clusters: [a]"}, "clusters.default", "file tunnel.yaml:1", "", "expected a mapping of keys, got a single value", ""},
		{"section is a text", conf{env: []string{bootstrap}, file: "log: debug"}, "log", "file tunnel.yaml:1", "", "expected a mapping of keys, got a single value", ""},
		{"value is a list", conf{file: one + "log: {level: [info]}\n"}, "log.level", "file tunnel.yaml:3", "", "expected a single value, got a list", ""},
		{"list is a mapping", conf{file: "clusters:\n- bootstrap: {a: 1}\n", env: []string{bootstrap}}, "clusters.default.bootstrap", "file tunnel.yaml:2", "", "expected a list of single values, got a mapping", ""},
		{"item is a list", conf{file: "clusters:\n- bootstrap: [[a]]\n", env: []string{bootstrap}}, "clusters.default.bootstrap", "file tunnel.yaml:2", "", "item 1: expected a single value, got a list", ""},
		{"item is null", conf{file: "clusters:\n- bootstrap: [~]\n", env: []string{bootstrap}}, "clusters.default.bootstrap", "file tunnel.yaml:2", "", "item 1: expected a single value, got nothing", ""},

		// Unknown variables.
		{"misspelt variable", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TOEKN_URL=x"}}, "KAFKA_TUNNEL_TOEKN_URL", "variable KAFKA_TUNNEL_TOEKN_URL", "", "unknown variable", "KAFKA_TUNNEL_TOKEN_URL"},
		{"part of a variable", conf{env: []string{bootstrap, "KAFKA_TUNNEL_HOLD=5s"}}, "KAFKA_TUNNEL_HOLD", "variable KAFKA_TUNNEL_HOLD", "", "unknown variable", "KAFKA_TUNNEL_CONNECTIVITY_HOLD"},
		{"more than a variable", conf{env: []string{bootstrap, "KAFKA_TUNNEL_BOOTSTRAP_SERVERS=a:1"}}, "KAFKA_TUNNEL_BOOTSTRAP_SERVERS", "variable KAFKA_TUNNEL_BOOTSTRAP_SERVERS", "", "unknown variable", "KAFKA_TUNNEL_BOOTSTRAP"},
		{"name by variable", conf{env: []string{bootstrap, "KAFKA_TUNNEL_NAME=x"}}, "KAFKA_TUNNEL_NAME", "variable KAFKA_TUNNEL_NAME", "", "can be given in a file only", ""},
		{"port by hand", conf{env: []string{bootstrap, "KAFKA_TUNNEL_PORT=9092"}}, "KAFKA_TUNNEL_PORT", "variable KAFKA_TUNNEL_PORT", "", "unknown variable", ""},

		// Values of each kind.
		{"address without port", conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=kafka-1.corp"}}, "clusters.default.bootstrap", "variable KAFKA_TUNNEL_BOOTSTRAP", "kafka-1.corp", "expected HOST:PORT", "kafka-1.corp:9092"},
		{"address with scheme", conf{args: []string{"--bootstrap", "SASL_SSL://k:1"}}, "clusters.default.bootstrap", "flag --bootstrap", "SASL_SSL://k:1", "expected HOST:PORT", "k:1"},
		{"address with blanks", conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=a:1 b:2"}}, "clusters.default.bootstrap", "variable KAFKA_TUNNEL_BOOTSTRAP", "a:1 b:2", "several with commas", ""},
		{"port only", conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=9092"}}, "clusters.default.bootstrap", "variable KAFKA_TUNNEL_BOOTSTRAP", "9092", "expected HOST:PORT", ""},
		{"port 0", conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=a:1,b:0"}}, "clusters.default.bootstrap", "variable KAFKA_TUNNEL_BOOTSTRAP", "a:1,b:0", `"b:0": expected HOST:PORT`, ""},
		{"address twice", conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=a:1,b:2,a:1"}}, "clusters.default.bootstrap", "variable KAFKA_TUNNEL_BOOTSTRAP", "a:1,b:2,a:1", "lists a:1 twice", ""},
		{"IPv6", conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=[fd00::1]:9092"}}, "clusters.default.bootstrap", "variable KAFKA_TUNNEL_BOOTSTRAP", "[fd00::1]:9092", "host names and IPv4 addresses only", ""},
		{"long host", conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=" + strings.Repeat("h", 256) + ":1"}}, "clusters.default.bootstrap", "variable KAFKA_TUNNEL_BOOTSTRAP", strings.Repeat("h", 120) + "...", "expected HOST:PORT", ""},
		{"listen is a port", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LISTEN=9093"}}, "clusters.default.listen", "variable KAFKA_TUNNEL_LISTEN", "9093", "expected HOST:PORT", "127.0.0.1:9093"},
		{"listen is empty", conf{file: one + "  listen: ''\n"}, "clusters.default.listen", "file tunnel.yaml:3", "", "expected HOST:PORT", ""},
		{"listen port too high", conf{args: []string{"--admin-listen=127.0.0.1:65536"}, env: []string{bootstrap}}, "admin.listen", "flag --admin-listen", "127.0.0.1:65536", "from 0 to 65535", ""},
		{"advertise with port", conf{env: []string{bootstrap, "KAFKA_TUNNEL_ADVERTISE=localhost:9092"}}, "clusters.default.advertise", "variable KAFKA_TUNNEL_ADVERTISE", "localhost:9092", "without a port", "localhost"},
		{"advertise nowhere", conf{env: []string{bootstrap, "KAFKA_TUNNEL_ADVERTISE=0.0.0.0"}}, "clusters.default.advertise", "variable KAFKA_TUNNEL_ADVERTISE", "0.0.0.0", "is none", "localhost"},
		{"invalid range", conf{env: []string{bootstrap, "KAFKA_TUNNEL_BROKER_PORTS=many"}}, "clusters.default.broker_ports", "variable KAFKA_TUNNEL_BROKER_PORTS", "many", "expected FIRST-LAST", ""},
		{"range backwards", conf{env: []string{bootstrap, "KAFKA_TUNNEL_BROKER_PORTS=19199-19100"}}, "clusters.default.broker_ports", "variable KAFKA_TUNNEL_BROKER_PORTS", "19199-19100", "would hold 0 brokers; it needs room for at least 1", "19100-19199"},
		{"range too high", conf{env: []string{bootstrap, "KAFKA_TUNNEL_BROKER_PORTS=65000-66000"}}, "clusters.default.broker_ports", "variable KAFKA_TUNNEL_BROKER_PORTS", "65000-66000", "from 1 to 65535", ""},
		{"range too small", conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=a:1,b:1,c:1", "KAFKA_TUNNEL_BROKER_PORTS=19100"}}, "clusters.default.broker_ports", "variable KAFKA_TUNNEL_BROKER_PORTS", "19100", "has fewer ports (1) than bootstrap has addresses (3)", ""},
		{"Location ID too long", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LOCATION_ID=" + strings.Repeat("é", 95)}}, "clusters.default.location_id", "variable KAFKA_TUNNEL_LOCATION_ID", strings.Repeat("é", 60) + "...", "has 190 bytes; the protocol of the connectivity proxy carries at most 189", ""},
		{"Location ID of two lines", conf{file: one + "  location_id: \"a\\nb\"\n"}, "clusters.default.location_id", "file tunnel.yaml:3", "a\nb", "printable", ""},
		{"invalid bool", conf{env: []string{bootstrap, "KAFKA_TUNNEL_ALLOW_REMOTE=yes"}}, "clusters.default.allow_remote", "variable KAFKA_TUNNEL_ALLOW_REMOTE", "yes", "expected true or false", "true"},
		{"a number for a bool", conf{file: one + "  insecure_remote: 7\n"}, "clusters.default.insecure_remote", "file tunnel.yaml:3", "7", "expected true or false", ""},
		{"unknown route", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_VIA=conectivity"}}, "connectivity.via", "variable KAFKA_TUNNEL_CONNECTIVITY_VIA", "conectivity", "expected connectivity or direct", "connectivity"},
		{"proxy without port", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_PROXY=localhost"}}, "connectivity.proxy", "variable KAFKA_TUNNEL_CONNECTIVITY_PROXY", "localhost", "expected HOST:PORT", "localhost:20004"},
		{"proxy with scheme", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_PROXY=socks5://p:1"}}, "connectivity.proxy", "variable KAFKA_TUNNEL_CONNECTIVITY_PROXY", "socks5://p:1", "expected HOST:PORT", "p:1"},
		{"duration without unit", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_HOLD=9"}}, "connectivity.hold", "variable KAFKA_TUNNEL_CONNECTIVITY_HOLD", "9", "with its unit (ms, s, m, h) from 100ms to 10m", "9s"},
		{"invalid duration", conf{args: []string{"--connectivity-hold=5x"}, env: []string{bootstrap}}, "connectivity.hold", "flag --connectivity-hold", "5x", "expected a duration", ""},
		{"zero duration", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_HOLD=0"}}, "connectivity.hold", "variable KAFKA_TUNNEL_CONNECTIVITY_HOLD", "0", "from 100ms", ""},
		{"negative duration", conf{env: []string{bootstrap, "KAFKA_TUNNEL_DRAIN_QUIET=-1s"}}, "drain.quiet", "variable KAFKA_TUNNEL_DRAIN_QUIET", "-1s", "from 0s", ""},
		{"endless duration", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LIMITS_FRAME_STALL=1000000h"}}, "limits.frame_stall", "variable KAFKA_TUNNEL_LIMITS_FRAME_STALL", "1000000h", "to 1h", ""},
		{"invalid number", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS=lots"}}, "limits.max_connections", "variable KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS", "lots", "whole number from 0", ""},
		{"negative number", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS=-1"}}, "limits.max_connections", "variable KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS", "-1", "whole number from 0", ""},
		{"invalid size", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LIMITS_MEMORY=64MM"}}, "limits.memory", "variable KAFKA_TUNNEL_LIMITS_MEMORY", "64MM", "number of bytes from 16MiB", ""},
		{"size too large", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LIMITS_MEMORY=9223372036854775807g"}}, "limits.memory", "variable KAFKA_TUNNEL_LIMITS_MEMORY", "9223372036854775807g", "number of bytes", ""},
		{"size too small", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LIMITS_MAX_REQUEST_BYTES=1023"}}, "limits.max_request_bytes", "variable KAFKA_TUNNEL_LIMITS_MAX_REQUEST_BYTES", "1023", "from 1KiB", ""},
		{"invalid level", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LOG_LEVEL=warning"}}, "log.level", "variable KAFKA_TUNNEL_LOG_LEVEL", "warning", "debug or info or warn or error", "warn"},

		// Rules.
		{"rules are a text", conf{env: []string{bootstrap, "KAFKA_TUNNEL_ADDRESS_MAP=a=b"}}, "clusters.default.address_map", "variable KAFKA_TUNNEL_ADDRESS_MAP", "a=b", "expected a list of rules such as", ""},
		{"rules are not YAML", conf{env: []string{bootstrap, "KAFKA_TUNNEL_ADDRESS_MAP=[{from: a"}}, "clusters.default.address_map", "variable KAFKA_TUNNEL_ADDRESS_MAP", "[{from: a", "not valid YAML", `[{from: "kafka-*.corp:9092", to: "vkafka-*:9092"}]`},
		{"rule is a text", conf{file: one + "  address_map: [a]\n"}, "clusters.default.address_map[0]", "file tunnel.yaml:3", "", "expected a rule such as", ""},
		{"rule without to", conf{file: one + "  address_map:\n  - {from: a, to: b}\n  - {from: c}\n"}, "clusters.default.address_map[1].to", "file tunnel.yaml:5", "", "is missing", ""},
		{"rule with an unknown field", conf{file: one + "  address_map:\n  - {from: a, to: b, locationid: X}\n"}, "clusters.default.address_map[0].locationid", "file tunnel.yaml:4", "", "unknown key", "clusters.default.address_map[0].location_id"},
		{"part of a rule is a list", conf{file: one + "  address_map:\n  - {from: [a], to: b}\n"}, "clusters.default.address_map[0].from", "file tunnel.yaml:4", "", "expected a single value, got a list", ""},
		{"rule with a long Location ID", conf{file: one + "  address_map:\n  - {from: a, to: b, location_id: " + strings.Repeat("x", 190) + "}\n"}, "clusters.default.address_map[0].location_id", "file tunnel.yaml:4", strings.Repeat("x", 120) + "...", "has 190 bytes", ""},
		{"rules make no sense", conf{env: []string{bootstrap, "KAFKA_TUNNEL_ADDRESS_MAP=[{from: a, to: '*'},{from: c, to: d},{from: 'node:x', to: b}]"}}, "clusters.default.address_map", "variable KAFKA_TUNNEL_ADDRESS_MAP", "[{from: a, to: '*'},{from: c, to: d},{from: 'node:x', to: b}]", `rule 1: to: * requires a * in from; rule 3: from: "x" is not a node id`, ""},

		// Credentials.
		{"URL without scheme", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=uaa.corp"}}, "token.url", "variable KAFKA_TUNNEL_TOKEN_URL", "uaa.corp", "scheme", ""},
		{"secret file missing", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://x", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=x", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET_FILE=/gone"}}, "token.client_secret_file", "variable KAFKA_TUNNEL_TOKEN_CLIENT_SECRET_FILE", "/gone", "cannot be read: ", ""},
		{"two secrets", conf{file: "token: {client_secret_file: /x}", env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://x", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=x", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=x"}}, "token.client_secret_file", "file tunnel.yaml:1", "/x", "contradicts token.client_secret (variable KAFKA_TUNNEL_TOKEN_CLIENT_SECRET)", ""},
		{"a secret and a certificate", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://x", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=x", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=x"}, file: "token: {certificate_file: c.pem, key_file: k.pem}", files: clientPair(t)}, "token.client_secret", "variable KAFKA_TUNNEL_TOKEN_CLIENT_SECRET", "***", "contradicts token.certificate_file", ""},
		{"a certificate without its key", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://x", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=x", "KAFKA_TUNNEL_TOKEN_CERTIFICATE_FILE=c.pem"}, files: clientPair(t)}, "token.key_file", "default", "", "url, client_id, certificate_file and key_file are needed together", ""},
		{"a certificate with another's key", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://x", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=x", "KAFKA_TUNNEL_TOKEN_CERTIFICATE_FILE=c.pem", "KAFKA_TUNNEL_TOKEN_KEY_FILE=k.pem"}, files: map[string]string{"c.pem": testutil.AuthorityPEM, "k.pem": clientPair(t)["k.pem"]}}, "token.certificate_file", "variable KAFKA_TUNNEL_TOKEN_CERTIFICATE_FILE", "c.pem", "the key is that of another certificate", ""},
		{"half a token", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://x", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=x"}}, "token.client_id", "default", "", "is missing, but token.url is set (variable KAFKA_TUNNEL_TOKEN_URL)", ""},

		// Contradictions.
		{"direct with a proxy", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_VIA=direct"}, file: "connectivity: {proxy: 'p:1'}"}, "connectivity.proxy", "file tunnel.yaml:1", "p:1", "contradicts connectivity.via: direct (variable KAFKA_TUNNEL_CONNECTIVITY_VIA)", ""},
		{"direct to itself", conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=localhost:9092", "KAFKA_TUNNEL_CONNECTIVITY_VIA=direct"}}, "clusters.default.bootstrap", "variable KAFKA_TUNNEL_BOOTSTRAP", "localhost:9092", "which is an address of the tunnel itself", ""},
		{"remote", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LISTEN=0.0.0.0:9092"}}, "clusters.default.listen", "variable KAFKA_TUNNEL_LISTEN", "0.0.0.0:9092", "needs allow_remote: true", "127.0.0.1:9092"},
		{"remote without a host", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LISTEN=:9092"}}, "clusters.default.listen", "variable KAFKA_TUNNEL_LISTEN", ":9092", "needs allow_remote: true", "127.0.0.1:9092"},
		{"remote as localhost", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LISTEN=0.0.0.0:9092", "KAFKA_TUNNEL_ALLOW_REMOTE=true", "KAFKA_TUNNEL_INSECURE_REMOTE=true"}}, "clusters.default.advertise", "default", "localhost", "other hosts cannot connect to it, but clusters.default.listen is open to them (0.0.0.0:9092)", ""},
		{"remote without authentication", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LISTEN=10.1.1.1:9092", "KAFKA_TUNNEL_ALLOW_REMOTE=true", "KAFKA_TUNNEL_ADVERTISE=h"}}, "clusters.default.listen", "variable KAFKA_TUNNEL_LISTEN", "10.1.1.1:9092", "without authentication; that needs insecure_remote: true", ""},

		// Authentication.
		{"a password without a user", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_AUTH=userpass", "KAFKA_TUNNEL_CONNECTIVITY_PASSWORD=x"}}, "connectivity.username", "default", "", "is missing; connectivity.auth: userpass (variable KAFKA_TUNNEL_CONNECTIVITY_AUTH) needs it", ""},
		{"a user for a token", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_USERNAME=x"}}, "connectivity.username", "variable KAFKA_TUNNEL_CONNECTIVITY_USERNAME", "x", "contradicts connectivity.auth: jwt (default)", ""},
		{"a Location ID without a token", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_AUTH=none", "KAFKA_TUNNEL_LOCATION_ID=X"}}, "clusters.default.location_id", "variable KAFKA_TUNNEL_LOCATION_ID", "X", "only a token carries it", ""},
		{"a tenant that is a URL", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TENANT=https://x.y"}}, "clusters.default.tenant", "variable KAFKA_TUNNEL_TENANT", "https://x.y", "expected the subdomain of a subaccount", ""},

		// TLS.
		{"CA file without TLS", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TLS_CA_FILE=ca.pem"}, files: map[string]string{"ca.pem": testutil.AuthorityPEM}}, "clusters.default.tls.ca_file", "variable KAFKA_TUNNEL_TLS_CA_FILE", "ca.pem", "has no effect without tls.enabled: true (default: false)", ""},
		{"a server name without TLS", conf{env: []string{bootstrap}, file: "clusters: [{tls: {enabled: false, server_name: a}}]"}, "clusters.default.tls.server_name", "file tunnel.yaml:1", "a", "has no effect without tls.enabled: true (file tunnel.yaml:1: false)", ""},
		{"CA file missing", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TLS_ENABLED=true", "KAFKA_TUNNEL_TLS_CA_FILE=ca.pem"}}, "clusters.default.tls.ca_file", "variable KAFKA_TUNNEL_TLS_CA_FILE", "ca.pem", "cannot be read: ", ""},
		{"CA file without certificates", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TLS_ENABLED=true", "KAFKA_TUNNEL_TLS_CA_FILE=ca.pem"}, files: map[string]string{"ca.pem": "ca"}}, "clusters.default.tls.ca_file", "variable KAFKA_TUNNEL_TLS_CA_FILE", "ca.pem", "contains no certificate in PEM form", ""},
		{"a server name with a port", conf{env: []string{bootstrap, "KAFKA_TUNNEL_TLS_ENABLED=true", "KAFKA_TUNNEL_TLS_SERVER_NAME=k.corp:9093"}}, "clusters.default.tls.server_name", "variable KAFKA_TUNNEL_TLS_SERVER_NAME", "k.corp:9093", "expected the name or address of a host", "k.corp"},
		{"TLS as one key", conf{env: []string{bootstrap}, file: "clusters: [{tls.enabled: true}]"}, "clusters.default.tls.enabled", "file tunnel.yaml:1", "", "unknown key", "tls: {enabled: ...}"},
		{"TLS outside of clusters", conf{env: []string{bootstrap}, file: "tls: {enabled: true}"}, "tls", "file tunnel.yaml:1", "", "unknown key", "clusters.default.tls"},
		{"TLS as a word", conf{env: []string{bootstrap}, file: "clusters: [{tls: true}]"}, "clusters.default.tls", "file tunnel.yaml:1", "", "expected a mapping of keys, got a single value", ""},
		{"a misspelt key of TLS", conf{env: []string{bootstrap}, file: "clusters: [{tls: {cafile: x}}]"}, "clusters.default.tls.cafile", "file tunnel.yaml:1", "", "unknown key", "clusters.default.tls.ca_file"},

		// Ports.
		{"listen in broker_ports", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LISTEN=localhost:19150"}}, "clusters.default.listen", "variable KAFKA_TUNNEL_LISTEN", "localhost:19150", "overlaps with clusters.default.broker_ports 19100-19199 (default)", ""},
		{"admin in broker_ports", conf{env: []string{bootstrap, "KAFKA_TUNNEL_BROKER_PORTS=19000-19199"}}, "clusters.default.broker_ports", "variable KAFKA_TUNNEL_BROKER_PORTS", "19000-19199", "overlaps with admin.listen 127.0.0.1:19099 (default)", ""},
		{"admin on listen", conf{env: []string{bootstrap, "KAFKA_TUNNEL_ADMIN_LISTEN=:9092"}}, "admin.listen", "variable KAFKA_TUNNEL_ADMIN_LISTEN", ":9092", "overlaps with clusters.default.listen 127.0.0.1:9092 (default)", ""},
		{"tap beyond loopback", conf{env: []string{bootstrap, "KAFKA_TUNNEL_ADMIN_LISTEN=0.0.0.0:19099", "KAFKA_TUNNEL_ADMIN_TAP=true"}}, "admin.tap", "variable KAFKA_TUNNEL_ADMIN_TAP", "true", "admin.listen is beyond loopback", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.problems(t)
			if len(got) != 1 {
				t.Fatalf("%d problems:%s", len(got), lines(got))
			}
			p := got[0]
			if p.Key != test.key || p.Source != test.source || p.Value != test.value || p.Nearest != test.nearest || !strings.Contains(p.Message, test.message) {
				t.Errorf("got  %+v\nwant %+v", p, Problem{test.key, test.source, test.value, test.message, test.nearest})
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := conf{
		args: []string{"--log-level=loud", "--broker-ports=9"},
		env:  []string{"KAFKA_TUNNEL_LISTEN=9092", "KAFKA_TUNNEL_BOOTSTRAP=kafka", "KAFKA_TUNNEL_TOEKN_URL=x"},
		file: "superfluous: []\nconnectivity: {hold: forever}\n",
	}.load(t)
	want := strings.Join([]string{
		"the configuration is not valid",
		"  KAFKA_TUNNEL_TOEKN_URL: unknown variable; did you mean KAFKA_TUNNEL_TOKEN_URL?",
		"  superfluous (file tunnel.yaml:1): unknown key",
		`  clusters.default.bootstrap = "kafka" (variable KAFKA_TUNNEL_BOOTSTRAP): expected HOST:PORT (several with commas); did you mean kafka:9092?`,
		`  clusters.default.listen = "9092" (variable KAFKA_TUNNEL_LISTEN): expected HOST:PORT with a port from 0 to 65535; did you mean 127.0.0.1:9092?`,
		`  connectivity.hold = "forever" (file tunnel.yaml:2): expected a duration with its unit (ms, s, m, h) from 100ms to 10m`,
		`  log.level = "loud" (flag --log-level): expected debug or info or warn or error`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if !failure.Is(err, failure.ConfigInvalid) {
		t.Errorf("the error is not config_invalid")
	}
}

func TestMissingBootstrapHasItsOwnAdvice(t *testing.T) {
	_, err := conf{}.load(t)
	if f, ok := failure.As(err); !ok || f.Code != failure.BootstrapMissing || !strings.Contains(f.Advice(), "KAFKA_TUNNEL_BOOTSTRAP") {
		t.Errorf("err = %v", err)
	}
	if !strings.Contains(err.Error(), "no bootstrap address is configured") {
		t.Errorf("err = %v", err)
	}
	// With other problems it is one of them. It is not reported at all if the file that
	// may contain the address cannot be read.
	if got := (conf{env: []string{"KAFKA_TUNNEL_LOG_LEVEL=x"}}).problems(t); len(got) != 2 {
		t.Errorf("problems:%s", lines(got))
	}
	if got := (conf{file: "log: ["}).problems(t); len(got) != 1 {
		t.Errorf("problems:%s", lines(got))
	}
	if got := (conf{args: []string{"--bootstrap="}, env: []string{bootstrap}}).problems(t); len(got) != 1 || got[0].Source != "flag --bootstrap" {
		t.Errorf("problems:%s", lines(got))
	}
}

// TestNothingSecretIsShown: no problem shows a secret that was configured in the wrong
// place.
func TestNothingSecretIsShown(t *testing.T) {
	const s = "hunter2!|x"
	for _, c := range []conf{
		{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_CLIENT_SECRTE=" + s}},
		{env: []string{bootstrap, "KAFKA_TUNNEL_CLUSTERS_A_PASSWORD=" + s}},
		{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=" + s}},
		{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=" + s + "\n"}},
		{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_VIA=direct", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=" + s}},
		{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET_FILE=/x", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=" + s}},
		{env: []string{bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://u:" + s + "@uaa.corp"}},
		{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_PROXY=socks5://u:" + s + "@p:1"}},
		{env: []string{bootstrap, "KAFKA_TUNNEL_LISTEN=u:" + s + "@127.0.0.1:1"}},
		{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=a:1,u:" + s + ",3@b:2,c:3"}},
		{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=" + s + "@b:2"}},
		{file: "token: {client_secret: [" + s + "]}", env: []string{bootstrap}},
		{file: "token: " + s, env: []string{bootstrap}},
		{file: "token: {client_secrte: " + s + "}", env: []string{bootstrap}},
		{file: "token:\n  client_secret: *" + s + "\n"},
		{file: "token:\n  client_secret: !" + s + "\n  url: x", env: []string{bootstrap}},
		{file: "token:\n  client_secret: '" + s + "\n"},
		{file: "token:\n  client_secret: @" + s + "\n"},
		{file: "token:\n  client_secret: %" + s + "\n"},
		{file: s},
	} {
		_, err := c.load(t)
		wrong, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%+v: err = %v", c, err)
			continue
		}
		all := err.Error() + lines(wrong.Problems)
		for _, v := range wrong.Values {
			all += v.Value + v.Source
		}
		if strings.Contains(all, "hunter2") {
			t.Errorf("%+v shows the secret: %s", c, all)
		}
	}
}

func TestProblemsComeWithTheValuesInEffect(t *testing.T) {
	_, err := conf{env: []string{bootstrap, "KAFKA_TUNNEL_LISTEN=9092", "KAFKA_TUNNEL_LOG_LEVEL=debug"}}.load(t)
	wrong, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("err = %v", err)
	}
	values := &Effective{Values: wrong.Values}
	for key, want := range map[string]string{"clusters.default.listen": "9092", "log.level": "debug", "admin.listen": "127.0.0.1:19099"} {
		if got, _ := values.value(t, key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}

// TestYAMLErrorsAreWhole: the parser's own words are kept unchanged, and no content of
// the file is among them, however short it is.
func TestYAMLErrorsAreWhole(t *testing.T) {
	for file, want := range map[string]string{
		"log:\n  {level: info\n":             "is not valid YAML: line 1: did not find expected ',' or '}'",
		"clusters:\n  [a\n":                  "is not valid YAML: line 1: did not find expected ',' or ']'",
		"log:\n  level: info\n bad: x\n":     "is not valid YAML: line 2: did not find expected key",
		"log:\n\tlevel: info\n":              "is not valid YAML: line 2: found character that cannot start any token",
		"log: a: b\n":                        "is not valid YAML: mapping values are not allowed in this context",
		"token:\n  client_secret: *x\n":      "is not valid YAML: an alias (*) refers to an anchor (&) that is not defined; a value that begins with * needs quotes",
		"token:\n  client_secret: *hunter\n": "is not valid YAML: an alias (*) refers to an anchor (&) that is not defined; a value that begins with * needs quotes",
	} {
		_, err := conf{file: file, env: []string{bootstrap}}.load(t)
		wrong, ok := errors.AsType[*Error](err)
		if !ok || len(wrong.Problems) == 0 {
			t.Errorf("%q: %v", file, err)
			continue
		}
		if got := wrong.Problems[0].Message; got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}
