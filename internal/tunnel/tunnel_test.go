package tunnel

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

func httpGet(ctx context.Context, url string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<22))
	return response.StatusCode, string(body), err
}

func readiness(t *testing.T, body string) (r admin.Readiness) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return r
}

func TestOnlyLoopbackAndNoRealName(t *testing.T) {
	for _, advertise := range []string{lab.AdvertiseInternal, lab.AdvertiseVirtual} {
		t.Run(advertise, func(t *testing.T) {
			bed := newTestbed(t, lab.Options{Advertise: advertise, VirtualHost: virtualHost(advertise)}, addressMap(advertise)...)
			s := &sniffer{}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()

			admin := kadm.NewClient(bed.client(t, kgo.Dialer(s.dial)))
			if _, err := admin.CreateTopic(ctx, 6, 1, nil, "topic"); err != nil {
				t.Fatal(err)
			}
			cl := bed.client(t, kgo.Dialer(s.dial), kgo.ConsumerGroup("group"), kgo.ConsumeTopics("topic"),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			const n = 300
			for i := range n {
				cl.Produce(ctx, &kgo.Record{Topic: "topic", Value: fmt.Appendf(nil, "%d", i)}, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("produce: %v", err)
					}
				})
			}
			if err := cl.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			got := 0
			for got < n && ctx.Err() == nil {
				got += cl.PollFetches(ctx).NumRecords()
			}
			if err := cl.CommitUncommittedOffsets(ctx); err != nil {
				t.Error(err)
			}
			if got != n {
				t.Errorf("%d records arrived, want %d", got, n)
			}

			tx := bed.client(t, kgo.Dialer(s.dial), kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("topic"))
			if err := tx.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := tx.ProduceSync(ctx, kgo.StringRecord("in a transaction")).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := tx.EndTransaction(ctx, kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			s.check(t, bed.lab.RealNames())

			status := bed.Status()
			if nodes := status.Clusters[0].Nodes; len(nodes) != 3 || !status.Ready {
				t.Errorf("status %+v", status)
			}
			if v := bed.lab.State().Violations; len(v) > 0 {
				t.Errorf("the proxy reports violations: %v", v)
			}
			_, metrics := bed.get(t, "/metrics")
			for _, want := range []string{
				`kafka_tunnel_rewritten_total{api="Metadata"`, `kafka_tunnel_requests_total{api="Produce"`,
				`kafka_tunnel_connections_total{`, `kafka_tunnel_connect_seconds_count{cluster="default",phase="socks"}`,
				`kafka_tunnel_ready{cluster="default"} 1`, `kafka_tunnel_token_expiry_timestamp_seconds{`,
			} {
				if !strings.Contains(metrics, want) {
					t.Errorf("/metrics lacks %s", want)
				}
			}
		})
	}
}

// virtualHost and addressMap make the Cloud Connector expose names other than the
// advertised ones, if the brokers advertise internal names.
func virtualHost(advertise string) string {
	if advertise == lab.AdvertiseInternal {
		return "v*.cloud.invalid"
	}
	return ""
}

func addressMap(advertise string) []string {
	if advertise == lab.AdvertiseInternal {
		return []string{`KAFKA_TUNNEL_ADDRESS_MAP=[{from: "kafka-*.onprem.invalid", to: "v*.cloud.invalid"}]`}
	}
	return nil
}

