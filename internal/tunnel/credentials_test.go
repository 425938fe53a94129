package tunnel

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// TestEveryKindOfCredentials: a record passes with every kind of credentials.
func TestEveryKindOfCredentials(t *testing.T) {
	for name, o := range map[string]lab.Options{
		"secret":                          {},
		"certificate":                     {X509: true},
		"certificate, TLS to the brokers": {X509: true, TLS: true},
		"none, trusted mode":              {Trusted: true},
		"user and password":               {Trusted: true, User: "tunnel", Password: "s3cr3t"},
		"Identity Authentication":         {Identity: true},
		"subscriber":                      {Subscriber: true},
		"two Cloud Connectors":            {LocationID: "FIRST", Second: "SECOND"},
		"destination":                     {Destination: true, LocationID: "PLANT1"},
		"destination, certificate, TLS":   {Destination: true, X509: true, TLS: true},
		"destination of a subscriber":     {Destination: true, Subscriber: true, VirtualHost: "v-*.invalid"},
		"destination, Identity, two":      {Destination: true, Identity: true, LocationID: "FIRST", Second: "SECOND"},
		"destination, trusted mode":       {Destination: true, Trusted: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := newTestbed(t, o)
			bed.roundTrip(t, "topic", 10)
			if v := bed.lab.State().Violations; len(v) > 0 {
				t.Errorf("violations: %q", v)
			}
			_, body := bed.get(t, "/status")
			want := 1 // source of tokens
			if o.Trusted {
				want--
			}
			if o.Destination {
				want++
			}
			tokens := parsed(t, body).Tokens
			if len(tokens) != want {
				t.Errorf("tokens: %+v", tokens)
			}
			for _, one := range tokens {
				if (one.CertificateUntil != nil) != o.X509 || one.Fetches != 1 {
					t.Errorf("tokens: %+v", one)
				}
			}
			if n := bed.lab.State().Tokens; n.Requests != want || n.MaxInFlight > want {
				t.Errorf("%+v, want %d requests", n, want)
			}
			if _, metrics := bed.get(t, "/metrics"); strings.Contains(metrics, "\nkafka_tunnel_certificate_expiry_timestamp_seconds{") != o.X509 {
				t.Error("the metric of the certificate is missing or wrong")
			}
			if _, body = bed.get(t, "/readyz"); len(readiness(t, body).Warnings) > 0 {
				t.Errorf("/readyz has a warning: %s", body)
			}
			if text := bed.log.String() + body; strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "s3cr3t") {
				t.Error("the log shows a secret")
			}
		})
	}
}

// TestTheFirstTokenIsFetchedBeforeTheFirstClient: the first token is fetched before the
// first client connects. If that fails, an operator sees it without any client.
func TestTheFirstTokenIsFetchedBeforeTheFirstClient(t *testing.T) {
	soon := func(o *Options) { o.FirstToken = time.Nanosecond }
	env := func(l *lab.Landscape) []string {
		return append(l.Env(), "KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_BROKER_PORTS=0")
	}
	bed := newTestbedWith(t, lab.Options{Brokers: 1}, env, soon)
	bed.until(t, "/status", func(_ int, body string) bool { return parsed(t, body).Tokens[0].UsableUntil != nil })
	bed.roundTrip(t, "topic", 1)
	if n := bed.lab.State().Tokens.Requests; n != 1 {
		t.Errorf("%d requests for a token", n)
	}
	broken := newTestbedWith(t, lab.Options{Brokers: 1, Faults: []faults.Fault{{Kind: faults.TokenStatus, Status: 401}}}, env, soon)
	broken.until(t, "/readyz", func(_ int, body string) bool {
		return readiness(t, body).Clusters[0].Code == failure.TokenRejected
	})
}

