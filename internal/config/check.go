package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// The first request of librdkafka and franz-go gives up after this time.
const firstRequest = 10 * time.Second

// check looks at what only several keys together can tell. A key that was not
// understood takes no part: its own problem is enough.
func (l *loader) check() {
	l.checkNames()
	for i := range l.config.Clusters {
		l.checkBootstrap(i)
		l.checkRemote(i)
		l.checkTLS(i)
	}
	l.checkVia()
	l.checkAuth()
	l.checkToken()
	l.checkForwards()
	l.checkPorts()
	l.checkDurations()
	l.checkTap()
}

// understood reports whether all these keys can be relied on.
func (l *loader) understood(ids ...string) bool {
	for _, id := range ids {
		if l.bad[id] {
			return false
		}
	}
	return true
}

// chosen reports whether somebody gave the key a value that is not empty.
func (l *loader) chosen(id string) bool {
	s := l.settings[id]
	return s.chosen && s.text != ""
}

// blame reports a problem with a key in effect.
func (l *loader) blame(id, message, nearest string) {
	s := l.settings[id]
	l.report(Problem{Key: id, Source: s.source, Value: l.keyOf(id).display(s), Message: message, Nearest: nearest})
}

// checkNames wants names that can be told apart in variables too.
func (l *loader) checkNames() {
	first := map[string]string{}
	for i, name := range l.names {
		folded := foldName(name)
		if other, clash := first[folded]; clash && name != "" {
			l.blame(clusterID(i)+".name", fmt.Sprintf("cannot be told from the cluster %q in the names of variables (%s%s%s_...)",
				other, prefix, clusterPart, folded), "")
			continue
		}
		first[folded] = name
	}
}

// checkTap wants what may show passwords to stay on this machine.
func (l *loader) checkTap() {
	if l.config.Admin.Tap && l.understood("admin.tap", "admin.listen") && !isLoopback(l.config.Admin.Listen.Host) {
		l.blame("admin.tap", "shows what passes, and admin.listen is beyond loopback", "")
	}
}

func (l *loader) checkBootstrap(i int) {
	id, c := clusterID(i), &l.config.Clusters[i]
	bootstrap, ports := id+".bootstrap", id+".broker_ports"
	if !l.understood(bootstrap) {
		return
	}
	if len(c.Bootstrap) == 0 && c.Destination != "" {
		return // it is in there
	}
	if len(c.Bootstrap) == 0 {
		if l.broken {
			return // it may well stand in the file
		}
		l.noBootstrap++
		variable := prefix + "BOOTSTRAP"
		if l.clusters > 1 {
			variable = prefix + clusterPart + foldName(l.names[i]) + "_BOOTSTRAP"
		}
		l.blame(bootstrap, failure.Lookup(failure.BootstrapMissing).Summary+": "+variable+" wants HOST:PORT of at least one broker", "")
		return
	}
	if n := c.BrokerPorts.Size(); l.understood(ports) && n > 0 && n < len(c.Bootstrap) {
		l.blame(ports, "holds "+count(n, "broker")+", but bootstrap alone names "+count(len(c.Bootstrap), "address"), "")
	}
	for _, a := range c.Bootstrap {
		if addr, err := netip.ParseAddr(a.Host); err == nil && addr.Is6() && l.config.Connectivity.Via == ViaConnectivity {
			l.blame(bootstrap, "names "+a.String()+"; the connectivity proxy takes host names and IPv4 addresses only", "")
		}
		if l.config.Connectivity.Via == ViaDirect && l.isOwn(a) {
			l.blame(bootstrap, "names "+a.String()+", which is an address of the tunnel itself", "")
		}
	}
}

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "s"):
		return showInt(n) + " " + what + "es"
	}
	return showInt(n) + " " + what + "s"
}

// isOwn reports whether an address is one that the tunnel listens on.
func (l *loader) isOwn(a HostPort) bool {
	for _, s := range l.spans() {
		if s.holds(a.Port) && (isLoopback(a.Host) && (isLoopback(s.host) || isAny(s.host)) || strings.EqualFold(a.Host, s.host)) {
			return true
		}
	}
	return false
}

// checkRemote keeps a cluster's ports private unless somebody says otherwise, in
// so many words (R5).
func (l *loader) checkRemote(i int) {
	id, c := clusterID(i), &l.config.Clusters[i]
	listen := id + ".listen"
	if !l.understood(listen, id+".allow_remote", id+".insecure_remote", id+".advertise") || isLoopback(c.Listen.Host) {
		return
	}
	if !c.AllowRemote {
		l.blame(listen, "is open to other hosts; that needs allow_remote: true, insecure_remote: true and an advertise that is not localhost", "127.0.0.1:"+showInt(int(c.Listen.Port)))
		return
	}
	if isLoopback(c.Advertise) {
		l.blame(id+".advertise", "other hosts cannot connect to it, but "+listen+" is open to them ("+c.Listen.String()+")", "")
	}
	if !c.InsecureRemote {
		l.blame(listen, "is open to other hosts without authentication; that needs insecure_remote: true", "")
		return
	}
	l.warn("%s %s is open to other hosts without authentication: everybody who reaches it can use the Kafka cluster", listen, c.Listen)
}

// checkTLS finds keys that look as if TLS were on.
func (l *loader) checkTLS(i int) {
	id, c := clusterID(i)+".tls.", l.config.Clusters[i].TLS
	if c.Enabled || !l.understood(id+"enabled") || l.config.Clusters[i].Destination != "" {
		return // a destination may switch it on
	}
	for _, leaf := range []string{"ca_file", "server_name"} {
		if l.chosen(id + leaf) {
			l.blame(id+leaf, "has no effect without tls.enabled: true ("+l.settings[id+"enabled"].source+" says false)", "")
		}
	}
}

