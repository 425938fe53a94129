package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
)

// A Key describes one key of the configuration, for documentation.
type Key struct {
	Name     string // path in the file: "connectivity.hold", "clusters.listen"
	Flag     string // "--connectivity-hold"; "" if there is none
	Variable string // "KAFKA_TUNNEL_CONNECTIVITY_HOLD"; "" if there is none
	Default  string // as it would be written; "" if there is none
	Help     string // one line
}

// Keys returns the schema in the order of config.example.yaml.
func Keys() []Key {
	var keys []Key
	for _, k := range schema() {
		out := Key{Name: k.name, Default: k.def, Help: k.help}
		if k.cluster {
			out.Name = "clusters." + k.name
		}
		if !k.noFlag {
			out.Flag = "--" + k.flagName()
		}
		if !k.fileOnly {
			out.Variable = prefix + k.variableName()
		}
		keys = append(keys, out)
	}
	return keys
}

// A shape is the form that a value has in the file.
type shape uint8

const (
	isScalar   shape = iota
	isList           // of scalars; comma-separated in variables and flags
	isRules          // address_map; YAML flow text in variables
	isForwards       // forwards; the same
)

// A target is what a key is stored in: the configuration, and the cluster for the
// keys of clusters.
type target struct {
	*Config
	cluster *Cluster
}

// A key is a row of the schema.
type key struct {
	name     string // path; for keys of a cluster without "clusters"
	def      string // default as text; "": none
	help     string
	shape    shape
	cluster  bool
	secret   bool
	address  bool // a password may have been pasted in front of an @
	noFlag   bool
	fileOnly bool
	// perCluster: with several clusters there is no default.
	perCluster bool
	// read understands a setting and stores it; what it returns is told to the user.
	read func(target, setting) *fault
	// show returns the value in effect.
	show func(target) string
}

func (k key) flagName() string     { return strings.NewReplacer(".", "-", "_", "-").Replace(k.name) }
func (k key) variableName() string { return strings.ToUpper(strings.ReplaceAll(k.name, ".", "_")) }

// section returns the part of the path before the dot.
func (k key) section() string { s, _, _ := strings.Cut(k.name, "."); return s }

// leaf returns the part of the path after the dot.
func (k key) leaf() string {
	if _, leaf, ok := strings.Cut(k.name, "."); ok {
		return leaf
	}
	return k.name
}

