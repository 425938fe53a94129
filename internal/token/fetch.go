package token

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// A Fetcher gets one new token. Its errors are of type [*failure.Failure]; one
// whose server named a time to wait has a [*RetryAfterError] in its chain. When ctx is
// cancelled it returns soon.
type Fetcher func(ctx context.Context) (Token, error)

// Bounds of one fetch.
const (
	connectTimeout = 5 * time.Second
	fetchTimeout   = 30 * time.Second // SAP, "Resilience recommendations": read some 30 s
	maxBody        = 256 << 10        // bytes; real answers have a few thousand
	maxHeader      = 64 << 10
)

// Credentials are what a binding gives: a client secret, or a certificate.
type Credentials struct {
	URL          string // of the token service, with or without its path; for a certificate its certurl
	ClientID     string
	ClientSecret string
	// Resource is what a token of the Identity Authentication service is for; "": the
	// token service is XSUAA, which does not ask.
	Resource    string
	Tenant      string           // subscriber whose token it is to be: subdomain or zone id; "": the binding's own
	Certificate *tls.Certificate // RFC 8705, section 2; nil: there is a secret
	UserAgent   string           // "kafka-tunnel/1.2.3"; "": "kafka-tunnel"
	Roots       *x509.CertPool   // nil: the system's root certificates
	// Proxy returns the HTTP proxy through which the token service is reached, see
	// [http.ProxyFromEnvironment]; nil: through none.
	Proxy func(*http.Request) (*url.URL, error)
}

// String returns the credentials without the secret.
func (c Credentials) String() string {
	return fmt.Sprintf("client %q at the token service", c.ClientID)
}

// GoString returns the same as String, so that %#v does not show the secret.
func (c Credentials) GoString() string { return c.String() }

// LogValue returns the same as String, so that a log does not show the secret.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// ClientCredentials returns the fetcher for RFC 6749, section 4.4. The error is
// that of [EndpointURL], or reports that the URL leaves no place for the tenant.
//
// The credentials go into the body and not into a Basic header: client ids of
// BTP contain ! and |, which UAA and x/oauth2 escape differently there. Redirects
// are not followed, because the credentials would go with them. Connections are
// not kept: the next fetch is hours away.
func ClientCredentials(c Credentials) (Fetcher, error) {
	find := EndpointURL
	if c.Resource != "" {
		find = IdentityEndpointURL
	}
	endpoint, err := find(c.URL)
	if err != nil {
		return nil, err
	}
	if c.Tenant != "" && !IsZoneID(c.Tenant) {
		if endpoint, err = forTenant(endpoint, c.Tenant); err != nil {
			return nil, err
		}
	}
	return newClientFetcher(endpoint, c).fetch, nil
}

type clientFetcher struct {
	config    clientcredentials.Config
	tenant    string
	expires   time.Time // the certificate; zero: there is none
	userAgent string
	transport http.RoundTripper
}

func newClientFetcher(endpoint string, c Credentials) *clientFetcher {
	var expires time.Time
	if c.Certificate != nil {
		expires = Expiry(c.Certificate)
	}
	var more url.Values
	if c.Resource != "" {
		more = url.Values{"resource": {c.Resource}}
	}
	return &clientFetcher{
		tenant:  c.Tenant,
		expires: expires,
		config: clientcredentials.Config{
			ClientID:       c.ClientID,
			ClientSecret:   c.ClientSecret,
			TokenURL:       endpoint,
			AuthStyle:      oauth2.AuthStyleInParams,
			EndpointParams: more,
		},
		userAgent: cmp.Or(c.UserAgent, "kafka-tunnel"),
		transport: c.Transport(),
	}
}

// Transport returns how the services of the platform are reached over HTTP: bounded in
// time and size. Connections are not kept, because the next request is far away.
func (c Credentials) Transport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		Proxy:                  c.Proxy,
		TLSClientConfig:        tlsConfig(c),
		TLSHandshakeTimeout:    connectTimeout,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// tlsConfig returns how to speak to the token service.
func tlsConfig(c Credentials) *tls.Config {
	config := &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12}
	if c.Certificate != nil {
		config.Certificates = []tls.Certificate{*c.Certificate}
	}
	return config
}

func (f *clientFetcher) fetch(ctx context.Context) (Token, error) {
	if now := time.Now(); !f.expires.IsZero() && now.After(f.expires) {
		return Token{}, failure.New(failure.CertificateExpired, nil).For(f.config.TokenURL, "").
			With("it was valid until " + f.expires.UTC().Format(time.RFC3339))
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	x := &exchange{transport: f.transport, userAgent: f.userAgent}
	if IsZoneID(f.tenant) {
		x.zone = f.tenant
	}
	client := &http.Client{Transport: x, CheckRedirect: stay}
	answer, err := f.config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err != nil && errors.Is(parent.Err(), context.Canceled) {
		// Whoever asked has stopped asking; that is no news about the service.
		return Token{}, fmt.Errorf("fetching a token: %w", context.Cause(parent))
	}
	if err != nil {
		return Token{}, f.named(f.failed(ctx, x, err))
	}
	received := time.Now()
	var life time.Duration // what x/oauth2 made of expires_in, which may be a number or a string
	if !answer.Expiry.IsZero() {
		life = answer.Expiry.Sub(received).Round(time.Second)
	}
	t, err := Make(answer.AccessToken, received, life)
	if err != nil {
		return Token{}, f.named(f.malformed(x, err.Error()))
	}
	return t, nil
}

// named adds the tenant to a failure.
func (f *clientFetcher) named(err *failure.Failure) *failure.Failure {
	if f.tenant == "" {
		return err
	}
	detail := "tenant " + f.tenant
	if err.Detail != "" {
		detail = err.Detail + ", " + detail
	}
	return err.With(detail)
}

// stay keeps the HTTP client from following a redirect.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// An exchange is one request and its answer. x/oauth2 reads the answer and turns
// most of what can go wrong into text with pieces of the body in it; the exchange
// notes what happened, so that nothing has to be made out from that text.
type exchange struct {
	transport http.RoundTripper
	userAgent string
	zone      string // of a subscriber, "" for the binding's own

	status  int // 0: no answer
	header  http.Header
	first   byte  // of the body that is not white space, 0: none
	readErr error // from reading the body
	tooLong bool
}

// RoundTrip sends a request and bounds its answer.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", x.userAgent)
	req.Header.Set("Accept", "application/json")
	if x.zone != "" {
		req.Header.Set("X-Zid", x.zone)
	}
	resp, err := x.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	x.status, x.header = resp.StatusCode, resp.Header
	resp.Body = &body{ReadCloser: resp.Body, x: x, left: maxBody}
	return resp, nil
}

// A body is an answer's body that ends with an error when it is too long.
type body struct {
	io.ReadCloser
	x    *exchange
	left int
}

var errTooLong = errors.New("the answer is too long")

// Read reads at most what is left of the bound.
func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		// One byte more decides between an answer that ends here and one too long.
		var one [1]byte
		n, err := b.ReadCloser.Read(one[:])
		if n > 0 {
			b.x.tooLong = true
			return 0, errTooLong
		}
		return 0, b.note(err)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	for _, c := range p[:n] {
		if b.x.first != 0 {
			break
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			b.x.first = c
		}
	}
	return n, b.note(err)
}

func (b *body) note(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		b.x.readErr = err
	}
	return err
}
