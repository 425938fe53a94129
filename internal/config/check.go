package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// The first request of librdkafka and franz-go gives up after this time.
const firstRequest = 10 * time.Second

// check finds problems that show only in several keys together. Keys with an invalid
// value are not compared, because their own problem is reported already.
func (l *loader) check() {
	l.checkNames()
	for i, s := range l.clusters {
		c := &l.config.Clusters[i]
		l.checkBootstrap(s, c)
		l.checkRemote(s, c)
		l.checkTLS(s, c)
	}
	l.checkRoute()
	l.checkToken()
	l.checkForwards()
	l.checkPorts()
	if hold := l.config.Connectivity.Hold; l.root.ok("connectivity.hold") && hold >= firstRequest {
		l.warn("connectivity.hold %s: the first request of librdkafka and franz-go gives up after 10s, so keep it below", showDuration(hold))
	}
	if a := l.config.Admin; a.Tap && l.root.ok("admin.tap", "admin.listen") && !hostport.IsLoopback(a.Listen.Host) {
		l.reject(l.root, "admin.tap", "shows the frames that pass, and admin.listen is beyond loopback", "")
	}
}

// checkNames requires names that differ also in the form that they have in variables.
func (l *loader) checkNames() {
	for i, s := range l.clusters {
		same := func(other *scope) bool { return foldName(other.name) == foldName(s.name) }
		if first := slices.IndexFunc(l.clusters, same); first < i && s.name != "" {
			l.reject(s, "name", fmt.Sprintf("cannot be told from the cluster %q in the names of variables (%s%s_...)", l.clusters[first].name, clusterPart, foldName(s.name)), "")
		}
	}
}

func (l *loader) checkBootstrap(s *scope, c *Cluster) {
	if !s.ok("bootstrap") {
		return
	}
	if len(c.Bootstrap) == 0 && c.Destination == "" && !l.broken { // a destination or the unreadable part of the file may have it
		l.noBootstrap++
		k, _ := s.key("bootstrap")
		variable := k.variable()
		if len(l.clusters) > 1 {
			variable = clusterVariable(s.name, k)
		}
		l.reject(s, "bootstrap", failure.Lookup(failure.BootstrapMissing).Summary+": "+variable+" needs HOST:PORT of at least one broker", "")
	}
	if n := c.BrokerPorts.Size(); s.ok("broker_ports") && n > 0 && n < len(c.Bootstrap) {
		l.reject(s, "broker_ports", fmt.Sprintf("has fewer ports (%d) than bootstrap has addresses (%d)", n, len(c.Bootstrap)), "")
	}
	via := l.config.Connectivity.Via
	for _, a := range c.Bootstrap {
		if addr, err := netip.ParseAddr(a.Host); err == nil && addr.Is6() && via == ViaConnectivity {
			l.reject(s, "bootstrap", "names "+a.String()+"; the connectivity proxy takes host names and IPv4 addresses only", "")
		}
		if via == ViaDirect && l.isOwn(a) {
			l.reject(s, "bootstrap", "names "+a.String()+", which is an address of the tunnel itself", "")
		}
	}
}

// checkRemote requires both keys to be set before a cluster's ports may be reached from
// outside (R5).
func (l *loader) checkRemote(s *scope, c *Cluster) {
	if !s.ok("listen", "allow_remote", "insecure_remote", "advertise") || hostport.IsLoopback(c.Listen.Host) {
		return
	}
	listen := s.label + "listen"
	if !c.AllowRemote {
		l.reject(s, "listen", "is open to other hosts; that needs allow_remote: true, insecure_remote: true and an advertise that is not localhost", fmt.Sprintf("127.0.0.1:%d", c.Listen.Port))
		return
	}
	if hostport.IsLoopback(c.Advertise) {
		l.reject(s, "advertise", "other hosts cannot connect to it, but "+listen+" is open to them ("+c.Listen.String()+")", "")
	}
	if !c.InsecureRemote {
		l.reject(s, "listen", "is open to other hosts without authentication; that needs insecure_remote: true", "")
		return
	}
	l.warn("%s %s is open to other hosts without authentication: anyone who can reach it can use the Kafka cluster", listen, c.Listen)
}