// checkVia finds keys that have no meaning without the connectivity proxy.
func (l *loader) checkVia() {
	if l.config.Connectivity.Via != ViaDirect || !l.understood("connectivity.via") {
		return
	}
	for _, id := range []string{
		"connectivity.service", "connectivity.destination_service", "connectivity.proxy", "connectivity.username", "connectivity.password", "connectivity.password_file",
		"token.url", "token.client_id", "token.client_secret", "token.client_secret_file", "token.resource",
		"token.certificate_file", "token.key_file", "token.ca_file",
	} {
		if l.chosen(id) {
			l.blame(id, "contradicts connectivity.via: direct ("+l.settings["connectivity.via"].source+"), which uses neither proxy nor token", "")
		}
	}
	for i, c := range l.config.Clusters {
		if id := clusterID(i) + ".location_id"; c.LocationID != "" {
			l.warn("%s has no effect with connectivity.via: direct", id)
		}
		if id := clusterID(i) + ".tenant"; c.Tenant != "" {
			l.warn("%s has no effect with connectivity.via: direct", id)
		}
		if c.Destination != "" {
			l.blame(clusterID(i)+".destination", "contradicts connectivity.via: direct ("+l.settings["connectivity.via"].source+"): a destination leads through a Cloud Connector", "")
		}
	}
}

// checkAuth finds keys that have no meaning for how the proxy is told who asks.
func (l *loader) checkAuth() {
	const auth = "connectivity.auth"
	c := l.config.Connectivity
	if c.Via == ViaDirect || !l.understood(auth, "connectivity.via", "connectivity.username", "connectivity.password", "connectivity.password_file") {
		return
	}
	says := " (" + l.settings[auth].source + ")"
	if c.Auth != AuthPassword {
		for _, id := range []string{"connectivity.username", "connectivity.password", "connectivity.password_file"} {
			if l.chosen(id) {
				l.blame(id, "contradicts connectivity.auth: "+c.Auth+says+"; it is for auth: userpass", "")
			}
		}
	} else if c.Username == "" {
		l.blame("connectivity.username", "is missing; auth: userpass"+says+" needs it", "")
	}
	if c.Auth == AuthJWT {
		return
	}
	for i, cluster := range l.config.Clusters {
		for leaf, value := range map[string]string{"location_id": cluster.LocationID, "tenant": cluster.Tenant} {
			if value != "" {
				l.blame(clusterID(i)+"."+leaf, "cannot be told to a proxy with connectivity.auth: "+c.Auth+says+"; only a token carries it", "")
			}
		}
	}
}

// checkToken wants all of the credentials or none.
func (l *loader) checkToken() {
	t := l.config.Token
	if s := l.settings["token.client_secret"]; strings.HasPrefix(s.source, "file "+l.file+":") && l.file != "" && s.text != "" {
		l.warn("token.client_secret stands in %s; better keep it in %sTOKEN_CLIENT_SECRET or in a file of its own (token.client_secret_file)",
			strings.TrimPrefix(s.source, "file "), prefix)
	}
	if !l.understood("token.url", "token.client_id", "token.client_secret", "token.client_secret_file", "token.certificate_file", "token.key_file") {
		return
	}
	if u, err := url.Parse(t.URL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		l.warn("token.url is an http address: the client secret is sent unencrypted")
	}
	if t.Resource != "" && t.URL == "" {
		l.blame("token.resource", "has no effect without token.url, the Identity Authentication service; with a binding token.issuer: ias is enough", "")
		return
	}
	l.checkIdentity()
	type part struct {
		id  string
		set bool
	}
	together, parts := "url, client_id and client_secret", []part{
		{"token.url", t.URL != ""},
		{"token.client_id", t.ClientID != ""},
		{"token.client_secret", t.ClientSecret != ""},
	}
	if t.CertificateFile != "" || t.KeyFile != "" {
		if t.ClientSecret != "" {
			l.blame("token.client_secret", "contradicts token.certificate_file and token.key_file; a token service takes either a secret or a certificate", "")
			return
		}
		together = "url, client_id, certificate_file and key_file"
		parts = append(parts[:2], part{"token.certificate_file", t.CertificateFile != ""}, part{"token.key_file", t.KeyFile != ""})
	}
	first := ""
	for _, p := range parts {
		if p.set {
			first = p.id
			break
		}
	}
	if first == "" {
		return
	}
	for _, p := range parts {
		if !p.set {
			l.blame(p.id, "is missing, but "+first+" is set ("+l.settings[first].source+"); without a binding "+together+" are needed together", "")
		}
	}
}

// checkIdentity finds tenants that cannot be said to the Identity Authentication
// service: each subscriber has one of its own.
func (l *loader) checkIdentity() {
	id := "token.resource"
	if t := l.config.Token; t.Resource == "" {
		if id = "token.issuer"; t.Issuer != IssuerIAS {
			return
		}
	}
	for i, c := range l.config.Clusters {
		if c.Tenant != "" {
			l.blame(clusterID(i)+".tenant", "cannot be said to the Identity Authentication service ("+id+", "+l.settings[id].source+"); subscribers need token.issuer: xsuaa", "")
		}
	}
}

func (l *loader) checkDurations() {
	c := l.config
	if l.understood("connectivity.hold") && c.Connectivity.Hold >= firstRequest {
		l.warn("connectivity.hold %s: the first request of librdkafka and franz-go gives up after 10s, so keep it below", showDuration(c.Connectivity.Hold))
	}
}
