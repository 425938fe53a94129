package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cfenv "github.com/cloudfoundry-community/go-cfenv"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/socksclient"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// start runs a landscape for the time of a test.
func start(t *testing.T, opts Options) *Landscape {
	t.Helper()
	l, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if v := l.Proxy().Violations(); len(v) != 0 {
			t.Errorf("violations of the protocol: %q", v)
		}
	})
	return l
}

// environ returns Env as a map.
func environ(l *Landscape) map[string]string {
	m := make(map[string]string)
	for _, kv := range l.Env() {
		k, v, _ := strings.Cut(kv, "=")
		m[k] = v
	}
	return m
}

// binding reads the connectivity binding as an app would.
func binding(t *testing.T, l *Landscape) *cfenv.Service {
	t.Helper()
	app, err := cfenv.New(environ(l))
	if err != nil {
		t.Fatal(err)
	}
	services, err := app.Services.WithLabel("connectivity")
	if err != nil || len(services) != 1 {
		t.Fatalf("%d services, %v", len(services), err)
	}
	return &services[0]
}

// A route is a dialer that does by hand what the tunnel does: it takes token and
// proxy from the binding, and maps advertised names to virtual ones.
type route struct {
	mu     sync.Mutex
	token  string
	fetch  clientcredentials.Config
	proxy  string
	l      *Landscape
	dialed []string
}

// newRoute makes one.
func newRoute(t *testing.T, l *Landscape) *route {
	t.Helper()
	get := func(key string) string {
		v, ok := binding(t, l).CredentialString(key)
		if !ok {
			t.Fatalf("no %s in the binding", key)
		}
		return v
	}
	r := &route{l: l, proxy: net.JoinHostPort(get("onpremise_proxy_host"), get("onpremise_socks5_proxy_port"))}
	r.fetch = clientcredentials.Config{ClientID: get("clientid"), ClientSecret: get("clientsecret"), TokenURL: get("token_service_url") + "/oauth/token"}
	return r
}

// dial is a dialer for kgo.
func (r *route) dial(ctx context.Context, _, address string) (net.Conn, error) {
	for _, b := range r.l.Brokers() {
		if b.Advertised == address {
			address = b.Virtual
		}
	}
	host, port, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.token == "" {
		token, err := r.fetch.Token(ctx)
		if err != nil {
			return nil, err
		}
		r.token = token.AccessToken
	}
	r.dialed = append(r.dialed, address)
	return socksclient.Dial(ctx, socksclient.Target{Proxy: r.proxy, Token: r.token, LocationID: environ(r.l)["KAFKA_TUNNEL_LOCATION_ID"], Host: host, Port: port})
}