// TestLeadersMove: clients follow moved partitions while they produce and consume.
// Brokers return the addresses of the new leaders (KIP-951) in Produce and Fetch.
func TestLeadersMove(t *testing.T) {
	bed := newTestbed(t, lab.Options{})
	s := &sniffer{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	admin := kadm.NewClient(bed.client(t, kgo.Dialer(s.dial)))
	if _, err := admin.CreateTopic(ctx, 3, 1, nil, "topic"); err != nil {
		t.Fatal(err)
	}
	cl := bed.client(t, kgo.Dialer(s.dial), kgo.DefaultProduceTopic("topic"), kgo.ConsumeTopics("topic"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	const rounds, each = 10, 20
	got := 0
	for round := range rounds {
		for partition := range int32(3) {
			if err := bed.lab.Cluster().Kafka().MoveTopicPartition("topic", partition, 1+(int32(round)+partition)%3); err != nil {
				t.Fatal(err)
			}
		}
		for range each {
			if err := cl.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		got += cl.PollFetches(ctx).NumRecords()
	}
	for got < rounds*each && ctx.Err() == nil {
		got += cl.PollFetches(ctx).NumRecords()
	}
	if got < rounds*each { // after a move clients of kfake read some records twice, also without a proxy
		t.Errorf("%d records arrived, want %d", got, rounds*each)
	}
	s.check(t, bed.lab.RealNames())
	_, metrics := bed.get(t, "/metrics")
	if !strings.Contains(metrics, `kafka_tunnel_rewritten_total{api="Produce"`) {
		t.Error("no address of a new leader was seen")
	}
}

func TestDescribeClusterAndShareGroups(t *testing.T) {
	bed := newTestbed(t, lab.Options{})
	s := &sniffer{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl := bed.client(t, kgo.Dialer(s.dial), kgo.DefaultProduceTopic("topic"))
	for version := int16(0); version <= 2; version++ {
		request := kmsg.NewPtrDescribeClusterRequest()
		request.Version = version
		if version >= 1 {
			request.EndpointType = 1
		}
		response, err := request.RequestWith(ctx, cl)
		if err != nil {
			t.Fatal(err)
		}
		if len(response.Brokers) != 3 {
			t.Errorf("v%d: %d brokers", version, len(response.Brokers))
		}
		for _, broker := range response.Brokers {
			if broker.Host != "localhost" {
				t.Errorf("v%d: broker %d at %s", version, broker.NodeID, broker.Host)
			}
		}
	}
	if err := cl.ProduceSync(ctx, kgo.StringRecord("before the group")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	group := bed.client(t, kgo.Dialer(s.dial), kgo.ShareGroup("share"), kgo.ConsumeTopics("topic"))
	for range 200 { // a new share group starts at the end of the log: produce until a record arrives
		if err := cl.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		short, done := context.WithTimeout(ctx, 200*time.Millisecond)
		n := group.PollFetches(short).NumRecords()
		done()
		if n > 0 {
			s.check(t, bed.lab.RealNames())
			return
		}
	}
	t.Error("the share group got nothing")
}

func TestLocationID(t *testing.T) {
	bed := newTestbed(t, lab.Options{LocationID: "PLANT 1 é"})
	bed.roundTrip(t, "topic", 10)
}

func TestOneBrokerThatAdvertisesLocalhost(t *testing.T) {
	// The scenario of SAP's blog: one broker that advertises localhost:9092 behind one
	// virtual host. The rule that leads to the bootstrap address is implied.
	bed := newTestbed(t, lab.Options{Brokers: 1, Advertise: lab.AdvertiseLocalhost})
	s := &sniffer{}
	bed.roundTrip(t, "topic", 100, kgo.Dialer(s.dial))
	s.check(t, bed.lab.RealNames())
	if !contains(bed.log.String(), "implied_rule", "localhost:9092") {
		t.Error("the implied rule is not logged")
	}
}

func TestSeveralBrokersThatAdvertiseLoopback(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 3, Advertise: lab.AdvertiseLocalhost}, "KAFKA_TUNNEL_ADDRESS_MAP=[]")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	s := &sniffer{}
	admin := kadm.NewClient(bed.client(t, kgo.Dialer(s.dial)))
	if brokers, err := admin.ListBrokers(ctx); err == nil && len(brokers) > 0 {
		t.Errorf("the client learned of %v", brokers.NodeIDs())
	}
	if !contains(bed.log.String(), "code=advertised_loopback", `from: \"localhost:`) {
		t.Error("the log lacks the failure or the line to paste")
	}
	_, metrics := bed.get(t, "/metrics")
	if !strings.Contains(metrics, `kafka_tunnel_unmapped_addresses_total{action="hidden"}`) {
		t.Error("nothing was counted")
	}
}

// TestRecovery: the client recovers by itself and loses no record when an upstream
// service fails while it produces, and comes back. It needs new connections meanwhile,
// because the open ones are reset.
func TestRecovery(t *testing.T) {
	tests := []struct {
		name  string
		fault faults.Kind
		life  time.Duration // of tokens
		hop   string
		codes []string
	}{
		{"connector", faults.ConnectorAway, 12 * time.Hour, "connector", []string{"connector_away"}},
		{"token service", faults.TokenDown, time.Second, "token", []string{"token_unreachable"}},
		{"proxy", faults.ProxyDown, 12 * time.Hour, "proxy", []string{"proxy_unreachable", "proxy_auth_refused"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bed := newTestbed(t, lab.Options{TokenLife: tt.life})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			bed.roundTrip(t, "before", 10)

			cl := bed.client(t, kgo.DefaultProduceTopic("during"), kgo.RecordDeliveryTimeout(time.Minute))
			var sent, acked, lost atomic.Int64
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				tick := time.NewTicker(5 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-stop:
						return
					case <-tick.C:
						sent.Add(1)
						cl.Produce(ctx, kgo.StringRecord("x"), func(_ *kgo.Record, err error) {
							if err != nil {
								lost.Add(1)
								return
							}
							acked.Add(1)
						})
					}
				}
			}()
			f, err := bed.lab.Faults().Add(faults.Fault{Kind: tt.fault})
			if err != nil {
				t.Fatal(err)
			}
			if tt.fault == faults.TokenDown { // open connections do not need a token, so break them
				for range 3 {
					if _, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.TokenRevoked}); err != nil {
						t.Fatal(err)
					}
					if _, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.LinkReset}); err != nil {
						t.Fatal(err)
					}
				}
			}
			bed.until(t, "/readyz", func(status int, body string) bool {
				c := readiness(t, body).Clusters[0]
				return status == http.StatusServiceUnavailable && string(c.Hop) == tt.hop && c.Advice != "" && slices.Contains(tt.codes, string(c.Code))
			})
			bed.lab.Faults().Remove(f.ID)
			bed.until(t, "/readyz", func(status int, _ string) bool { return status == http.StatusOK })
			close(stop)
			<-stopped
			if err := cl.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			if sent.Load() != acked.Load() || sent.Load() == 0 {
				t.Errorf("%d records sent, %d acknowledged, %d lost", sent.Load(), acked.Load(), lost.Load())
			}
			if err := bed.Alive(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestARefusedTokenIsReplaced(t *testing.T) {
	for _, mode := range []string{faults.ModeStatus, faults.ModeReply, faults.ModeEOF, faults.ModeReset} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			bed := newTestbed(t, lab.Options{Faults: []faults.Fault{{Kind: faults.BadToken, Mode: mode}}})
			bed.roundTrip(t, "before", 1)
			if _, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.TokenRevoked}); err != nil {
				t.Fatal(err)
			}
			bed.roundTrip(t, "after", 1)
			if n := bed.Status().Tokens[0].Fetches; n != 2 {
				t.Errorf("%d tokens were fetched, want 2", n)
			}
		})
	}
}