// checkTLS finds TLS keys that are set although TLS is off. A destination may switch it
// on.
func (l *loader) checkTLS(s *scope, c *Cluster) {
	for _, name := range []string{"tls.ca_file", "tls.server_name"} {
		if s.chosen(name) && s.ok("tls.enabled") && !c.TLS.Enabled && c.Destination == "" {
			l.reject(s, name, "has no effect without tls.enabled: true ("+s.source("tls.enabled")+": false)", "")
		}
	}
}

// checkRoute finds keys that have no effect for the configured route or method of
// authentication at the proxy.
func (l *loader) checkRoute() {
	c, r := l.config.Connectivity, l.root
	if !r.ok("connectivity.via", "connectivity.auth") {
		return
	}
	direct := c.Via == ViaDirect
	via, auth := "connectivity.via: direct ("+r.source("connectivity.via")+")", "connectivity.auth: "+c.Auth+" ("+r.source("connectivity.auth")+")"
	for _, k := range r.keys {
		switch {
		case !r.chosen(k.name) || !r.ok(k.name):
		case direct && k.is(needsProxy|needsUser):
			l.reject(r, k.name, "contradicts "+via+", which uses neither proxy nor token", "")
		case !direct && c.Auth != AuthPassword && k.is(needsUser):
			l.reject(r, k.name, "contradicts "+auth+"; it is for auth: userpass", "")
		}
	}
	if !direct && c.Auth == AuthPassword && c.Username == "" && r.ok("connectivity.username") {
		l.reject(r, "connectivity.username", "is missing; "+auth+" needs it", "")
	}
	for _, s := range l.clusters {
		for _, name := range []string{"location_id", "tenant", "destination"} {
			switch {
			case !s.chosen(name) || !s.ok(name):
			case direct && name == "destination":
				l.reject(s, name, "contradicts "+via+": a destination leads through a Cloud Connector", "")
			case direct:
				l.warn("%s has no effect with connectivity.via: direct", s.label+name)
			case c.Auth != AuthJWT && name != "destination":
				l.reject(s, name, "cannot be sent to a proxy with "+auth+"; only a token carries it", "")
			}
		}
	}
}

// checkToken requires all of the credentials or none of them.
func (l *loader) checkToken() {
	t, r := l.config.Token, l.root
	if set := r.settings["token.client_secret"]; set.node != nil && set.text != "" {
		l.warn("token.client_secret is in %s; prefer %sTOKEN_CLIENT_SECRET or a file of its own (token.client_secret_file)", strings.TrimPrefix(set.source, "file "), prefix)
	}
	if !r.ok("token.url", "token.client_id", "token.client_secret", "token.client_secret_file", "token.certificate_file", "token.key_file") {
		return
	}
	if u, err := url.Parse(t.URL); err == nil && u.Scheme == "http" && !hostport.IsLoopback(u.Hostname()) {
		l.warn("token.url is an http address: the client secret is sent unencrypted")
	}
	if t.Resource != "" && t.URL == "" {
		l.reject(r, "token.resource", "has no effect without token.url, the Identity Authentication service; with a binding token.issuer: ias is enough", "")
		return
	}
	issuer := "token.issuer"
	if t.Resource != "" {
		issuer = "token.resource"
	}
	for _, s := range l.clusters {
		if (t.Resource != "" || t.Issuer == IssuerIAS) && s.chosen("tenant") && s.ok("tenant") { // each subscriber has an Identity Authentication service of its own
			l.reject(s, "tenant", "cannot be sent to the Identity Authentication service ("+issuer+", "+r.source(issuer)+"); subscribers need token.issuer: xsuaa", "")
		}
	}
	together, names := "url, client_id and client_secret", []string{"token.url", "token.client_id", "token.client_secret"}
	if t.CertificateFile != "" || t.KeyFile != "" {
		if t.ClientSecret != "" {
			l.reject(r, "token.client_secret", "contradicts token.certificate_file and token.key_file; a token service takes either a secret or a certificate", "")
			return
		}
		together, names = "url, client_id, certificate_file and key_file", append(names[:2], "token.certificate_file", "token.key_file")
	}
	first := slices.IndexFunc(names, r.chosen)
	for _, name := range names {
		if first >= 0 && !r.chosen(name) {
			l.reject(r, name, "is missing, but "+names[first]+" is set ("+r.source(names[first])+"); without a binding "+together+" are needed together", "")
		}
	}
}

