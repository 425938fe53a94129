// Package tokenservice simulates the OAuth token service (XSUAA) of an SAP BTP subaccount.
//
// It answers POST /oauth/token for the grant client_credentials, with the client's id and
// secret as form parameters or as HTTP Basic, and issues JWTs signed with RS256 with the claims
// of XSUAA: iss, sub, client_id, cid, azp, zid, aud, scope, jti, iat, exp. GET /token_keys
// returns the public key.
//
//	s, err := tokenservice.Start(tokenservice.Options{ClientID: id, ClientSecret: secret})
//	defer s.Close()
//	// s.URL() is the token_service_url of a binding
//
// It also answers POST /oauth2/token, like the Identity Authentication service (IAS) at an
// address of its own: for another client, which must name a resource.
//
// A [faults.Set] determines its failures (kinds token_*, certificate_refused, tenant_refused,
// resource_refused). It supports secrets and X-Zid tenants, but no users. It serves HTTP on
// loopback and, if certificates are used, HTTPS on a second port.
//
// Facts: SAP-docs/btp-connectivity, "consuming the connectivity service".
package tokenservice

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
	"golang.org/x/time/rate"
)

// DefaultLife is XSUAA's default: twelve hours.
const DefaultLife = 12 * time.Hour

// maxIssued limits the issued tokens that are remembered; the newest are kept.
const maxIssued = 10000

// Options describe the service. The zero value is ready to use: empty fields get default or
// random values.
type Options struct {
	Listen       string   // host:port, default 127.0.0.1:0
	ClientID     string   // default "sb-kafka-tunnel-lab"
	ClientSecret string   // default random
	Tenant       string   // tenant (zone) id of the subaccount, default random
	Subdomain    string   // of the tenant, default "lab"
	Subscribers  []string // further tenants that X-Zid may name
	// Clients are further clients and their secrets, of other services. Their secrets do not
	// change.
	Clients map[string]string
	// Identity is the client of IAS; without its Resource there is no IAS.
	Identity Identity
	// Authority opens a second port that accepts client certificates of this authority with the
	// client id as common name instead of the secret (RFC 8705), and accepts no secret; nil: no
	// such port.
	Authority *authority.Authority
	Life      time.Duration // of a token, whole seconds, default DefaultLife
	Rate      float64       // token requests per second before 429; 0: no limit
	Burst     int           // requests that may exceed Rate briefly, at least 1
	Faults    *faults.Set   // faults of the service; may be nil
	Logger    *slog.Logger  // nil: silent
}

// An Identity is an application known to IAS.
type Identity struct {
	ClientID, Secret string
	Resource         string // resource of its tokens
}

// A Service is a running token service.
type Service struct {
	opts    Options
	key     *rsa.PrivateKey
	signer  *signer
	port    *port.Port
	secure  *port.Port    // for certificates; nil: none
	servers []*port.HTTP  // one for each port
	limiter *rate.Limiter // nil: no limit

	mu      sync.Mutex
	secrets []string // all that were ever valid; the last one is
	issued  []string
	revoked map[string]bool // by jti
	jtis    []string        // of the issued tokens, for RevokeAll
	stats   Stats
	running int // handlers that are running
}

// Stats are the counters of a service.
type Stats struct {
	Requests    int         `json:"requests"`      // on the token endpoint, granted or not
	Granted     int         `json:"granted"`       // answered with a token
	ByStatus    map[int]int `json:"by_status"`     // answers by HTTP status
	MaxInFlight int         `json:"max_in_flight"` // highest number of concurrent requests
}

// Start starts a service.
func Start(opts Options) (*Service, error) {
	opts = opts.withDefaults()
	if opts.Life < time.Second {
		return nil, fmt.Errorf("token life %v is under a second", opts.Life)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making the signing key: %w", err)
	}
	s := &Service{
		opts:    opts,
		key:     key,
		secrets: []string{opts.ClientSecret},
		revoked: make(map[string]bool),
		stats:   Stats{ByStatus: make(map[int]int)},
	}
	if s.signer, err = newSigner(key); err != nil {
		return nil, err
	}
	if opts.Rate > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(opts.Rate), max(opts.Burst, 1))
	}
	if s.port, err = port.Listen(opts.Listen); err != nil {
		return nil, fmt.Errorf("token service: %w", err)
	}
	var over net.Listener
	if opts.Authority != nil {
		if over, err = s.listenTLS(); err != nil {
			return nil, errors.Join(err, s.port.Close())
		}
	}
	opts.Faults.OnChange(s.followFaults)
	opts.Faults.OnNow(faults.TokenRevoked, func(faults.Fault) { s.RevokeAll() })
	s.followFaults()
	s.servers = append(s.servers, port.Serve("token service", s.port, s.Handler(), opts.Logger))
	if over != nil {
		s.servers = append(s.servers, port.Serve("token service", over, s.Handler(), opts.Logger))
	}
	return s, nil
}

