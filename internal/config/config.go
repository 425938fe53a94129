// Package config builds one validated, immutable [Config] from flags, variables, a file
// and the service binding.
//
//	eff, err := config.Resolve(config.Input{Flags: cmd.Flags(), Environ: os.Environ()})
//	// err: *config.Error with every problem at once, or the failure of the binding
//	tunnel.Run(ctx, eff.Config)
//
// # Precedence
//
//  1. flags: --bootstrap, --connectivity-hold
//  2. variables: KAFKA_TUNNEL_BOOTSTRAP, KAFKA_TUNNEL_CONNECTIVITY_HOLD
//  3. the file that --config or KAFKA_TUNNEL_CONFIG names (YAML)
//  4. the binding of the connectivity service: proxy and credentials; the destination
//     that a cluster names, read while the tunnel runs by package destination
//  5. defaults
//
// A list from a higher place replaces the whole list of a lower one. An empty
// variable counts as unset.
//
// # Clusters
//
// With one cluster its keys are addressed without its name: KAFKA_TUNNEL_LISTEN,
// --listen. Nothing has to be written for it in a file; it is then called
// default. With two or more the variables are KAFKA_TUNNEL_CLUSTERS_<NAME>_<KEY>
// (the name in upper case, - as _), and neither listen nor broker_ports has a
// default. If the file lists no clusters, such variables create them.
//
// # Problems
//
// All problems are reported at once: unknown keys and variables, wrong
// types, overlapping ports, contradictions; each with its key, its source, the
// value (never that of a secret or of an unknown key) and the nearest right name.
//
// The package logs nothing. [Load] depends on nothing but its [Input] and the
// files named in it.
//
// # How it works
//
// [Keys] is the table of all keys. Each cluster, and everything outside of clusters, is a
// scope with the keys and layers of its own. For each scope viper decides which layer
// wins; the key's parser turns the text into a value, and mapstructure stores the values
// in the structs of [Config]. Then the files that keys name are read, and keys that
// depend on one another are checked.
package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/binding"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// Config is the whole configuration. It is not changed after [Load].
type Config struct {
	Clusters     []Cluster // at least one
	Forwards     []Forward
	Connectivity Connectivity
	Token        Token
	Destinations Destinations
	Limits       Limits
	Drain        Drain
	Admin        Admin
	Log          Log
}

// A Cluster is one Kafka cluster behind the Cloud Connector.
type Cluster struct {
	Name           string     // "default" if there is only one without a name
	Bootstrap      []HostPort // virtual addresses; at least one, unless there is a Destination
	Destination    string     // name of the destination that supplies what is not configured
	Listen         HostPort   // address that clients connect to first; port 0: any free port
	Advertise      string     // host written into responses
	BrokerPorts    PortRange  // zero: ephemeral ports
	LocationID     string     // of the Cloud Connector; "": the default one
	Tenant         string     // subscriber: subdomain or zone id; "": the subaccount of the binding
	AddressMap     []AddressRule
	TLS            TLS
	AllowRemote    bool // Listen may be beyond loopback
	InsecureRemote bool // ... without authentication
}

// TLS configures TLS from the tunnel to the brokers of a cluster.
type TLS struct {
	Enabled bool
	CAFile  string         // CA file (PEM); "": the system's CAs
	Roots   *x509.CertPool // content of CAFile; nil: the system's CAs
	// ServerName is the host name in the certificates of all brokers; "": the host that
	// each broker advertises.
	ServerName string
}

// An AddressRule is one rule of address_map, checked by [addressmap.Parse].
type AddressRule = addressmap.Text

// A Forward is a plain TCP port that leads to one address of the company's network,
// such as a Schema Registry or Kafka Connect, on the same route as the brokers. Nothing
// is rewritten.
type Forward struct {
	Name       string   // in metrics and status
	Listen     HostPort // on loopback; port 0: any
	To         HostPort // virtual address
	LocationID string   // of the Cloud Connector; "": the default one
	Tenant     string   // subscriber; "": the subaccount of the binding
}