// TestTenants: the tokens of a subscriber lead to its own Cloud Connectors.
func TestTenants(t *testing.T) {
	zone := tokenservice.NewID()
	bed := newTestbed(t, lab.Options{Brokers: 1, Subscribers: []string{zone}}, "KAFKA_TUNNEL_TENANT="+zone)
	bed.knock(t)
	bed.until(t, "/readyz", func(_ int, body string) bool {
		c := readiness(t, body).Clusters[0]
		return c.Code == failure.ConnectorAway && strings.Contains(c.Detail, "tenant "+zone) // only the provider has a Cloud Connector
	})
	if _, err := bed.lab.Connectors().Add(zone, "", bed.lab.Connector().Entries()...); err != nil {
		t.Fatal(err)
	}
	bed.roundTrip(t, "topic", 10)
	if _, body := bed.get(t, "/status"); parsed(t, body).Tokens[0].Source != "lab-connectivity/"+zone {
		t.Errorf("/status: %s", body)
	}
}

func TestAnUnknownTenant(t *testing.T) {
	zone := tokenservice.NewID()
	bed := newTestbed(t, lab.Options{Brokers: 1}, "KAFKA_TUNNEL_TENANT="+zone)
	bed.knock(t)
	bed.until(t, "/readyz", func(_ int, body string) bool {
		c := readiness(t, body).Clusters[0]
		return c.Code == failure.TenantRejected && strings.Contains(c.Detail, "tenant "+zone)
	})
}

// TestAWrongPassword: a refused password is not retried, because there is no other one
// to try.
func TestAWrongPassword(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 1, Trusted: true, User: "tunnel", Password: "s3cr3t"}, "KAFKA_TUNNEL_CONNECTIVITY_PASSWORD=other")
	bed.knock(t)
	bed.until(t, "/readyz", func(_ int, body string) bool {
		return readiness(t, body).Clusters[0].Code == failure.ProxyAuthRefused
	})
}

// TestAnotherMethodThanTheProxys: a client whose authentication method is not that of
// the proxy gets the matching failure.
func TestAnotherMethodThanTheProxys(t *testing.T) {
	for name, o := range map[string]lab.Options{"the proxy requires a token": {}, "the proxy requires a password": {Trusted: true, User: "u", Password: "p"}} {
		bed := newTestbed(t, o, "KAFKA_TUNNEL_CONNECTIVITY_AUTH=none", "KAFKA_TUNNEL_CONNECTIVITY_USERNAME=", "KAFKA_TUNNEL_CONNECTIVITY_PASSWORD=")
		bed.knock(t)
		bed.until(t, "/readyz", func(_ int, body string) bool {
			c := readiness(t, body).Clusters[0]
			return c.Code == failure.ProxyMethodRefused && strings.Contains(c.Advice, "connectivity.auth")
		})
		if bed.lab.State().Tokens.Requests > 0 {
			t.Errorf("%s: a token was fetched", name)
		}
	}
}

// TestTwoClusters: one tunnel serves two clusters of two tenants, behind Cloud
// Connectors with different Location IDs. Each cluster has its own tokens, and clusters
// of one tenant share them.
func TestTwoClusters(t *testing.T) {
	zone := tokenservice.NewID()
	var bed *testbed
	variables := func(l *lab.Landscape) []string {
		if _, err := l.Connectors().Add(zone, "BERLIN", l.Connector().Entries()...); err != nil {
			t.Fatal(err)
		}
		env := slices.DeleteFunc(l.Env(), func(v string) bool {
			return strings.HasPrefix(v, "KAFKA_TUNNEL_")
		})
		for name, more := range map[string][]string{"OWN": nil, "AGAIN": nil, "THEIRS": {"TENANT=" + zone, "LOCATION_ID=BERLIN"}} {
			for _, v := range append(more, "BOOTSTRAP="+strings.Join(l.Bootstrap(), ","), "LISTEN=127.0.0.1:0", "BROKER_PORTS=0") {
				env = append(env, "KAFKA_TUNNEL_CLUSTERS_"+name+"_"+v)
			}
		}
		return env
	}
	bed = newTestbedWith(t, lab.Options{Brokers: 2, Subscribers: []string{zone}}, variables)
	var clients sync.WaitGroup // that connect before there is any token
	for i := range 150 {
		clients.Go(func() {
			c := dialRaw(t, bed.Address([]string{"own", "again", "theirs"}[i%3]))
			if err := c.ask(); err != nil {
				t.Error(err)
			}
			c.awaitAnswer(t, "one of many")
		})
	}
	clients.Wait()
	for _, name := range []string{"own", "again", "theirs"} {
		cl := bed.client(t, kgo.SeedBrokers(bed.Address(name)))
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "topic", Value: []byte(name)}).FirstErr(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if st := bed.lab.State().Tokens; st.Requests != 2 || st.MaxInFlight > 2 {
		t.Errorf("%+v, want one request for each tenant", st)
	}
	_, body := bed.get(t, "/status")
	s := parsed(t, body)
	if len(s.Tokens) != 2 || len(s.Clusters) != 3 {
		t.Errorf("/status has %d tokens and %d clusters", len(s.Tokens), len(s.Clusters))
	}
	for _, c := range s.Clusters {
		if c.Name == "theirs" && (c.LocationID != "BERLIN" || c.Gates[0].LocationID != "BERLIN") {
			t.Errorf("%+v", c)
		}
	}
}