// listenTLS opens the port for certificates.
func (s *Service) listenTLS() (net.Listener, error) {
	own, err := s.opts.Authority.Issue(authority.Request{Names: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		return nil, err
	}
	if s.secure, err = port.Listen("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("token service: %w", err)
	}
	return tls.NewListener(s.secure, &tls.Config{
		Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: s.opts.Authority.Roots(),
		VerifyConnection: func(tls.ConnectionState) error {
			if _, refused := s.opts.Faults.Take(faults.CertificateRefused, faults.Where{}); refused {
				return errors.New("the certificate is refused by a fault")
			}
			return nil
		},
	}), nil
}

// withDefaults fills in empty fields.
func (o Options) withDefaults() Options {
	set := func(p *string, value func() string) {
		if *p == "" {
			*p = value()
		}
	}
	set(&o.Listen, func() string { return "127.0.0.1:0" })
	set(&o.ClientID, func() string { return "sb-kafka-tunnel-lab" })
	set(&o.ClientSecret, rand.Text)
	set(&o.Tenant, NewID)
	set(&o.Subdomain, func() string { return "lab" })
	if o.Life == 0 {
		o.Life = DefaultLife
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// NewID returns a random id in the form of a UUID, as the platform uses them.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// followFaults closes or opens the port according to the faults.
func (s *Service) followFaults() {
	_, down := s.opts.Faults.Active(faults.TokenDown, faults.Where{})
	for _, p := range []*port.Port{s.port, s.secure} {
		if p == nil {
			continue
		}
		if err := p.SetDown(down); err != nil {
			s.opts.Logger.Error("token service cannot restart", "error", err)
		}
	}
}

// Close stops the service and waits for all its goroutines.
func (s *Service) Close() error {
	var errs []error
	for _, one := range s.servers {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// Addr returns the address as "host:port".
func (s *Service) Addr() string { return s.port.String() }

// URL returns the base URL without a path, the format of bindings.
func (s *Service) URL() string { return "http://" + s.port.String() }

// CertURL returns the base URL for certificates, "" if there is none.
func (s *Service) CertURL() string {
	if s.secure == nil {
		return ""
	}
	return "https://" + s.secure.String()
}

// Issuer returns the iss claim of the tokens.
func (s *Service) Issuer() string { return s.URL() + "/oauth/token" }

// IdentityIssuer returns the iss claim of the tokens of IAS.
func (s *Service) IdentityIssuer() string { return s.URL() }

// Key returns the public key that verifies the tokens.
func (s *Service) Key() *rsa.PublicKey { return &s.key.PublicKey }

// Tenant returns the tenant (zone) id of the subaccount.
func (s *Service) Tenant() string { return s.opts.Tenant }

// Subdomain returns the subdomain of the subaccount.
func (s *Service) Subdomain() string { return s.opts.Subdomain }

// ClientID returns the client id that is accepted.
func (s *Service) ClientID() string { return s.opts.ClientID }

// Secret returns the client secret that is accepted.
func (s *Service) Secret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets[len(s.secrets)-1]
}

// SetSecret changes the client secret, like a rotation; the old one is refused from then on.
func (s *Service) SetSecret(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, secret)
}

// Secrets returns values that must not appear anywhere: all client secrets and the newest 10
// 000 tokens.
func (s *Service) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.secrets, s.issued, slices.Collect(maps.Values(s.opts.Clients)))
}

// Revoked reports whether the token with that jti was revoked.
func (s *Service) Revoked(jti string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked[jti]
}

// RevokeAll revokes all tokens issued so far.
func (s *Service) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, jti := range s.jtis {
		s.revoked[jti] = true
	}
	s.jtis = nil
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.ByStatus = maps.Clone(stats.ByStatus)
	return stats
}
