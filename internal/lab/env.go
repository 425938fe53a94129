package lab

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
)

// identity has the ids that the platform assigns to this subaccount and application.
type identity struct {
	tenant, subdomain      string
	subscriber             string
	clientID, clientSecret string
	xsappname              string
	instance, binding      string
	services               [4]string // instances and bindings of the other services
	app, space, org        string
}

// newIdentity returns random ones. Client id and secret contain characters that break careless
// encoding.
func newIdentity() identity {
	xsapp := "clone" + rand.Text()[:8] + "!b17|connectivity!b4"
	return identity{
		tenant: tokenservice.NewID(), subdomain: "lab", subscriber: tokenservice.NewID(),
		clientID: "sb-" + xsapp, clientSecret: rand.Text() + "!|+/=%&$" + rand.Text(),
		xsappname: xsapp,
		instance:  tokenservice.NewID(), binding: tokenservice.NewID(),
		services: [4]string{tokenservice.NewID(), tokenservice.NewID(), tokenservice.NewID(), tokenservice.NewID()},
		app:      tokenservice.NewID(), space: tokenservice.NewID(), org: tokenservice.NewID(),
	}
}

// Env returns the environment of the tunnel on the platform, as KEY=VALUE: the connectivity
// binding, the application, and the configuration by an application developer.
func (l *Landscape) Env() []string {
	env := []string{
		"VCAP_SERVICES=" + l.vcapServices(),
		"VCAP_APPLICATION=" + l.vcapApplication(),
	}
	if l.opts.Destination {
		env = append(env, "KAFKA_TUNNEL_DESTINATION="+DestinationName)
	} else {
		env = append(env, l.addresses()...)
	}
	if l.opts.Registry {
		env = append(env, `KAFKA_TUNNEL_FORWARDS=[{name: registry, listen: "127.0.0.1:0", to: "`+registryAddress+`"}]`)
	}
	if l.opts.Trusted { // without a binding of the connectivity service
		env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "VCAP_SERVICES=") && !l.opts.Destination })
		env = append(env, "KAFKA_TUNNEL_CONNECTIVITY_PROXY="+l.proxy.Addr().String())
		if l.opts.User == "" {
			env = append(env, "KAFKA_TUNNEL_CONNECTIVITY_AUTH=none")
		} else {
			env = append(env, "KAFKA_TUNNEL_CONNECTIVITY_AUTH=userpass", "KAFKA_TUNNEL_CONNECTIVITY_USERNAME="+l.opts.User, "KAFKA_TUNNEL_CONNECTIVITY_PASSWORD="+l.opts.Password)
		}
	}
	if l.opts.X509 {
		env = append(env, "KAFKA_TUNNEL_TOKEN_CA_FILE="+l.CAFile())
	}
	return env
}

// addresses returns the application developer's configuration without a destination.
func (l *Landscape) addresses() []string {
	env := []string{"KAFKA_TUNNEL_BOOTSTRAP=" + strings.Join(l.Bootstrap(), ",")}
	if l.opts.LocationID != "" {
		env = append(env, "KAFKA_TUNNEL_LOCATION_ID="+l.opts.LocationID)
	}
	if l.plan.addressMap != "" {
		env = append(env, "KAFKA_TUNNEL_ADDRESS_MAP="+l.plan.addressMap)
	}
	if l.opts.Subscriber {
		env = append(env, "KAFKA_TUNNEL_TENANT="+l.ids.subscriber)
	}
	if l.opts.TLS {
		env = append(env, "KAFKA_TUNNEL_TLS_ENABLED=true", "KAFKA_TUNNEL_TLS_CA_FILE="+l.CAFile())
	}
	return env
}

// Bootstrap returns the brokers' virtual addresses, or those of the first Cloud Connector if
// there are two.
func (l *Landscape) Bootstrap() []string {
	list := make([]string, 0, len(l.plan.nodes))
	for _, n := range l.plan.nodes {
		if !n.second {
			list = append(list, n.virtual)
		}
	}
	return list
}

// vcapServices returns the bindings. Ports are strings, as on the platform.
func (l *Landscape) vcapServices() string {
	ids, addr := l.ids, l.proxy.Addr()
	credentials := map[string]any{
		"onpremise_proxy_host":        addr.IP.String(),
		"onpremise_proxy_port":        "20003",
		"onpremise_proxy_http_port":   "20003",
		"onpremise_proxy_rfc_port":    "20001",
		"onpremise_proxy_ldap_port":   "20001",
		"onpremise_socks5_proxy_port": strconv.Itoa(addr.Port),
		"clientid":                    ids.clientID,
		"clientsecret":                l.tokens.Secret(),
		"credential-type":             "binding-secret",
		"token_service_url":           l.tokens.URL(),
		"url":                         l.tokens.URL(),
		"token_service_domain":        l.tokens.Addr(),
		"uaadomain":                   l.tokens.Addr(),
		"xsappname":                   ids.xsappname,
		"identityzone":                ids.subdomain,
		"identityzoneid":              ids.tenant,
		"zoneid":                      ids.tenant,
		"tenantid":                    ids.tenant,
		"subaccountid":                ids.tenant,
		"tenantmode":                  "dedicated",
		"verificationkey":             l.tokens.VerificationKey(),
		"instanceid":                  ids.instance,
	}
	l.proxyClient.replaceSecret(credentials, l.tokens.CertURL())
	services := map[string]any{}
	if l.opts.Identity {
		credentials["token-type"] = []string{"ias"}
		delete(credentials, "clientid")
		delete(credentials, "clientsecret")
		services["identity"] = []any{l.identityEntry()}
	}
	if l.opts.Destination {
		services["destination"] = []any{l.destinationEntry()}
	}
	services["connectivity"] = []any{entry("connectivity", bindingName, ids.instance, ids.binding, credentials)}
	return toJSON(services)
}

// vcapApplication describes the application.
func (l *Landscape) vcapApplication() string {
	ids := l.ids
	return toJSON(map[string]any{
		"application_id": ids.app, "application_name": "lab-app", "name": "lab-app",
		"application_uris": []string{}, "uris": []string{},
		"application_version": ids.binding, "version": ids.binding,
		"cf_api":   "https://api.cf.lab.invalid",
		"space_id": ids.space, "space_name": "lab", "organization_id": ids.org, "organization_name": "lab",
		"process_id": ids.app, "process_type": "web",
		"limits": map[string]int{"fds": 16384, "mem": 512, "disk": 1024},
	})
}

// toJSON encodes values that can always be encoded.
func toJSON(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // maps of strings
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// WriteEnvFile writes Env atomically as a shell file that exports the variables, mode 0600.
func (l *Landscape) WriteEnvFile(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".kafka-tunnel-lab-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing the environment file: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("writing the environment file: %w", err)
		}
	}()
	if _, err = fmt.Fprintf(f, "# kafka-tunnel lab, started %s\n", time.Now().Format(time.RFC3339)); err != nil {
		return err
	}
	for _, kv := range l.Env() {
		key, value, _ := strings.Cut(kv, "=")
		if _, err = fmt.Fprintf(f, "export %s=%s\n", key, shellQuote(value)); err != nil {
			return err
		}
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// shellQuote quotes a value for any POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
