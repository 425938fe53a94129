package metrics

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// expose returns what a scraper gets.
func expose(m *Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// series returns the lines of an exposition that are samples.
func series(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// value returns the sample of a series; NaN if there is none.
func value(tb testing.TB, m *Metrics, name string) float64 {
	tb.Helper()
	for _, line := range series(expose(m)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				tb.Fatalf("%s: %v", line, err)
			}
			return v
		}
	}
	return math.NaN()
}

// live returns a cluster that has two requests in flight to each node.
func live(state string, nodes ...string) func() Live {
	l := Live{State: state}
	for _, n := range nodes {
		l.Nodes = append(l.Nodes, LiveNode{Node: n, InFlight: 2, Oldest: 1500 * time.Millisecond})
	}
	return func() Live { return l }
}

// useEverything touches every instrument once.
func useEverything(m *Metrics) {
	c := m.Cluster("default")
	n := c.Node("1")
	n.Opened()
	n.Opened()
	n.Closed(ResultOK)
	a := c.API(3, "Metadata")
	a.Request()
	a.Response(3 * time.Millisecond)
	a.Rewritten(3)
	a.Hidden(1)
	c.Bytes(ToBroker, 100)
	c.Bytes(ToClient, 2000)
	c.ConnectPhase(PhaseSOCKS, 30*time.Millisecond)
	c.Hold(2 * time.Second)
	m.Refused(RefusedTLS)
	m.Failure(failure.ConnectorAway)
	m.AcceptError()
	m.Unmapped(ActionHidden)
	m.TokenFetch("my-connectivity", "ok")
	m.TokenExpiry("my-connectivity", time.Unix(1_800_000_000, 500e6))
	m.CertificateExpiry("my-connectivity", time.Unix(1_900_000_000, 0))
	m.LiveFunc("default", live("degraded", "bootstrap", "1"))
	m.Reset()
}

func TestEveryInstrumentCounts(t *testing.T) {
	m := New()
	useEverything(m)
	want := map[string]float64{
		`kafka_tunnel_connections{cluster="default",node="1"}`:                             1,
		`kafka_tunnel_connections{cluster="default",node="bootstrap"}`:                     0,
		`kafka_tunnel_connections_total{cluster="default",node="1",result="ok"}`:           1,
		`kafka_tunnel_connections_refused_total{reason="tls"}`:                             1,
		`kafka_tunnel_connections_refused_total{reason="http"}`:                            0,
		`kafka_tunnel_connect_seconds_count{cluster="default",phase="socks"}`:              1,
		`kafka_tunnel_connect_seconds_bucket{cluster="default",phase="socks",le="0.01"}`:   0,
		`kafka_tunnel_connect_seconds_bucket{cluster="default",phase="socks",le="0.05"}`:   1,
		`kafka_tunnel_hold_seconds_sum{cluster="default"}`:                                 2,
		`kafka_tunnel_failures_total{code="connector_away"}`:                               1,
		`kafka_tunnel_requests_total{api="Metadata",cluster="default"}`:                    1,
		`kafka_tunnel_request_seconds_bucket{api="Metadata",cluster="default",le="0.005"}`: 1,
		`kafka_tunnel_bytes_total{cluster="default",direction="to_broker"}`:                100,
		`kafka_tunnel_bytes_total{cluster="default",direction="to_client"}`:                2000,
		`kafka_tunnel_rewritten_total{api="Metadata",cluster="default",how="rewritten"}`:   3,
		`kafka_tunnel_rewritten_total{api="Metadata",cluster="default",how="hidden"}`:      1,
		`kafka_tunnel_unmapped_addresses_total{action="hidden"}`:                           1,
		`kafka_tunnel_accept_errors_total`:                                                 1,
		`kafka_tunnel_token_expiry_timestamp_seconds{source="my-connectivity"}`:            1_800_000_000.5,
		`kafka_tunnel_certificate_expiry_timestamp_seconds{source="my-connectivity"}`:      1_900_000_000,
		`kafka_tunnel_token_fetches_total{result="ok",source="my-connectivity"}`:           1,
		`kafka_tunnel_ready{cluster="default"}`:                                            1,
		`kafka_tunnel_state{cluster="default",state="degraded"}`:                           1,
		`kafka_tunnel_state{cluster="default",state="down"}`:                               0,
		`kafka_tunnel_state{cluster="default",state="ready"}`:                              0,
		`kafka_tunnel_in_flight{cluster="default",node="1"}`:                               2,
		`kafka_tunnel_oldest_request_seconds{cluster="default",node="1"}`:                  1.5,
		`kafka_tunnel_resets_total`:                                                        1,
	}
	for name, v := range want {
		if got := value(t, m, name); got != v {
			t.Errorf("%s = %v, want %v", name, got, v)
		}
	}
	text := expose(m)
	for _, family := range []string{`kafka_tunnel_build_info{goversion="go`, "go_goroutines ", "go_info{"} {
		if !strings.Contains(text, family) {
			t.Errorf("no %s", family)
		}
	}
}