// client returns a Kafka client over a dialer.
func client(t *testing.T, l *Landscape, dial func(context.Context, string, string) (net.Conn, error), opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(environ(l)["KAFKA_TUNNEL_BOOTSTRAP"], ",")...), kgo.Dialer(dial), kgo.AllowAutoTopicCreation(), kgo.DisableClientMetrics(),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// roundTrip produces records and consumes them in a group.
func roundTrip(t *testing.T, cl *kgo.Client, topic string, n int) {
	t.Helper()
	for i := range n {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < n; {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		got += fetches.NumRecords()
	}
}

// grouped are the options of a client that consumes in a group.
func grouped(topic string) []kgo.Opt {
	return []kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
}

func TestRecordsPassProxyConnectorAndBrokers(t *testing.T) {
	tests := map[string]struct {
		opts       Options
		names      []string // real names
		addressMap string
	}{
		"internal": {Options{}, []string{"kafka-1.onprem.invalid", "kafka-2.onprem.invalid", "kafka-3.onprem.invalid"}, ""},
		"location": {Options{Brokers: 1, LocationID: "LOC 1/ü"}, []string{"kafka-1.onprem.invalid"}, ""},
		"virtual": {Options{Brokers: 2, Advertise: AdvertiseVirtual},
			[]string{"kafka-1.virtual.invalid", "kafka-1.onprem.invalid", "kafka-2.virtual.invalid", "kafka-2.onprem.invalid"}, ""},
		"pattern": {Options{Brokers: 2, VirtualHost: "k*.cloud"},
			[]string{"kafka-1.onprem.invalid", "k1.cloud", "kafka-2.onprem.invalid", "k2.cloud"},
			`[{from: "kafka-*.onprem.invalid", to: "k*.cloud"}]`},
		"localhost": {Options{Brokers: 2, Advertise: AdvertiseLocalhost}, []string{"kafka.onprem.invalid"},
			`[{from: "localhost:9092-9093", to: "kafka.onprem.invalid:9092-9093"}]`},
		"localhost alone": {Options{Brokers: 1, Advertise: AdvertiseLocalhost}, []string{"kafka.onprem.invalid"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := start(t, tt.opts)
			if got := l.RealNames(); !slices.Equal(got, tt.names) {
				t.Errorf("real names %q", got)
			}
			if got := environ(l)["KAFKA_TUNNEL_ADDRESS_MAP"]; got != tt.addressMap {
				t.Errorf("address map %s", got)
			}
			r := newRoute(t, l)
			roundTrip(t, client(t, l, r.dial, grouped("t")...), "t", 20)
			if got, want := len(l.Brokers()), max(tt.opts.Brokers, 1); got < want {
				t.Errorf("%d brokers", got)
			}
			s := l.State()
			if s.Connects[proxy.Granted] == 0 || s.Tokens.Granted != 1 || s.Connectors[0].Links == 0 || s.Refused != 0 {
				t.Errorf("state %+v", s)
			}
		})
	}
}

func TestDirectRun(t *testing.T) {
	for _, advertise := range []string{AdvertiseInternal, AdvertiseVirtual, AdvertiseLocalhost} {
		l := start(t, Options{Brokers: 2, Advertise: advertise})
		roundTrip(t, client(t, l, l.DialDirect, grouped("t")...), "t", 5)
		if n := l.State().Connects[proxy.Granted]; n != 0 {
			t.Errorf("%s: %d connects at the proxy", advertise, n)
		}
	}
}

func TestUpstream(t *testing.T) {
	real := start(t, Options{Brokers: 2})
	var list []string
	for _, b := range real.Brokers() {
		list = append(list, b.Advertised+"="+b.Address)
	}
	specs, err := ParseUpstream(strings.Join(list, ","))
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, Options{Upstream: specs, LocationID: "X"})
	roundTrip(t, client(t, l, newRoute(t, l).dial, grouped("t")...), "t", 5)
	f, err := l.Faults().Add(faults.Fault{Kind: faults.BrokerDown, Target: "kafka-1.onprem.invalid:9092"})
	if err != nil {
		t.Fatal(err)
	}
	for address, ok := range map[string]bool{"kafka-1.onprem.invalid:9092": false, "kafka-2.onprem.invalid:9092": true} {
		conn, err := newRoute(t, l).dial(t.Context(), "tcp", address)
		if err == nil {
			conn.Close()
		}
		if (err == nil) != ok {
			t.Errorf("%s with broker 1 down: %v", address, err)
		}
	}
	l.Faults().Remove(f.ID)
	if got := l.Connector().Entries(); len(got) != 2 {
		t.Errorf("entries %v", got)
	}
	if l.Cluster() != nil {
		t.Error("there are embedded brokers too")
	}
	if got := l.RealNames(); !slices.Equal(got, []string{"kafka-1.onprem.invalid", "kafka-2.onprem.invalid"}) {
		t.Errorf("real names %q", got)
	}
}

func TestDataDir(t *testing.T) {
	dir := t.TempDir()
	l := start(t, Options{DataDir: dir})
	cl := client(t, l, l.DialDirect)
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("kept")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cl.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = start(t, Options{DataDir: dir})
	cl = client(t, l, l.DialDirect, grouped("t")...)
	if r := cl.PollFetches(t.Context()).Records(); len(r) != 1 || string(r[0].Value) != "kept" {
		t.Errorf("%d records", len(r))
	}
}