// TestNoSecretIsShown: nothing that the tunnel shows contains a secret, after successes
// and every kind of failure, at debug level.
func TestNoSecretIsShown(t *testing.T) {
	troubles := []struct {
		name  string
		fault faults.Fault
		code  string
	}{
		{"none", faults.Fault{}, ""},
		{"HTML", faults.Fault{Kind: faults.TokenHTML}, "token_malformed"},
		{"error in 200", faults.Fault{Kind: faults.TokenError}, "token_malformed"},
		{"huge", faults.Fault{Kind: faults.TokenHuge}, "token_malformed"},
		{"empty", faults.Fault{Kind: faults.TokenEmpty}, "token_malformed"},
		{"401", faults.Fault{Kind: faults.TokenStatus, Status: 401}, "token_rejected"},
		{"429", faults.Fault{Kind: faults.TokenStatus, Status: 429, RetryAfter: "1"}, "token_rate_limited"},
		{"503", faults.Fault{Kind: faults.TokenStatus, Status: 503}, "token_status"},
		{"down", faults.Fault{Kind: faults.TokenDown}, "token_unreachable"},
		{"refused", faults.Fault{Kind: faults.AuthRefused}, "proxy_auth_refused"},
		{"method", faults.Fault{Kind: faults.MethodRefused}, "proxy_method_refused"},
		{"rubbish", faults.Fault{Kind: faults.ProxyRubbish}, "proxy_protocol"},
		{"rules", faults.Fault{Kind: faults.ConnectReply, Reply: 2}, "access_not_allowed"},
		{"broker", faults.Fault{Kind: faults.ConnectReply, Reply: 4}, "broker_unreachable"},
	}
	for _, tt := range troubles {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var o lab.Options
			if tt.fault.Kind != "" {
				o.Faults = []faults.Fault{tt.fault}
			}
			bed := newTestbed(t, o)
			pinged := make(chan error, 1)
			if tt.code == "" {
				bed.roundTrip(t, "topic", 10)
				pinged <- nil
			} else {
				cl := bed.client(t)
				go func() { pinged <- cl.Ping(t.Context()) }()
				bed.until(t, "/readyz", func(_ int, body string) bool {
					return string(readiness(t, body).Clusters[0].Code) == tt.code
				})
			}
			var shown strings.Builder
			for _, path := range []string{"/", "/status", "/readyz", "/metrics", "/startup", "/livez"} {
				_, body := bed.get(t, path)
				shown.WriteString(body)
			}
			bed.Close()
			<-pinged // the client ends when its connection ends
			shown.WriteString(bed.log.String())
			text, secrets := shown.String(), bed.lab.Secrets()
			if len(secrets) == 0 || !contains(strings.Join(secrets, ""), "!", "|") {
				t.Fatalf("%d secrets to look for, want some with special characters", len(secrets))
			}
			if tt.code != "" && !contains(text, "code="+tt.code, tt.code) {
				t.Errorf("the log lacks %s", tt.code)
			}
			for _, secret := range secrets {
				for what, form := range forms(secret) {
					if strings.Contains(text, form) {
						t.Errorf("a secret is shown (%s)", what)
					}
				}
			}
		})
	}
}