// The routes to the brokers.
const (
	ViaConnectivity = "connectivity" // through the connectivity proxy
	ViaDirect       = "direct"       // without proxy and token
)

// The issuers of tokens of a binding.
const (
	IssuerAuto  = "auto"  // what the binding supports; XSUAA if it supports both
	IssuerXSUAA = "xsuaa" // Authorization and Trust Management
	IssuerIAS   = "ias"   // Identity Authentication
)

// The methods of authentication at the proxy.
const (
	AuthJWT      = "jwt"      // SAP's method 0x80
	AuthNone     = "none"     // a proxy in trusted mode
	AuthPassword = "userpass" // RFC 1929
)

// Connectivity is the route through the connectivity proxy.
type Connectivity struct {
	Via     string // [ViaConnectivity] or [ViaDirect]
	Service string // name of the binding or instance, when several are bound
	// DestinationService is the same for the destination service.
	DestinationService string
	Proxy              string        // host:port; from the binding if not configured; "" for ViaDirect
	Auth               string        // [AuthJWT], [AuthNone] or [AuthPassword]
	Username           string        // for AuthPassword
	Password           Secret        // for AuthPassword; also set if it was read from PasswordFile
	PasswordFile       string        // the file that held the password, if one did
	ConnectTimeout     time.Duration // TCP connection to the proxy
	HandshakeTimeout   time.Duration // one attempt, if Hold is longer
	Hold               time.Duration // a client's whole wait for its upstream connection
	Keepalive          time.Duration // TCP keep-alive on the upstream connection
}

// Token is the source of tokens, as configured or filled in from the binding.
type Token struct {
	// Issuer is [IssuerAuto], [IssuerXSUAA] or [IssuerIAS]; it matters only with a
	// binding.
	Issuer   string
	URL      string // complete, with its path; "" for ViaDirect
	ClientID string
	// Resource is the application that a token from IAS is for; "": the token service
	// is XSUAA.
	Resource     string
	ClientSecret Secret // also set if it was read from ClientSecretFile
	// ClientSecretFile is the file that held the secret, if one did.
	ClientSecretFile string
	// CertificateFile and KeyFile are the files of a client certificate, which takes the
	// place of a secret.
	CertificateFile string
	KeyFile         string
	Certificate     *tls.Certificate // nil: there is a secret
	CAFile          string           // CA file (PEM) for verifying the token and the destination service; "": the system's CAs
	Roots           *x509.CertPool   // content of CAFile; nil: the system's CAs
}

// Destinations is the bound destination service; zero if no cluster needs it.
type Destinations struct {
	Name  string // of the binding
	URI   string // where its REST API is
	Token Token  // its credentials
}

// Same reports whether two tokens are fetched with the same credentials.
func (t Token) Same(other Token) bool {
	if t.URL != other.URL || t.ClientID != other.ClientID || t.ClientSecret != other.ClientSecret || t.Resource != other.Resource || (t.Certificate == nil) != (other.Certificate == nil) {
		return false
	}
	return t.Certificate == nil || slices.EqualFunc(t.Certificate.Certificate, other.Certificate.Certificate, bytes.Equal)
}

// Limits bound the resources that clients can make the tunnel use.
type Limits struct {
	MaxConnections  int           // 0: from the limit of file descriptors
	MaxRequestBytes int64         // largest request frame
	FrameStall      time.Duration // how long a peer may leave a frame unfinished
	Memory          int64         // bytes; upper bound of the soft memory limit
}

// Drain configures the shutdown after SIGTERM.
type Drain struct {
	Timeout time.Duration // maximum
	Quiet   time.Duration // without a connection
}

// Admin is the HTTP server for probes, metrics and status.
type Admin struct {
	Listen HostPort // port 0: any
	Tap    bool     // every client of Listen may view the frames that pass
}

// Log configures the log.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // text, json
}

// Secret is text that is never printed.
type Secret = binding.Secret

// HostPort is an address.
type HostPort = hostport.Address

// PortRange is a range of ports.
type PortRange = hostport.Range
