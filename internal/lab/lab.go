// Package lab runs all upstream services of the tunnel (an SAP BTP landscape) in one process,
// for `kafka-tunnel lab` and for tests.
//
//	l, err := lab.Start(ctx, lab.Options{Brokers: 3})
//	defer l.Close()
//	env := l.Env()   // VCAP_SERVICES, VCAP_APPLICATION, KAFKA_TUNNEL_BOOTSTRAP, ...
//
// # The parts
//
//	tokenservice   OAuth endpoint, XSUAA and IAS; signed JWTs with expiry and tenant
//	destinations   destination service
//	proxy          connectivity proxy: SOCKS5 with method 0x80, a strict parser of its own
//	connector      Cloud Connectors by subaccount and Location ID, with access control
//	authority      certificates of brokers with TLS, of the token service, of the binding
//	brokers        Kafka (kfake), or real brokers (Upstream)
//	faults         what goes wrong
//
// All listen on loopback, on ephemeral ports by default. The tunnel is configured only by the
// environment that the platform would set: Env.
//
// # Names
//
// A broker has three names: the one that it advertises, the virtual one in the Cloud Connector,
// and the internal one in the company's network. None of them resolves on this machine.
// Options.Advertise selects them:
//
//	            advertised                    virtual                       internal
//	internal    kafka-1.onprem.invalid:9092   as advertised                 kafka-1.onprem.invalid:9092
//	virtual     kafka-1.virtual.invalid:9092  kafka-1.virtual.invalid:9092  kafka-1.onprem.invalid:9092
//	localhost   localhost:9092, 9093, ...     kafka.onprem.invalid:9092...  kafka.onprem.invalid:9092...
//
// "internal" is the usual configuration; with Options.VirtualHost the Cloud Connector exposes
// other names, and Env has an address map to them. "localhost" is a broker on a developer's
// laptop; the Cloud Connector has one entry with a range of ports. With one broker the tunnel
// needs no address map, with several Env has one.
//
// With Options.Upstream the brokers are real ones with their own advertised addresses; the
// Cloud Connector exposes exactly the configured addresses.
//
// # Faults
//
// In Go: l.Faults().Add(faults.Fault{Kind: faults.ConnectorAway}). Over HTTP, on the control
// port (part "control" of [Landscape.Parts]):
//
//	POST   /faults       {"kind": "connect_reply", "reply": 3, "count": 2}  -> 201 and the fault with its "id"
//	GET    /faults       the faults with their "hits"
//	DELETE /faults       removes all; DELETE /faults/ID one
//	GET    /kinds        the kinds of faults, and the fields of each
//	GET    /state        counters, newest connections, violations of the protocol
//	PUT    /destinations/NAME    {"Address": "..."}; GET and DELETE too
//
// Further fields: "target" (virtual host:port), "location_id", "count" (how often; absent:
// until removed), "for" (removed after that time), "mode", "status", "retry_after", "reply",
// "delay", "bytes", "rate" (bytes per second), "limit" (connections), "direction" (up, down).
// Times are strings such as "1.5s". Unknown fields, and fields that the kind does not take, are
// errors (400, {"error": "..."}). docs/lab.md is the page for users, with the table of kinds.
//
// # Limits
//
// The lab is written from SAP's documentation, not from SAP's code. Its secrets are generated
// at each start.
package lab

//go:generate go run ./docs ../../docs/lab.md

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/brokers"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/destinations"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
	"github.com/twmb/franz-go/pkg/kfake"
)

// What the brokers advertise.
const (
	AdvertiseInternal  = "internal"
	AdvertiseVirtual   = "virtual"
	AdvertiseLocalhost = "localhost"
)

// Options describe the lab. The zero value means three brokers that advertise internal names, a
// Cloud Connector without a Location ID, and tokens that are valid for twelve hours.
type Options struct {
	Brokers     int            // embedded brokers, default 3; not with Upstream
	Advertise   string         // AdvertiseInternal (default), -Virtual or -Localhost; not with Upstream
	VirtualHost string         // with AdvertiseInternal: virtual host names, * is the node id
	Upstream    []UpstreamSpec // real brokers instead of embedded ones
	DataDir     string         // directory for the embedded brokers' data; "": in memory
	TokenLife   time.Duration  // default 12 h
	TokenRate   float64        // token requests per second before 429; 0: no limit
	LocationID  string         // of the Cloud Connector; "": none
	Second      string         // Location ID of a second Cloud Connector, which exposes every second broker; "": none
	Registry    bool           // a simulated Schema Registry, exposed as registry.onprem.invalid:8081
	Trusted     bool           // the proxy requires no token, like Kyma's in trusted mode
	User        string         // with Trusted: the proxy requires this user and password (RFC 1929)
	Password    string
	Identity    bool          // the Identity Authentication service issues the tokens, not XSUAA
	Destination bool          // Env names a destination instead of addresses
	Subscriber  bool          // the Cloud Connectors are connected to the subaccount of a subscriber
	X509        bool          // the bindings have certificates instead of secrets
	X509Life    time.Duration // validity of that certificate, default 7 days
	TLS         bool          // embedded brokers require TLS, with certificates of the lab's own CA
	Subscribers []string      // further tenants that get tokens, but have no Cloud Connector

	ProxyListen   string // host:port, default 127.0.0.1:0, as the next two
	TokenListen   string
	ControlListen string

	Faults []faults.Fault // active from the start
	Kafka  []kfake.Opt    // further options of the embedded brokers
	Logger *slog.Logger   // nil: no log
}