// schema returns the table of all keys: the only place that lists them.
func schema() []key {
	const (
		short = 100 * time.Millisecond
		long  = 10 * time.Minute
	)
	return []key{
		inCluster(inFileOnly(one("name", "default", "name of the cluster in metrics, /status and variables",
			clusterName, plain, func(t target) *string { return &t.cluster.Name }))),
		inCluster(address(list("bootstrap", "", "virtual addresses of the brokers, as the Cloud Connector exposes them",
			brokerAddress, HostPort.String, func(t target) *[]HostPort { return &t.cluster.Bootstrap }))),
		inCluster(one("destination", "", "name of a destination (TCP, OnPremise) that holds what is not configured here",
			destinationName, plain, func(t target) *string { return &t.cluster.Destination })),
		inCluster(perCluster(address(one("listen", "127.0.0.1:9092", "address where clients start; port 0: any",
			listenAddress, HostPort.String, func(t target) *HostPort { return &t.cluster.Listen })))),
		inCluster(one("advertise", "localhost", "host written into responses",
			advertised, plain, func(t target) *string { return &t.cluster.Advertise })),
		inCluster(perCluster(one("broker_ports", "19100-19199", "local ports, one for each broker; 0: ephemeral",
			portRange, PortRange.String, func(t target) *PortRange { return &t.cluster.BrokerPorts }))),
		inCluster(one("location_id", "", "Location ID of the Cloud Connector",
			locationID, plain, func(t target) *string { return &t.cluster.LocationID })),
		inCluster(one("tenant", "", "subscriber whose Cloud Connector it is: subdomain or tenant id; empty: the subaccount of the binding",
			tenant, plain, func(t target) *string { return &t.cluster.Tenant })),
		inCluster(rules("address_map", "[]", "which virtual address stands for which advertised one, first match wins")),
		inCluster(one("tls.enabled", "false", "the brokers expect TLS",
			boolean, showBool, func(t target) *bool { return &t.cluster.TLS.Enabled })),
		inCluster(one("tls.ca_file", "", "file with the authorities that have issued the brokers' certificates, PEM; empty: those of the system",
			anyText, plain, func(t target) *string { return &t.cluster.TLS.CAFile })),
		inCluster(one("tls.server_name", "", "host that all brokers' certificates are for; empty: the host that each advertises",
			serverName, plain, func(t target) *string { return &t.cluster.TLS.ServerName })),
		inCluster(one("allow_remote", "false", "clients of other hosts are allowed: listen may be beyond loopback",
			boolean, showBool, func(t target) *bool { return &t.cluster.AllowRemote })),
		inCluster(one("insecure_remote", "false", "clients of other hosts need no authentication: everybody who reaches listen can use the cluster",
			boolean, showBool, func(t target) *bool { return &t.cluster.InsecureRemote })),

		forwardsKey("forwards", "[]", "plain TCP ports that lead elsewhere by the same way: Schema Registry, Kafka Connect"),

		one("connectivity.via", ViaConnectivity, "connectivity: through the connectivity proxy; direct: without it",
			oneOf(ViaConnectivity, ViaDirect), plain, func(t target) *string { return &t.Connectivity.Via }),
		one("connectivity.service", "", "name of the connectivity service, if several are bound",
			serviceName, plain, func(t target) *string { return &t.Connectivity.Service }),
		one("connectivity.destination_service", "", "name of the destination service, if several are bound",
			serviceName, plain, func(t target) *string { return &t.Connectivity.DestinationService }),
		address(one("connectivity.proxy", "", "host:port of the SOCKS5 proxy in place of the binding's",
			proxyAddress, plain, func(t target) *string { return &t.Connectivity.Proxy })),
		one("connectivity.auth", AuthJWT, "jwt: with a token; none: a proxy in Kyma's trusted mode; userpass: with user and password",
			oneOf(AuthJWT, AuthNone, AuthPassword), plain, func(t target) *string { return &t.Connectivity.Auth }),
		one("connectivity.username", "", "user, with auth: userpass",
			credential, plain, func(t target) *string { return &t.Connectivity.Username }),
		secret(one("connectivity.password", "", "password, with auth: userpass; better in a variable than in a file",
			secretText, Secret.String, func(t target) *Secret { return &t.Connectivity.Password })),
		one("connectivity.password_file", "", "file that holds the password, with auth: userpass",
			anyText, plain, func(t target) *string { return &t.Connectivity.PasswordFile }),
		one("connectivity.connect_timeout", "5s", "for the TCP connection to the proxy",
			duration(short, long), showDuration, func(t target) *time.Duration { return &t.Connectivity.ConnectTimeout }),
		one("connectivity.handshake_timeout", "20s", "for one attempt to reach a broker, within hold",
			duration(short, long), showDuration, func(t target) *time.Duration { return &t.Connectivity.HandshakeTimeout }),
		one("connectivity.hold", "9s", "how long a client is held while its broker cannot be reached",
			duration(short, long), showDuration, func(t target) *time.Duration { return &t.Connectivity.Hold }),
		one("connectivity.keepalive", "20s", "interval of TCP keep-alive towards the proxy",
			duration(time.Second, time.Hour), showDuration, func(t target) *time.Duration { return &t.Connectivity.Keepalive }),

		one("token.issuer", IssuerAuto, "who gives the tokens, with a binding: xsuaa, ias (an identity service is bound as well), auto: as the binding says",
			oneOf(IssuerAuto, IssuerXSUAA, IssuerIAS), plain, func(t target) *string { return &t.Token.Issuer }),
		address(one("token.url", "", "token service, only without a binding",
			tokenURL, plain, func(t target) *string { return &t.Token.URL })),
		one("token.client_id", "", "client id, only without a binding",
			serviceName, plain, func(t target) *string { return &t.Token.ClientID }),
		secret(one("token.client_secret", "", "client secret, only without a binding; better in a variable than in a file",
			secretText, Secret.String, func(t target) *Secret { return &t.Token.ClientSecret })),
		one("token.client_secret_file", "", "file that holds the client secret, only without a binding",
			anyText, plain, func(t target) *string { return &t.Token.ClientSecretFile }),

		one("token.resource", "", "what tokens of the Identity Authentication service are for (urn:...), which is then at url; only without a binding",
			serviceName, plain, func(t target) *string { return &t.Token.Resource }),
		one("token.certificate_file", "", "file of the client certificate with its chain, PEM, in place of a secret; only without a binding",
			anyText, plain, func(t target) *string { return &t.Token.CertificateFile }),
		one("token.key_file", "", "file of the key of the client certificate, PEM; only without a binding",
			anyText, plain, func(t target) *string { return &t.Token.KeyFile }),
		one("token.ca_file", "", "file with the authorities that the token and the destination service may have their certificates from, PEM; empty: those of the system",
			anyText, plain, func(t target) *string { return &t.Token.CAFile }),

		one("limits.max_connections", "0", "open connections of all clients; 0: from the limit of file descriptors",
			integer(0, 1_000_000), showInt, func(t target) *int { return &t.Limits.MaxConnections }),
		one("limits.max_request_bytes", "104857600", "largest request",
			size(1<<10, 1<<31-1), showSize, func(t target) *int64 { return &t.Limits.MaxRequestBytes }),
		one("limits.frame_stall", "60s", "for a frame that was begun and is not continued",
			duration(short, time.Hour), showDuration, func(t target) *time.Duration { return &t.Limits.FrameStall }),
		one("limits.memory", "256MiB", "upper bound of the soft memory limit",
			size(16<<20, 1<<40), showSize, func(t target) *int64 { return &t.Limits.Memory }),

		one("drain.timeout", "55s", "after SIGTERM the tunnel ends at the latest after this time",
			duration(0, long), showDuration, func(t target) *time.Duration { return &t.Drain.Timeout }),
		one("drain.quiet", "3s", "after SIGTERM the tunnel ends when no connection was open for so long",
			duration(0, long), showDuration, func(t target) *time.Duration { return &t.Drain.Quiet }),

		one("admin.listen", "127.0.0.1:19099", "address of probes, metrics and status; port 0: any",
			listenAddress, HostPort.String, func(t target) *HostPort { return &t.Admin.Listen }),
		one("admin.tap", "false", "kafka-tunnel tap may watch the frames that pass; on loopback only",
			boolean, showBool, func(t target) *bool { return &t.Admin.Tap }),

		one("log.level", "info", "debug, info, warn or error",
			oneOf("debug", "info", "warn", "error"), plain, func(t target) *string { return &t.Log.Level }),
		one("log.format", "text", "text or json",
			oneOf("text", "json"), plain, func(t target) *string { return &t.Log.Format }),
	}
}

