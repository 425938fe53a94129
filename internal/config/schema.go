package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

//go:generate go run ./docs ../../docs/configuration.md

// A Key is a row of the schema.
type Key struct {
	name    string // path; for keys of a cluster without "clusters"
	Default string // as text; "": none
	parse   parser
	marks   mark
	Meaning string // in one line
	list    lister // of a list of objects, in place of parse
}

// Name is the path in the file: "connectivity.hold", "clusters[].listen".
func (k Key) Name() string {
	if k.is(inCluster) {
		return "clusters[]." + k.name
	}
	return k.name
}

// Flag is the name of the flag, "" if there is none.
func (k Key) Flag() string {
	if k.is(isSecret|fileOnly|isField|required) || k.list != nil {
		return ""
	}
	return strings.NewReplacer(".", "-", "_", "-").Replace(k.name)
}

// Variable is the name of the environment variable for the only cluster, "" if there
// is none.
func (k Key) Variable() string {
	if k.is(fileOnly) {
		return ""
	}
	return k.variable()
}

func (k Key) variable() string { return prefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_")) }

func (k Key) is(m mark) bool { return k.marks&m != 0 }

// A mark is a property of a key.
type mark uint16

const (
	inCluster  mark = 1 << iota // a key of each cluster
	perCluster                  // several clusters have no default for it
	isList                      // comma-separated text; in a file, a list too
	isAddress                   // users paste addresses with a password before an @
	isSecret                    // never shown, and no flag
	fileOnly                    // neither a variable nor a flag
	needsProxy                  // has no effect with connectivity.via: direct
	needsUser                   // only for connectivity.auth: userpass
	isField                     // of an object in a list: no default, no flag, no variable
	required                    // the same, and each object needs it
)

// Keys returns the table of all keys, in the order of config.example.yaml. No other
// place lists them. The structs of [Config] have a field for each key, which is found
// by its name.
func Keys() []Key {
	const short, long = 100 * time.Millisecond, 10 * time.Minute
	name, file := printable(1000), anyText
	return []Key{
		{"name", "default", clusterName(), inCluster | perCluster | fileOnly, "name of the cluster in metrics, /status and variables", nil},
		{"bootstrap", "", brokerAddresses, inCluster | isList | isAddress, "virtual addresses of the brokers, as the Cloud Connector exposes them", nil},
		{"destination", "", matching(200, "[A-Za-z0-9_.-]*", "at most 200 letters, digits, -, _ and ."), inCluster, "name of a destination (TCP, OnPremise) that supplies what is not configured here", nil},
		{"listen", "127.0.0.1:9092", listenAddress, inCluster | isAddress | perCluster, "address that clients connect to first; port 0: any free port", nil},
		{"advertise", "localhost", advertised, inCluster, "host written into responses", nil},
		{"broker_ports", "19100-19199", portRange, inCluster | perCluster, "local ports, one for each broker; 0: ephemeral ports", nil},
		{"location_id", "", locationID, inCluster, "Location ID of the Cloud Connector", nil},
		{"tenant", "", tenant(), inCluster, "subscriber that owns the Cloud Connector: subdomain or tenant id; empty: the subaccount of the binding", nil},
		{"address_map", "[]", nil, inCluster, "rules that map advertised addresses to virtual ones; the first match wins", ruleList()},
		{"tls.enabled", "false", boolean, inCluster, "the brokers expect TLS", nil},
		{"tls.ca_file", "", file, inCluster, "CA file (PEM) for verifying the brokers; empty: the system's CAs", nil},
		{"tls.server_name", "", hostName("the name or address of a host, as in the brokers' certificate"), inCluster, "host name in the certificates of all brokers; empty: the host that each broker advertises", nil},
		{"allow_remote", "false", boolean, inCluster, "clients on other hosts are allowed: listen may be beyond loopback", nil},
		{"insecure_remote", "false", boolean, inCluster, "confirms that anyone who can reach listen can use the cluster without authentication", nil},

		{"forwards", "[]", nil, 0, "plain TCP ports to other services on the same route: Schema Registry, Kafka Connect", forwardList()},

		{"connectivity.via", ViaConnectivity, oneOf(ViaConnectivity, ViaDirect), 0, "connectivity: through the connectivity proxy; direct: without it", nil},
		{"connectivity.service", "", name, needsProxy, "name of the connectivity service, if several are bound", nil},
		{"connectivity.destination_service", "", name, needsProxy, "name of the destination service, if several are bound", nil},
		{"connectivity.proxy", "", proxyAddress, isAddress | needsProxy, "host:port of the SOCKS5 proxy; empty: from the binding", nil},
		{"connectivity.auth", AuthJWT, oneOf(AuthJWT, AuthNone, AuthPassword), 0, "jwt: with a token; none: a proxy in Kyma's trusted mode; userpass: with user name and password", nil},
		{"connectivity.username", "", printable(255), needsUser, "user name, with auth: userpass", nil},
		{"connectivity.password", "", secretText, isSecret | needsUser, "password, with auth: userpass; prefer a variable to the file", nil},
		{"connectivity.password_file", "", file, needsUser, "file that holds the password, with auth: userpass", nil},
		{"connectivity.connect_timeout", "5s", duration(short, long), 0, "limit for the TCP connection to the proxy", nil},
		{"connectivity.handshake_timeout", "20s", duration(short, long), 0, "limit for one attempt to reach a broker, within hold", nil},
		{"connectivity.hold", "9s", duration(short, long), 0, "how long a client is held while its broker cannot be reached", nil},
		{"connectivity.keepalive", "20s", duration(time.Second, time.Hour), 0, "interval of TCP keep-alive towards the proxy", nil},

		{"token.issuer", IssuerAuto, oneOf(IssuerAuto, IssuerXSUAA, IssuerIAS), 0, "issuer of tokens, with a binding: xsuaa, ias (an identity service is bound as well), auto: what the binding offers", nil},
		{"token.url", "", tokenURL, isAddress | needsProxy, "token service, only without a binding", nil},
		{"token.client_id", "", name, needsProxy, "client id, only without a binding", nil},
		{"token.client_secret", "", secretText, isSecret | needsProxy, "client secret, only without a binding; prefer a variable to the file", nil},
		{"token.client_secret_file", "", file, needsProxy, "file that holds the client secret, only without a binding", nil},
		{"token.resource", "", name, needsProxy, "resource of Identity Authentication tokens (urn:...); url is then that service; only without a binding", nil},
		{"token.certificate_file", "", file, needsProxy, "client certificate with its chain (PEM) in place of a secret; only without a binding", nil},
		{"token.key_file", "", file, needsProxy, "key of the client certificate (PEM); only without a binding", nil},
		{"token.ca_file", "", file, needsProxy, "CA file (PEM) for verifying the token and the destination service; empty: the system's CAs", nil},

		{"limits.max_connections", "0", integer(0, 1_000_000), 0, "open connections of all clients; 0: from the limits of file descriptors and memory", nil},
		{"limits.max_request_bytes", "104857600", size(1<<10, 1<<31-1), 0, "largest request", nil},
		{"limits.frame_stall", "60s", duration(short, time.Hour), 0, "how long a peer may leave a frame unfinished", nil},
		{"limits.memory", "256MiB", size(16<<20, 1<<40), 0, "upper bound of the soft memory limit; a quarter of it may hold data for clients and brokers", nil},

		{"drain.timeout", "55s", duration(0, long), 0, "after SIGTERM, the tunnel ends at the latest after this time", nil},
		{"drain.quiet", "3s", duration(0, long), 0, "after SIGTERM, the tunnel ends once no connection was open for this time", nil},

		{"admin.listen", "127.0.0.1:19099", listenAddress, isAddress, "address of probes, metrics and status; port 0: any free port", nil},
		{"admin.tap", "false", boolean, 0, "kafka-tunnel tap may watch the frames that pass; on loopback only", nil},

		{"log.level", "info", oneOf("debug", "info", "warn", "error"), 0, "debug, info, warn or error", nil},
		{"log.format", "text", oneOf("text", "json"), 0, "text or json", nil},
	}
}

// fileFlag is the flag that names the file.
const fileFlag = "config"

// Flags registers a flag for every key that is neither a secret nor a list of objects.
// [Load] checks their values together with everything else.
func Flags(fs *pflag.FlagSet) {
	fs.String(fileFlag, "", "YAML file with the configuration")
	fs.String(defaultEnvFlag, "", "default-env.json with variables that are not set, on a laptop")
	for _, k := range Keys() {
		if name := k.Flag(); name != "" {
			flag := fs.VarPF(&flagText{text: k.Default, list: k.is(isList), kind: k.flagKind()}, name, "", k.Meaning)
			if k.Default == "false" {
				flag.NoOptDefVal = "true"
			}
		}
	}
}

// flagKind returns the word that the help shows for a value.
func (k Key) flagKind() string {
	value, _ := k.parse(k.Default)
	kinds := map[string]string{"bool": "bool", "[]hostport.Address": "list", "hostport.Address": "address", "time.Duration": "duration"}
	return cmp.Or(kinds[fmt.Sprintf("%T", value)], "text")
}

// flagText accepts any text, so that an invalid value is reported together with all
// other problems. A list may be set in parts: --bootstrap a:9092 --bootstrap b:9092.
type flagText struct {
	text string
	kind string
	list bool
}

func (f *flagText) String() string { return f.text }
func (f *flagText) Type() string   { return f.kind }

func (f *flagText) Set(text string) error {
	if f.list {
		text = strings.TrimPrefix(f.text+","+text, ",")
	}
	f.text = text
	return nil
}