// checkForwards requires distinct names and existing routes.
func (l *loader) checkForwards() {
	if !l.root.ok("forwards") {
		return
	}
	for i, f := range l.config.Forwards {
		if slices.ContainsFunc(l.clusters, func(s *scope) bool { return s.name == f.Name }) ||
			slices.ContainsFunc(l.config.Forwards[:i], func(other Forward) bool { return other.Name == f.Name }) {
			l.reject(l.root, "forwards", fmt.Sprintf("uses the name %q twice, or that of a cluster; metrics and status could not tell them apart", f.Name), "")
		}
		if c := l.config.Connectivity; c.Via != ViaDirect && c.Auth != AuthJWT && (f.LocationID != "" || f.Tenant != "") {
			l.reject(l.root, "forwards", "has a Location ID or a tenant, which cannot be sent to a proxy with connectivity.auth: "+c.Auth, "")
		}
	}
}

// A span is the range of local ports of one key.
type span struct {
	*scope
	name        string // of the key
	host        string
	first, last uint16
}

func (s span) holds(port uint16) bool { return s.first <= port && port <= s.last }
func (s span) set() *setting          { return s.settings[s.name] }

// spans lists the fixed ports of all valid keys.
func (l *loader) spans() []span {
	var all []span
	for i, c := range l.config.Clusters {
		s := l.clusters[i]
		all = append(all, span{s, "listen", c.Listen.Host, c.Listen.Port, c.Listen.Port})
		if s.ok("listen") {
			// Broker ports are opened on the host of listen.
			all = append(all, span{s, "broker_ports", c.Listen.Host, c.BrokerPorts.First, c.BrokerPorts.Last})
		}
	}
	for _, f := range l.config.Forwards {
		all = append(all, span{l.root, "forwards", f.Listen.Host, f.Listen.Port, f.Listen.Port})
	}
	admin := l.config.Admin.Listen
	all = append(all, span{l.root, "admin.listen", admin.Host, admin.Port, admin.Port})
	return slices.DeleteFunc(all, func(s span) bool { return s.first == 0 || !s.ok(s.name) })
}

// isOwn reports whether an address is one that the tunnel listens on.
func (l *loader) isOwn(a HostPort) bool {
	return slices.ContainsFunc(l.spans(), func(s span) bool {
		return s.holds(a.Port) && (hostport.IsLoopback(a.Host) && (hostport.IsLoopback(s.host) || hostport.IsAny(s.host)) || strings.EqualFold(a.Host, s.host))
	})
}

// checkPorts finds ports that two keys claim, and configured ports that the platform
// uses. Of two keys it reports the later one, unless only the earlier one was
// configured.
func (l *loader) checkPorts() {
	spans := l.spans()
	for i, s := range spans {
		for _, other := range spans[:i] {
			if s.first > other.last || other.first > s.last || !hostport.Collide(s.host, other.host) {
				continue
			}
			a, b := s, other
			if b.set().chosen && !a.set().chosen {
				a, b = b, a
			}
			l.reject(a.scope, a.name, fmt.Sprintf("overlaps with %s %s (%s)", b.label+b.name, b.set().shown, b.set().source), "")
		}
		if s.set().chosen {
			l.warnReserved(s)
		}
	}
}

// warnReserved warns of ports that other processes in the container use.
func (l *loader) warnReserved(s span) {
	application, _ := strconv.ParseUint(cmp.Or(environValue(l.in.Environ, "PORT"), environValue(l.in.Environ, "VCAP_APP_PORT")), 10, 16)
	own := uint16(application)
	reserved := []struct {
		port  uint16
		owner string
	}{
		{own, "the application ($PORT)"},
		{8080, "the application"},
		{8081, "the metric registrar"},
		{2222, "cf ssh"},
		{max(s.first, 61001), "the platform's proxy (61001 and above)"},
	}
	for i, r := range reserved {
		if s.holds(r.port) && (i == 0 || r.port != own) {
			l.warn("%s %s holds port %d, which on Cloud Foundry belongs to %s", s.label+s.name, s.set().shown, r.port, r.owner)
		}
	}
}
