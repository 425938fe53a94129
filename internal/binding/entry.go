package binding

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/cloudfoundry-community/go-cfenv"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// The credential keys that the tunnel reads.
const (
	keyProxyHost = "onpremise_proxy_host"
	keyProxyPort = "onpremise_socks5_proxy_port"
	keyClientID  = "clientid"
	keySecret    = "clientsecret"
	keyTokenURL  = "token_service_url"
	keyURL       = "url" // the older name of token_service_url
	keyType      = "credential-type"
	keyCertURL   = "certurl"
	keyCert      = "certificate"
	keyKey       = "key"
	keyCredhub   = "credhub-ref"
	keyAPI       = "connectivity_service" // only in the plan api_access
	keyURI       = "uri"                  // of the destination service
	keyTokenType = "token-type"
)

// An entry is one bound service. label is its key in the document.
type entry struct {
	label string
	cfenv.Service
}

func (e entry) is(l string) bool { return strings.EqualFold(e.label, l) }

// hasName reports whether name is one of the entry's names.
func (e entry) hasName(name string, same func(a, b string) bool) bool {
	return same(e.Name, name) || same(e.InstanceName, name) || same(e.BindingName, name)
}

// title returns the name to print.
func (e entry) title() string {
	for _, name := range []string{e.Name, e.BindingName, e.InstanceName} {
		if name != "" {
			return name
		}
	}
	return "(without a name)"
}

// describe returns the title, with the name of the instance if that differs.
func (e entry) describe() string {
	if e.InstanceName != "" && e.InstanceName != e.title() {
		return fmt.Sprintf("%s (instance %s)", e.title(), e.InstanceName)
	}
	return e.title()
}

// hasCredentialKeys reports whether a user-provided service was made from the credentials of a
// connectivity binding, perhaps from only some of them.
func (e entry) hasCredentialKeys() bool { return e.has(keyProxyHost) || e.has(keyProxyPort) }

// forAPIOnly reports whether the binding is of the plan api_access, which is for a REST API and
// not for the proxy.
func (e entry) forAPIOnly() bool {
	return !e.hasCredentialKeys() && (e.has(keyAPI) || strings.EqualFold(e.Plan, "api_access"))
}

func (e entry) has(key string) bool {
	_, ok := e.Credential(key)
	return ok
}

// looksLikeDestination does the same for the destination service.
func (e entry) looksLikeDestination() bool {
	return e.has(keyURI) && e.has(keyClientID) && e.has(keyURL)
}

// usesIAS reports whether tokens come from the Identity Authentication service: if the
// configuration requires it, or the binding supports nothing else.
func (e entry) usesIAS(issuer string) bool {
	if issuer != "" && issuer != "auto" {
		return strings.EqualFold(issuer, "ias")
	}
	kinds := fmt.Sprint(e.Credentials[keyTokenType]) // a list or a string
	return strings.Contains(kinds, "ias") && !strings.Contains(kinds, "xsuaa")
}

// A reading collects the values of one binding. It reports everything that is missing or wrong
// at once.
type reading struct {
	entry  entry
	source string
	wrong  []string
}

// get returns one credential.
func (r *reading) get(key string, store func(string) (problem string)) {
	text, problem := r.entry.text(key)
	if problem == "" {
		problem = store(text)
	}
	if problem != "" {
		r.wrong = append(r.wrong, key+" "+problem)
	}
}

// err returns everything that is wrong, or nil.
func (r *reading) err() error {
	if len(r.wrong) == 0 {
		return nil
	}
	return r.fail(strings.Join(r.wrong, ", "))
}

func (r *reading) fail(detail string) error {
	return malformed(r.source, fmt.Sprintf("%q: %s", r.entry.title(), detail))
}

// begin starts to read a binding, unless it has no credentials.
func (e entry) begin(source string) (*reading, error) {
	r := &reading{entry: e, source: source}
	switch {
	case e.has(keyCredhub) && !e.has(keyClientID):
		return nil, failure.New(failure.BindingCredhubRef, nil).For(source, "").With(fmt.Sprintf("%q", e.title()))
	case len(e.Credentials) == 0:
		return nil, r.fail("it has no credentials")
	case e.forAPIOnly():
		return nil, r.fail("its plan api_access is for the REST API; bind an instance of plan lite")
	}
	return r, nil
}