// forms returns the encodings in which a secret may appear.
func forms(secret string) map[string]string {
	f := map[string]string{
		"literally":       secret,
		"percent-encoded": url.QueryEscape(secret),
		"path-escaped":    url.PathEscape(secret),
		"base64":          strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		"base64url":       base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
	if parts := strings.Split(secret, "."); len(parts) == 3 {
		f["JWT payload"], f["JWT signature"] = parts[1], parts[2]
	}
	return f
}

func TestRefusalOfAnAddressThatIsNotExposedIsDelayed(t *testing.T) {
	for err, want := range map[error]time.Duration{
		failure.New(failure.AccessNotAllowed, nil):  refusedPause,
		failure.New(failure.BrokerUnreachable, nil): 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			delayRefusal(t.Context(), err)
			if d := time.Since(start); d != want {
				t.Errorf("%v: waited %v, want %v", err, d, want)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			delayRefusal(ctx, err) // no delay for a client that left
			if d := time.Since(start); d != want {
				t.Errorf("%v: waited %v after the client had left", err, d)
			}
		})
	}
}

func TestDrainServesUntilQuiet(t *testing.T) {
	bed := newTestbed(t, lab.Options{}, "KAFKA_TUNNEL_DRAIN_TIMEOUT=1m", "KAFKA_TUNNEL_DRAIN_QUIET=100ms")
	cl := bed.client(t, kgo.DefaultProduceTopic("topic"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := cl.ProduceSync(ctx, kgo.StringRecord("before")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() {
		bed.Drain(ctx)
		close(drained)
	}()
	bed.until(t, "/readyz", func(status int, body string) bool {
		return status == http.StatusServiceUnavailable && readiness(t, body).Draining
	})
	// Ports stay open and connections are still dialled: a producer that starts now
	// still delivers.
	late := bed.client(t, kgo.DefaultProduceTopic("topic"))
	if err := late.ProduceSync(ctx, kgo.StringRecord("late")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-drained:
		t.Fatal("the drain ended although connections are open")
	default:
	}
	cl.Close()
	late.Close()
	select {
	case <-drained:
	case <-ctx.Done():
		t.Fatal("the drain does not end although no connection is open")
	}
}

func TestAnIdleTunnelOpensNoConnection(t *testing.T) {
	bed := newTestbed(t, lab.Options{})
	if s := bed.lab.State(); s.Tokens.Requests != 0 || len(s.Connects) != 0 {
		t.Errorf("no client has connected, but the proxy counted %+v", s)
	}
	// A request for readiness starts one probe in the background, and then the tunnel
	// is ready.
	bed.until(t, "/readyz", func(status int, _ string) bool { return status == http.StatusOK })
	if s := bed.lab.State(); s.Connects["granted"] != 1 {
		t.Errorf("the probe made %v", s.Connects)
	}
}
