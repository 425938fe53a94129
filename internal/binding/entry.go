package binding

import (
	"fmt"
	"math"
	"net"
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
)

// An entry is one bound service. label is the key of the document under which it
// stands.
type entry struct {
	label string
	cfenv.Service
}

func (e entry) is(l string) bool { return strings.EqualFold(e.label, l) }

// bears reports whether one of the entry's names is name.
func (e entry) bears(name string, same func(a, b string) bool) bool {
	return same(e.Name, name) || same(e.InstanceName, name) || same(e.BindingName, name)
}

// title is the name to print.
func (e entry) title() string {
	for _, name := range []string{e.Name, e.BindingName, e.InstanceName} {
		if name != "" {
			return name
		}
	}
	return "(without a name)"
}

// describe is the title, with the name of the instance where that differs.
func (e entry) describe() string {
	if e.InstanceName != "" && e.InstanceName != e.title() {
		return fmt.Sprintf("%s (instance %s)", e.title(), e.InstanceName)
	}
	return e.title()
}

// looksRight reports whether a user-provided service was made from the
// credentials of a connectivity binding, perhaps not from all of them.
func (e entry) looksRight() bool { return e.has(keyProxyHost) || e.has(keyProxyPort) }

// forAPIOnly reports whether the binding is of the plan api_access, which leads
// to a REST API and not to the proxy.
func (e entry) forAPIOnly() bool {
	return !e.looksRight() && (e.has(keyAPI) || strings.EqualFold(e.Plan, "api_access"))
}

func (e entry) has(key string) bool {
	_, ok := e.Credential(key)
	return ok
}

// connectivity reads the credentials. All that is missing or wrong is told at once.
func (e entry) connectivity(source string) (*Connectivity, error) {
	fail := func(detail string) error { return malformed(source, fmt.Sprintf("%q: %s", e.title(), detail)) }
	switch {
	case e.has(keyCredhub) && !e.has(keyClientID):
		return nil, failure.New(failure.BindingCredhubRef, nil).For(source, "").With(fmt.Sprintf("%q", e.title()))
	case len(e.Credentials) == 0:
		return nil, fail("it has no credentials")
	case e.forAPIOnly():
		return nil, fail("its plan api_access is for the REST API; bind an instance of plan lite")
	}
	c := &Connectivity{Name: e.title(), Source: source}
	var wrong []string
	read := func(key string, store func(string) string) {
		text, problem := e.text(key)
		if problem == "" {
			problem = store(text)
		}
		if problem != "" {
			wrong = append(wrong, key+" "+problem)
		}
	}
	if !e.namesNoProxy() {
		e.readProxy(c, read)
	}
	read(keyClientID, func(text string) (problem string) { c.ClientID = text; return })
	urlKey := keyTokenURL
	if e.isX509() {
		urlKey = keyCertURL
		read(keyCert, func(text string) (problem string) { c.Certificate = text; return })
		read(keyKey, func(text string) (problem string) { c.Key = Secret(text); return })
		if c.Certificate != "" && c.Key != "" {
			if _, err := token.ParseCertificate(c.Certificate, c.Key.Reveal()); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
	} else {
		read(keySecret, func(text string) (problem string) { c.ClientSecret = Secret(text); return })
		if _, problem := e.text(keyTokenURL); problem != "" && e.has(keyURL) {
			urlKey = keyURL
		}
	}
	read(urlKey, func(text string) (problem string) {
		var err error
		if c.TokenURL, err = token.EndpointURL(text); err != nil {
			return "cannot be used: " + err.Error()
		}
		return ""
	})
	if len(wrong) > 0 {
		return nil, fail(strings.Join(wrong, ", "))
	}
	return c, nil
}

// readProxy reads where the proxy is.
func (e entry) readProxy(c *Connectivity, read func(key string, store func(string) string)) {
	read(keyProxyHost, func(text string) (problem string) { c.ProxyHost, problem = host(text); return })
	read(keyProxyPort, func(text string) (problem string) { c.ProxyPort, problem = port(text); return })
}

// namesNoProxy reports whether the binding is of the plan connectivity_proxy: it is for
// the operator of a proxy on Kubernetes, whose address is not in it.
func (e entry) namesNoProxy() bool {
	return strings.EqualFold(e.Plan, "connectivity_proxy") && !e.looksRight()
}

// isX509 reports whether the binding holds a certificate in place of a secret.
// Old bindings have no credential-type.
func (e entry) isX509() bool {
	if e.has(keySecret) {
		return false
	}
	kind, _ := e.CredentialString(keyType)
	return strings.HasPrefix(strings.ToLower(kind), "x509") || e.has(keyCertURL)
}

// text returns the value of a credential that is a text or a number, or what is
// wrong with it. Ports come in both forms.
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
		return "", "is neither a text nor a number"
	}
	if text == "" {
		return "", "is empty"
	}
	return text, ""
}

func host(text string) (host, problem string) {
	// An IPv6 literal is the only host with a colon in it.
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