func TestNamesPassTheLinter(t *testing.T) {
	m := New()
	useEverything(m)
	problems, err := testutil.GatherAndLint(m.Registry())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestNothingHappensWithoutMetrics(t *testing.T) {
	var m *Metrics
	useEverything(m)
	m.HeldFunc(nil)
	m.Cluster("default").Forget("1")
	if m.Cluster("x") != nil || m.Cluster("x").Node("1") != nil || m.Cluster("x").API(3, "Metadata") != nil || m.Registry() != nil {
		t.Error("nil gives something")
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 404 {
		t.Errorf("GET /metrics of nothing answers %d", w.Code)
	}
}

func TestStrangeValuesMakeNoSeries(t *testing.T) {
	m := New()
	c := m.Cluster("default")
	for i := range 100 {
		word := "strange" + strconv.Itoa(i)
		m.Refused(Refusal(word))
		m.Failure(failure.Code(word))
		m.Unmapped(Action(word))
		m.TokenFetch("source", word)
		c.Node("1").Closed(Result(word))
		c.API(int16(200+i), word).Request()
		c.API(int16(-1-i), word).Request()
		c.Bytes(Direction(2+i), 1)
		c.ConnectPhase(Phase(5+i), time.Second)
	}
	text := expose(m)
	if strings.Contains(text, "strange") {
		t.Error("a value outside its set became a label")
	}
	for name, v := range map[string]float64{
		`kafka_tunnel_connections_refused_total{reason="other"}`:                    100,
		`kafka_tunnel_failures_total{code="internal"}`:                              100,
		`kafka_tunnel_unmapped_addresses_total{action="other"}`:                     100,
		`kafka_tunnel_token_fetches_total{result="other",source="source"}`:          100,
		`kafka_tunnel_connections_total{cluster="default",node="1",result="other"}`: 100,
		`kafka_tunnel_requests_total{api="unknown",cluster="default"}`:              200,
	} {
		if got := value(t, m, name); got != v {
			t.Errorf("%s = %v, want %v", name, got, v)
		}
	}
}

func TestEveryCodeOfTheCatalogueIsALabel(t *testing.T) {
	m := New()
	for _, e := range failure.All() {
		m.Failure(e.Code)
		if e.Hop == failure.HopToken {
			m.TokenFetch("source", string(e.Code))
		}
	}
	for _, e := range failure.All() {
		if got := value(t, m, `kafka_tunnel_failures_total{code="`+string(e.Code)+`"}`); got != 1 {
			t.Errorf("%s counted %v times", e.Code, got)
		}
	}
	if got := value(t, m, `kafka_tunnel_token_fetches_total{result="token_rejected",source="source"}`); got != 1 {
		t.Errorf("token_rejected counted %v times as a result", got)
	}
}

func TestStateIsAskedAtEachScrape(t *testing.T) {
	m := New()
	state := ""
	m.LiveFunc("a", func() Live { return Live{State: state} })
	m.LiveFunc("b", live("ready"))
	for _, state = range []string{"down", "degraded", "ready", "down"} {
		if got, want := value(t, m, `kafka_tunnel_ready{cluster="a"}`), one(state != "down"); got != want {
			t.Errorf("%s: ready is %v", state, got)
		}
		for _, s := range stateNames {
			if got, want := value(t, m, `kafka_tunnel_state{cluster="a",state="`+s+`"}`), one(s == state); got != want {
				t.Errorf("%s: %s is %v", state, s, got)
			}
		}
	}
	if got := value(t, m, `kafka_tunnel_ready{cluster="b"}`); got != 1 {
		t.Errorf("b is shown as %v", got)
	}
}

func TestHeldIsAskedAtEachScrape(t *testing.T) {
	m := New()
	shut, held := 0, 0
	m.HeldFunc(func() (int, int) { return shut, held })
	shut, held = 2, 30
	if a, b := value(t, m, "kafka_tunnel_gate_shut"), value(t, m, "kafka_tunnel_held_clients"); a != 2 || b != 30 {
		t.Errorf("%v gates, %v clients", a, b)
	}
}

func TestNoTokenNoExpiry(t *testing.T) {
	m := New()
	m.TokenExpiry("s", time.Unix(5, 0))
	m.TokenExpiry("s", time.Time{})
	if strings.Contains(expose(m), "token_expiry_timestamp_seconds{") {
		t.Error("the expiry of a token that is gone is shown")
	}
}

func TestForgottenNodesLeaveNoSeries(t *testing.T) {
	m := New()
	c := m.Cluster("default")
	before := len(series(expose(m)))
	for i := range 50 {
		n := c.Node(strconv.Itoa(i))
		n.Opened()
		n.Closed(ResultBroken)
		c.Forget(strconv.Itoa(i))
	}
	c.Forget("bootstrap")
	if after := len(series(expose(m))); after != before {
		t.Errorf("%d series before, %d after", before, after)
	}
}

// TestConcurrentUse finds races, and counts that got lost in them.
func TestConcurrentUse(t *testing.T) {
	m := New()
	const workers, rounds = 8, 200
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range rounds {
				c := m.Cluster("default")
				c.API(int16(i%20), "api"+strconv.Itoa(i%20)).Request()
				c.API(1, "api1").Hidden(1)
				c.Bytes(ToClient, 1)
				n := c.Node("1")
				n.Opened()
				n.Closed(ResultOK)
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			expose(m)
		}
	})
	wg.Wait()
	for name, want := range map[string]float64{
		`kafka_tunnel_requests_total{api="api7",cluster="default"}`:               workers * rounds / 20,
		`kafka_tunnel_rewritten_total{api="api1",cluster="default",how="hidden"}`: workers * rounds,
		`kafka_tunnel_bytes_total{cluster="default",direction="to_client"}`:       workers * rounds,
		`kafka_tunnel_connections{cluster="default",node="1"}`:                    0,
		`kafka_tunnel_connections_total{cluster="default",node="1",result="ok"}`:  workers * rounds,
	} {
		if got := value(t, m, name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
}

func TestBytesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := New()
		c := m.Cluster("x")
		want := [2]int64{}
		for _, n := range rapid.SliceOf(rapid.Int64Range(-5, 1<<40)).Draw(t, "bytes") {
			d := Direction(rapid.IntRange(0, 1).Draw(t, "direction"))
			c.Bytes(d, n)
			want[d] += max(n, 0)
		}
		for d, counter := range c.written {
			if got := testutil.ToFloat64(counter); got != float64(want[d]) {
				t.Fatalf("%v bytes %s, want %d", got, directionNames[d], want[d])
			}
		}
	})
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	m := New()
	c := m.Cluster("default")
	c.API(1, "Fetch").Rewritten(1)
	c.API(1, "Fetch").Hidden(1)
	allocs := testing.AllocsPerRun(100, func() {
		a := c.API(1, "Fetch")
		a.Request()
		a.Response(time.Millisecond)
		a.Rewritten(1)
		a.Hidden(1)
		c.Bytes(ToClient, 1<<20)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per request", allocs)
	}
}

func BenchmarkRequest(b *testing.B) {
	c := New().Cluster("default")
	b.ReportAllocs()
	for b.Loop() {
		a := c.API(1, "Fetch")
		a.Request()
		a.Response(time.Millisecond)
		c.Bytes(ToBroker, 100)
		c.Bytes(ToClient, 1000)
	}
}