// TestACertificateThatExpiresSoon: an operator is warned before the certificate
// expires, and it works until then.
func TestACertificateThatExpiresSoon(t *testing.T) {
	bed := newTestbed(t, lab.Options{X509: true, X509Life: 47 * time.Hour})
	bed.roundTrip(t, "topic", 1)
	const want = "bind the service again and restage the application before that"
	status, body := bed.get(t, "/readyz")
	if status != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if _, body = bed.get(t, "/status"); !slices.ContainsFunc(parsed(t, body).Warnings, func(w string) bool { return strings.Contains(w, want) }) {
		t.Errorf("/status: %s", body)
	}
	if !contains(bed.log.String(), "level=WARN", want) {
		t.Error("the log does not warn")
	}
}

// TestAnExpiredCertificate: no request is sent with it, and the failure has advice.
func TestAnExpiredCertificate(t *testing.T) {
	bed := newTestbed(t, lab.Options{X509: true, X509Life: time.Millisecond})
	bed.knock(t)
	bed.until(t, "/readyz", func(status int, body string) bool {
		c := readiness(t, body).Clusters[0]
		return status == http.StatusServiceUnavailable && c.Code == failure.CertificateExpired && strings.Contains(c.Advice, "cf bind-service")
	})
	if n := bed.lab.State().Tokens.Requests; n > 0 {
		t.Errorf("%d requests for a token", n)
	}
}

// TestWarningsOfACertificate: warnings are logged twice a day, from two days before the
// expiry.
func TestWarningsOfACertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testutil.Output
		c := newCertificate("my-connectivity", time.Now().Add(7*24*time.Hour), textLogger(&log))
		go c.watch(t.Context())
		time.Sleep(5*24*time.Hour - time.Hour) // synctest
		if text := log.String(); text != "" {
			t.Errorf("too early: %s", text)
		}
		time.Sleep(26 * time.Hour) // synctest
		if n := strings.Count(log.String(), "expires at"); n != 3 {
			t.Errorf("%d warnings in 25 hours, want 3:\n%s", n, &log)
		}
		time.Sleep(24 * time.Hour) // synctest
		if text := log.String(); !strings.Contains(text, "has expired") {
			t.Errorf("its expiry is not logged:\n%s", text)
		}
	})
}