func inCluster(k key) key  { k.cluster = true; return k }
func perCluster(k key) key { k.perCluster = true; return k }
func inFileOnly(k key) key { k.fileOnly, k.noFlag = true, true; return k }
func address(k key) key    { k.address = true; return k }
func secret(k key) key     { k.secret, k.noFlag = true, true; return k }

// one is the row of a key with a single value.
func one[T any](name, def, help string, parse func(string) (T, *fault), show func(T) string, field func(target) *T) key {
	return key{
		name: name, def: def, help: help,
		read: func(t target, s setting) *fault {
			value, wrong := parse(s.text)
			if wrong == nil {
				*field(t) = value
			}
			return wrong
		},
		show: func(t target) string { return show(*field(t)) },
	}
}

// list is the row of a key with a list of values, each different from the others.
func list[T comparable](name, def, help string, parse func(string) (T, *fault), show func(T) string, field func(target) *[]T) key {
	return key{
		name: name, def: def, help: help, shape: isList,
		read: func(t target, s setting) *fault {
			var values []T
			seen := map[T]bool{}
			for _, item := range s.items {
				value, wrong := parse(item)
				if wrong != nil {
					if len(s.items) > 1 {
						wrong.message = fmt.Sprintf("%q %s", brief(item), wrong.message)
					}
					return wrong
				}
				if seen[value] {
					return wants("lists %s twice", show(value))
				}
				seen[value] = true
				values = append(values, value)
			}
			*field(t) = values
			return nil
		},
		show: func(t target) string {
			var shown []string
			for _, value := range *field(t) {
				shown = append(shown, show(value))
			}
			return strings.Join(shown, ",")
		},
	}
}

// rules is the row of address_map.
func rules(name, def, help string) key {
	return key{
		name: name, def: def, help: help, shape: isRules, noFlag: true,
		read: func(t target, s setting) *fault {
			var wrong []string
			for i, rule := range s.rules {
				if _, err := addressmap.Parse([]AddressRule{rule}); err != nil {
					// Without the wrapping, which numbers the rule.
					wrong = append(wrong, fmt.Sprintf("rule %d: %s", i+1, errors.Unwrap(err)))
				}
			}
			if len(wrong) > 0 {
				return wants("%s", strings.Join(wrong, "; "))
			}
			t.cluster.AddressMap = s.rules
			return nil
		},
		show: func(t target) string { return showRules(t.cluster.AddressMap) },
	}
}