// connectivity reads the credentials. from is the identity binding for tokens, or nil for the
// entry itself.
func (e entry) connectivity(source string, from *entry) (*Connectivity, error) {
	r, err := e.begin(source)
	if err != nil {
		return nil, err
	}
	c := &Connectivity{Name: e.title(), Source: source}
	if !e.namesNoProxy() {
		r.get(keyProxyHost, func(text string) (problem string) { c.ProxyHost, problem = host(text); return })
		r.get(keyProxyPort, func(text string) (problem string) { c.ProxyPort, problem = port(text); return })
	}
	if from == nil {
		c.Client = r.client()
		return c, r.err()
	}
	if e.InstanceGUID == "" {
		r.wrong = append(r.wrong, "instance_guid is missing; it identifies the resource of tokens from the Identity Authentication service")
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	c.Client, err = from.identity(source)
	c.Resource = "urn:sap:identity:application:service:id:" + e.InstanceGUID
	return c, err
}

// destination reads the credentials of the destination service.
func (e entry) destination(source string) (*Destination, error) {
	r, err := e.begin(source)
	if err != nil {
		return nil, err
	}
	d := &Destination{Name: e.title(), Source: source}
	r.get(keyURI, func(text string) string {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
			return "is not an https:// URL"
		}
		d.URI = strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/")
		return ""
	})
	d.Client = r.client()
	return d, r.err()
}

// identity reads the credentials of the Identity Authentication service, which has one
// URL for secrets and certificates.
func (e entry) identity(source string) (c Client, err error) {
	r, err := e.begin(source)
	if err != nil {
		return c, err
	}
	r.get(keyClientID, func(text string) (problem string) { c.ClientID = text; return })
	if e.isX509() {
		r.certificate(&c)
	} else {
		r.get(keySecret, func(text string) (problem string) { c.ClientSecret = Secret(text); return })
	}
	r.get(keyURL, func(text string) string { return storeURL(&c, text, token.IdentityEndpointURL) })
	return c, r.err()
}

// client reads the credentials for XSUAA.
func (r *reading) client() (c Client) {
	r.get(keyClientID, func(text string) (problem string) { c.ClientID = text; return })
	urlKey := keyTokenURL
	if r.entry.isX509() {
		urlKey = keyCertURL
		r.certificate(&c)
	} else {
		r.get(keySecret, func(text string) (problem string) { c.ClientSecret = Secret(text); return })
		if _, problem := r.entry.text(keyTokenURL); problem != "" && r.entry.has(keyURL) {
			urlKey = keyURL
		}
	}
	r.get(urlKey, func(text string) string { return storeURL(&c, text, token.EndpointURL) })
	return c
}

// certificate reads the certificate that replaces the secret.
func (r *reading) certificate(c *Client) {
	r.get(keyCert, func(text string) (problem string) { c.Certificate = text; return })
	r.get(keyKey, func(text string) (problem string) { c.Key = Secret(text); return })
	if c.Certificate == "" || c.Key == "" {
		return
	}
	if _, err := token.ParseCertificate(c.Certificate, c.Key.Reveal()); err != nil {
		r.wrong = append(r.wrong, err.Error())
	}
}

func storeURL(c *Client, text string, endpoint func(string) (string, error)) (problem string) {
	var err error
	if c.TokenURL, err = endpoint(text); err != nil {
		return "cannot be used: " + err.Error()
	}
	return ""
}

// namesNoProxy reports whether the binding is of the plan connectivity_proxy: it is for the
// operator of a proxy on Kubernetes and does not contain its address.
func (e entry) namesNoProxy() bool {
	return strings.EqualFold(e.Plan, "connectivity_proxy") && !e.hasCredentialKeys()
}

// isX509 reports whether the binding has a certificate instead of a secret. Old bindings have
// no credential-type.
func (e entry) isX509() bool {
	if e.has(keySecret) {
		return false
	}
	kind, _ := e.CredentialString(keyType)
	return strings.HasPrefix(strings.ToLower(kind), "x509") || e.has(keyCertURL)
}

// text returns the value of a credential that is a string or a number, or what is wrong with
// it. Ports exist in both forms.
func (e entry) text(key string) (text, problem string) {
	value, _ := e.Credential(key)
	switch v := value.(type) {
	case nil:
		return "", "is missing"
	case string:
		if key == keySecret || key == keyClientID || key == keyKey {
			text = v
		} else {
			text = strings.TrimSpace(v)
		}
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return "", "is not a whole number"
		}
		text = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return "", "is neither a string nor a number"
	}
	if text == "" {
		return "", "is empty"
	}
	return text, ""
}

func host(text string) (host, problem string) {
	// Only an IPv6 literal contains a colon.
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if net.ParseIP(bare) != nil {
		return bare, ""
	}
	for _, r := range text {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`/:@,;?#[]\"'`, r) {
			return "", "is not a host name"
		}
	}
	if len(text) > 255 {
		return "", "is not a host name"
	}
	return text, ""
}

func port(text string) (port uint16, problem string) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, "is not a port from 1 to 65535"
	}
	return uint16(n), ""
}