// TestRotation: no send fails while credentials in a folder are replaced, as Kubernetes
// does it, the old ones are refused and all their tokens are revoked.
func TestRotation(t *testing.T) {
	for name, test := range map[string]struct {
		lab     lab.Options
		refused failure.Code // what the old credentials are refused with
		rotate  func(t *testing.T, l *lab.Landscape, write func(key, value string))
	}{
		"secret": {refused: failure.TokenRejected, rotate: func(_ *testing.T, l *lab.Landscape, write func(key, value string)) {
			write("clientsecret", l.Tokens().Secret()+"\n")
		}},
		"certificate": {lab: lab.Options{X509: true, X509Life: time.Second}, refused: failure.CertificateExpired, rotate: func(t *testing.T, l *lab.Landscape, write func(key, value string)) {
			certificate, key, err := l.RotateCertificate()
			if err != nil {
				t.Fatal(err)
			}
			write("certificate", certificate)
			write("key", key)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "root", "conn")
			write := func(key, value string) {
				if err := os.WriteFile(filepath.Join(folder, key), []byte(value), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var environ []string
			variables := func(l *lab.Landscape) []string {
				if err := os.MkdirAll(folder, 0o755); err != nil {
					t.Fatal(err)
				}
				services, _, rest := split(t, l)
				each(services, func(_ bound, key, value string) { write(key, value) })
				write("type", "connectivity")
				environ = append(rest, "SERVICE_BINDING_ROOT="+filepath.Dir(folder))
				return environ
			}
			test.lab.Brokers = 1
			bed := newTestbedWith(t, test.lab, variables, func(o *Options) {
				o.ReloadEvery = 20 * time.Millisecond
				o.Reload = func() (config.Config, error) {
					eff, err := config.Resolve(config.Input{Environ: environ})
					if err != nil {
						return config.Config{}, err
					}
					return eff.Config, nil
				}
			})
			cl := bed.client(t, kgo.DefaultProduceTopic("topic"))
			send := func(what string) {
				t.Helper()
				if err := cl.ProduceSync(t.Context(), kgo.StringRecord(what)).FirstErr(); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			send("before")
			bed.lab.Tokens().SetSecret("an0ther s3cr3t")
			if test.lab.X509 {
				bed.until(t, "/readyz", func(_ int, body string) bool { return strings.Contains(body, "has expired") })
			}
			bed.lab.Tokens().RevokeAll()
			if _, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.LinkReset}); err != nil {
				t.Fatal(err)
			}
			bed.knock(t)
			bed.until(t, "/readyz", func(_ int, body string) bool { // the old credentials are refused
				return readiness(t, body).Clusters[0].Code == test.refused
			})
			test.rotate(t, bed.lab, write)
			send("after")
			if text := bed.log.String(); !strings.Contains(text, "the credentials have changed; the tunnel uses the new ones") || strings.Contains(text, "s3cr3t") {
				t.Error("the log lacks the change, or shows a secret")
			}
		})
	}
}

// TestATenantSwitch: when the destination changes to a subscriber, no send fails, and
// new connections use the subscriber's Cloud Connector.
func TestATenantSwitch(t *testing.T) {
	zone := tokenservice.NewID()
	bed := withDestination(t, lab.Options{Brokers: 1, Subscribers: []string{zone}}, nil)
	theirs, err := bed.lab.Connectors().Add(zone, "", bed.lab.Connector().Entries()...)
	if err != nil {
		t.Fatal(err)
	}
	cl := bed.client(t, kgo.DefaultProduceTopic("topic"))
	var sends sync.WaitGroup
	send := func() {
		sends.Add(1)
		cl.Produce(t.Context(), kgo.StringRecord("x"), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("a send failed: %v", err)
			}
			sends.Done()
		})
	}
	send()
	sends.Wait()
	d := bed.lab.Destinations().Get(lab.DestinationName)
	d["kafka-tunnel.tenant"] = zone
	bed.lab.Destinations().Set(lab.DestinationName, d)
	await(t, "the subscriber's connection", func() bool {
		send()
		if _, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.LinkReset}); err != nil {
			t.Fatal(err)
		}
		return theirs.Stats().Links > 0
	}, nil)
	send()
	sends.Wait()
	_, body := bed.get(t, "/status")
	if n := len(parsed(t, body).Tokens); n != 3 { // of the app, of the subscriber, of the destination service
		t.Errorf("%d sources of tokens", n)
	}
}