// TestFaultsHealWhileAClientProduces breaks each hop in turn; after it is
// mended the client goes on by itself.
func TestFaultsHealWhileAClientProduces(t *testing.T) {
	l := start(t, Options{})
	r := newRoute(t, l)
	cl := client(t, l, r.dial, kgo.RetryBackoffFn(func(int) time.Duration { return time.Millisecond }),
		kgo.MetadataMinAge(10*time.Millisecond), kgo.RecordRetries(1<<30), kgo.RequestRetries(1<<30), kgo.UnknownTopicRetries(-1))
	sent := 0
	produce := func() {
		t.Helper()
		sent++
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: fmt.Append(nil, sent)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	produce()
	for _, f := range []faults.Fault{
		{Kind: faults.ConnectorAway},
		{Kind: faults.ConnectorFailover, For: faults.Duration(20 * time.Millisecond)},
		{Kind: faults.ProxyDown},
		{Kind: faults.BrokerDown},
		{Kind: faults.LinkReset},
	} {
		f, err := l.Faults().Add(f)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { produce(); close(done) }()
		if f.Kind == faults.ConnectorAway {
			// The proxy says so to the client's next connection.
			if err := l.Proxy().Await(t.Context(), proxy.Reply(3), 1); err != nil {
				t.Fatal(err)
			}
		}
		if f.For == 0 {
			l.Faults().Remove(f.ID)
		}
		<-done
	}
	produce()
}

func TestEnvironment(t *testing.T) {
	l := start(t, Options{LocationID: "LOC1"})
	s := binding(t, l)
	if s.Plan != "lite" || s.Name != "lab-connectivity" || !slices.Contains(s.Tags, "connectivity") {
		t.Errorf("service %s %s %v", s.Plan, s.Name, s.Tags)
	}
	for _, key := range []string{
		"onpremise_proxy_host", "onpremise_socks5_proxy_port", "onpremise_proxy_http_port", "onpremise_proxy_port", "onpremise_proxy_rfc_port",
		"onpremise_proxy_ldap_port", "clientid", "clientsecret", "token_service_url", "url", "token_service_domain", "uaadomain", "xsappname",
		"identityzone", "identityzoneid", "zoneid", "tenantid", "tenantmode", "verificationkey", "credential-type",
	} {
		if v, ok := s.CredentialString(key); !ok || v == "" {
			t.Errorf("%s is %q; all are strings, ports too", key, v)
		}
	}
	id, _ := s.CredentialString("clientid")
	secret, _ := s.CredentialString("clientsecret")
	for _, c := range []string{"!", "|"} {
		if !strings.Contains(id, c) || !strings.Contains(secret, c) {
			t.Errorf("no %s in id or secret", c)
		}
	}
	if !slices.Contains(l.Secrets(), secret) {
		t.Error("the secret is not among the secrets")
	}
	want := "kafka-1.onprem.invalid:9092,kafka-2.onprem.invalid:9092,kafka-3.onprem.invalid:9092"
	if got := environ(l)["KAFKA_TUNNEL_BOOTSTRAP"]; got != want {
		t.Errorf("bootstrap %s", got)
	}
}

func TestEnvFile(t *testing.T) {
	l := start(t, Options{LocationID: "it's $HOME `x` \"y\" \\"})
	path := filepath.Join(t.TempDir(), "lab.env")
	for range 2 { // the second time over the first
		if err := l.WriteEnvFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.WriteEnvFile(filepath.Join(t.TempDir(), "no", "such")); err == nil {
		t.Error("written where there is no folder")
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	for key, want := range environ(l) {
		cmd := exec.Command(sh, "-c", `. "$1" && printenv "$2"`, "sh", path, key)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		got, err := cmd.Output()
		if err != nil || string(got) != want+"\n" {
			t.Errorf("%s: %v, %q", key, err, got)
		}
	}
}

func TestNothingSecretIsShown(t *testing.T) {
	var log testutil.Output
	l := start(t, Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	r := newRoute(t, l)
	roundTrip(t, client(t, l, r.dial, grouped("t")...), "t", 1)
	bad := r.fetch
	bad.ClientSecret += "x"
	bad.Token(t.Context())
	state, err := json.Marshal(l.State())
	if err != nil {
		t.Fatal(err)
	}
	secrets := l.Secrets()
	if len(secrets) != 2 {
		t.Fatalf("%d secrets, want the client's and one token", len(secrets))
	}
	shown := fmt.Sprint(l.Parts(), string(state), log.String())
	for _, s := range secrets {
		for part := range strings.SplitSeq(s, ".") {
			if strings.Contains(shown, part) {
				t.Error("a secret is shown")
			}
		}
	}
	if !strings.Contains(log.String(), "result=granted") {
		t.Error("the log has nothing")
	}
}

func TestParts(t *testing.T) {
	l := start(t, Options{Brokers: 2, LocationID: "LOC1"})
	var names []string
	for _, p := range l.Parts() {
		names = append(names, p.Name)
		if p.Address == "" || p.Detail == "" {
			t.Errorf("%+v", p)
		}
	}
	want := []string{"token service", "connectivity proxy", "Cloud Connector", "Cloud Connector", "broker 1", "broker 2", "control"}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

func TestPortsInUse(t *testing.T) {
	first := start(t, Options{Brokers: 1})
	for _, opts := range []Options{
		{ProxyListen: first.Proxy().Addr().String()},
		{TokenListen: first.Tokens().Addr()},
		{ControlListen: strings.TrimPrefix(first.ControlURL(), "http://")},
	} {
		if l, err := Start(t.Context(), opts); err == nil {
			l.Close()
			t.Errorf("%+v was taken", opts)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := Start(ctx, Options{}); err == nil {
		l.Close()
		t.Error("started although the context has ended")
	}
}

func TestProve(t *testing.T) {
	l := start(t, Options{Brokers: 2})
	// Brokers that advertise where they listen need no tunnel.
	for _, b := range l.Cluster().Brokers() {
		b.Advertise(b.Address())
	}
	bootstrap := l.Brokers()[0].Address
	proof, err := l.Prove(t.Context(), bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range proof.Steps {
		names = append(names, s.Name)
		if s.Detail == "" {
			t.Errorf("step %+v", s)
		}
	}
	want := []string{"token service", "connectivity proxy", "find the brokers", "create a topic", "produce a record", "consume it"}
	if !slices.Equal(names, want) || !slices.Contains(proof.Dialled, bootstrap) {
		t.Errorf("steps %q, dialled %q", names, proof.Dialled)
	}
	if n := l.Cluster().Kafka().LeaderFor(strings.TrimSpace(proof.Steps[3].Detail), 0); n != -1 {
		t.Errorf("the topic is still there, led by %d", n)
	}
}

// TestProveWaits: a landscape that comes up late is proved all the same.
func TestProveWaits(t *testing.T) {
	l := start(t, Options{Brokers: 1, Faults: []faults.Fault{{Kind: faults.BrokerDown}}})
	b := l.Cluster().Brokers()[0]
	b.Advertise(b.Address())
	dialled := make(chan struct{}, 1000)
	p := newProver(b.Address(), func(ctx context.Context, network, address string) (net.Conn, error) {
		select {
		case dialled <- struct{}{}:
		default:
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	})
	result := make(chan error, 1)
	go func() {
		_, err := p.run(t.Context())
		result <- err
	}()
	for range 3 {
		select {
		case <-dialled:
		case err := <-result:
			t.Fatalf("gave up: %v", err)
		}
	}
	l.Faults().Clear()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestProveFails(t *testing.T) {
	l := start(t, Options{Brokers: 1}) // advertises a name that does not resolve
	for _, bootstrap := range []string{l.Brokers()[0].Address, "kafka.invalid:1"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := Prove(ctx, bootstrap)
		cancel()
		if err == nil || !strings.Contains(err.Error(), bootstrap) {
			t.Errorf("%s: %v", bootstrap, err)
		}
	}
}