// A Landscape is a running lab.
type Landscape struct {
	opts                                           Options
	plan                                           plan
	ids                                            identity
	faults                                         *faults.Set
	tokens                                         *tokenservice.Service
	proxy                                          *proxy.Proxy
	connectors                                     *connector.Registry
	connector                                      *connector.Connector
	second                                         *connector.Connector  // nil: none
	destinations                                   *destinations.Service // nil: none
	proxyClient, destinationClient, identityClient account
	brokers                                        *brokers.Cluster     // nil with upstreams
	authority                                      *authority.Authority // nil without TLS
	caDir                                          string               // of the file with the authority's certificate
	registry                                       *registry            // nil: none
	control                                        *control
}

// Start starts a lab. ctx limits only the start; Close stops the lab.
func Start(ctx context.Context, opts Options) (*Landscape, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	p, err := newPlan(opts)
	if err != nil {
		return nil, err
	}
	l := &Landscape{opts: opts, plan: p, ids: newIdentity(), faults: &faults.Set{}}
	for _, start := range []func() error{l.startAuthority, l.startTokens, l.startBrokers, l.startConnectors, l.startDestinations, l.startRegistry, l.startProxy, l.startControl, l.addFaults} {
		if err = ctx.Err(); err == nil {
			err = start()
		}
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// issuer returns the authority if certificates are used.
func (l *Landscape) issuer(wanted bool) *authority.Authority {
	if !wanted {
		return nil
	}
	return l.authority
}

// startAuthority creates the authority that issues all certificates, and a file with its own
// for clients.
func (l *Landscape) startAuthority() (err error) {
	if !l.opts.TLS && !l.opts.X509 {
		return nil
	}
	if l.authority, err = authority.New("kafka-tunnel lab"); err != nil {
		return err
	}
	if l.caDir, err = os.MkdirTemp("", "kafka-tunnel-lab-"); err != nil {
		return err
	}
	return os.WriteFile(l.CAFile(), l.authority.PEM(), 0o600)
}

// CAFile returns the path of the CA certificate for all certificates of the lab, PEM; "" if it
// uses none. Close removes the file.
func (l *Landscape) CAFile() string {
	if l.caDir == "" {
		return ""
	}
	return filepath.Join(l.caDir, "ca.pem")
}

// Authority returns the issuer of all certificates, or nil if the lab uses none.
func (l *Landscape) Authority() *authority.Authority { return l.authority }

// startBrokers starts the embedded brokers.
func (l *Landscape) startBrokers() (err error) {
	if len(l.opts.Upstream) > 0 {
		return nil
	}
	specs := make([]brokers.Spec, 0, len(l.plan.nodes))
	for _, n := range l.plan.nodes {
		specs = append(specs, brokers.Spec{ID: n.id, Advertise: n.advertised, Aliases: []string{n.virtual, n.internal}, Names: certNames(n)})
	}
	l.brokers, err = brokers.Start(brokers.Options{
		Brokers: specs, DataDir: l.opts.DataDir, Faults: l.faults, Logger: l.opts.Logger, Kafka: l.opts.Kafka,
		Authority: l.issuer(l.opts.TLS),
	})
	return err
}

// certNames returns the hosts in a broker's certificate: its names in the company's network,
// not the virtual ones.
func certNames(n node) []string {
	var names []string
	for _, address := range []string{n.advertised, n.internal} {
		if host, _, err := net.SplitHostPort(address); err == nil && !slices.Contains(names, host) {
			names = append(names, host)
		}
	}
	return names
}

// startConnectors connects the Cloud Connector.
func (l *Landscape) startConnectors() (err error) {
	l.connectors = connector.New(connector.Options{Dial: l.dialInternal, Faults: l.faults, Logger: l.opts.Logger})
	if l.connector, err = l.connectors.Add(l.home(), l.opts.LocationID, l.plan.entries...); err != nil || l.opts.Second == "" {
		return err
	}
	l.second, err = l.connectors.Add(l.home(), l.opts.Second, l.plan.second...)
	return err
}

// startProxy starts the connectivity proxy.
func (l *Landscape) startProxy() (err error) {
	trusted := ""
	if l.opts.Trusted {
		trusted = l.home()
	}
	l.proxy, err = proxy.Start(proxy.Options{
		Listen:  l.opts.ProxyListen,
		Trusted: trusted, User: l.opts.User, Password: l.opts.Password,
		Network:  l.connectors,
		Verifier: l.verifier(l.proxyClients()...),
		Faults:   l.faults, Logger: l.opts.Logger,
	})
	if err != nil {
		err = fmt.Errorf("connectivity proxy: %w", err)
	}
	return err
}

// startControl starts the control port.
func (l *Landscape) startControl() (err error) {
	l.control, err = newControl(l, l.opts.ControlListen)
	return err
}

// addFaults adds the faults that are active from the start.
func (l *Landscape) addFaults() error {
	for _, f := range l.opts.Faults {
		if _, err := l.faults.Add(f); err != nil {
			return err
		}
	}
	return nil
}

// Close stops the lab and waits for all its goroutines.
func (l *Landscape) Close() error {
	var errs []error
	if l.control != nil {
		errs = append(errs, l.control.close())
	}
	if l.connectors != nil {
		l.connectors.Close()
	}
	if l.proxy != nil {
		errs = append(errs, l.proxy.Close())
	}
	if l.registry != nil {
		errs = append(errs, l.registry.close())
	}
	if l.brokers != nil {
		l.brokers.Close()
	}
	if l.destinations != nil {
		errs = append(errs, l.destinations.Close())
	}
	if l.tokens != nil {
		errs = append(errs, l.tokens.Close())
	}
	l.faults.Close()
	if l.caDir != "" {
		errs = append(errs, os.RemoveAll(l.caDir))
	}
	return errors.Join(errs...)
}

// Faults returns the active faults, which the caller may change.
func (l *Landscape) Faults() *faults.Set { return l.faults }

// Tokens returns the token service.
func (l *Landscape) Tokens() *tokenservice.Service { return l.tokens }

// Proxy returns the connectivity proxy.
func (l *Landscape) Proxy() *proxy.Proxy { return l.proxy }

// Connectors returns all Cloud Connectors; more can be added.
func (l *Landscape) Connectors() *connector.Registry { return l.connectors }

// Connector returns the Cloud Connector that exposes the brokers.
func (l *Landscape) Connector() *connector.Connector { return l.connector }

// Second returns the other Cloud Connector, nil without one.
func (l *Landscape) Second() *connector.Connector { return l.second }

// Subscriber returns the tenant id of the subscriber, to whose subaccount the Cloud Connectors
// are connected with [Options].Subscriber.
func (l *Landscape) Subscriber() string { return l.ids.subscriber }

// Cluster returns the embedded brokers, nil with upstreams.
func (l *Landscape) Cluster() *brokers.Cluster { return l.brokers }

// dialInternal opens a connection in the company's network: it resolves the internal names of
// the embedded brokers, and refuses the real ones that a fault makes unreachable (their open
// connections continue, because the lab does not own them).
func (l *Landscape) dialInternal(ctx context.Context, network, address string) (net.Conn, error) {
	for _, n := range l.plan.nodes {
		if n.real == "" || !sameAddress(n.internal, address) {
			continue
		}
		for _, name := range []string{n.virtual, n.real} {
			if _, down := l.faults.Take(faults.BrokerDown, faults.Where{Target: name}); down {
				return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused by a fault")}
			}
		}
	}
	if real, ok := l.resolve(address, func(n node) string { return n.internal }); ok {
		address = real
	} else if l.registry != nil && sameAddress(address, registryAddress) {
		address = l.registry.port.String()
	} else if isInvalid(address) {
		return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// DialDirect opens a connection without tunnel, proxy and Cloud Connector, like a client in the
// company's network: it resolves the brokers' advertised, virtual and internal names, and uses
// TLS if they require it. Tests use it for the direct run with which they compare.
func (l *Landscape) DialDirect(ctx context.Context, network, address string) (net.Conn, error) {
	for _, name := range []func(node) string{
		func(n node) string { return n.advertised },
		func(n node) string { return n.virtual },
		func(n node) string { return n.internal },
	} {
		if real, ok := l.resolve(address, name); ok {
			conn, err := new(net.Dialer).DialContext(ctx, network, real)
			if err != nil || !l.opts.TLS {
				return conn, err
			}
			return l.Secure(ctx, conn, address)
		}
	}
	return l.dialInternal(ctx, network, address)
}

// Secure performs a TLS handshake over a connection to the broker with any of its addresses. It
// closes the connection if the handshake fails.
func (l *Landscape) Secure(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	config := &tls.Config{RootCAs: l.authority.Roots(), MinVersion: tls.VersionTLS12}
	for _, n := range l.plan.nodes {
		if sameAddress(n.advertised, address) || sameAddress(n.virtual, address) || sameAddress(n.internal, address) {
			config.ServerName = certNames(n)[0]
		}
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

// resolve returns the real address of the broker with that name.
func (l *Landscape) resolve(address string, name func(node) string) (string, bool) {
	for _, n := range l.plan.nodes {
		if sameAddress(name(n), address) {
			if n.real != "" {
				return n.real, true
			}
			if b := l.brokers.Broker(n.id); b != nil {
				return b.Address(), true
			}
		}
	}
	return "", false
}
