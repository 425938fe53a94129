package admin

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// ask sends one request to a handler on loopback, or beyond.
func ask(source Source, local bool, method, target string) *httptest.ResponseRecorder {
	s := &Server{Source: source, Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("up 1\n")) })}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:19099"
	s.handler(local).ServeHTTP(w, r)
	return w
}

// degraded is a cluster whose open connections work.
func degraded() ClusterReadiness {
	why := connectorAway()
	return ClusterReadiness{Name: "default", Ready: true, State: StateDegraded, Failure: why, Reasons: []Reason{{Failure: why}}}
}

func TestWorse(t *testing.T) {
	for _, c := range []struct{ a, b, want State }{
		{"", StateReady, StateReady}, {StateReady, StateDegraded, StateDegraded}, {StateDown, StateReady, StateDown}, {StateDegraded, StateDown, StateDown}, {"", "", ""},
	} {
		if got := c.a.Worse(c.b); got != c.want {
			t.Errorf("%q and %q: %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

func TestStatusCodes(t *testing.T) {
	healthy := func() *fakeTunnel {
		return &fakeTunnel{bound: true, clusters: []ClusterReadiness{{Name: "default", Ready: true, State: StateReady}}}
	}
	with := func(change func(*fakeTunnel)) *fakeTunnel {
		f := healthy()
		change(f)
		return f
	}
	cases := []struct {
		name   string
		source *fakeTunnel
		target string
		want   int
		body   string
	}{
		{"started", healthy(), "/startup", 200, "ok"},
		{"starting", with(func(f *fakeTunnel) { f.bound = false }), "/startup", 503, "not all ports are bound"},
		{"alive", healthy(), "/livez", 200, "ok"},
		{"stuck", with(func(f *fakeTunnel) { f.alive = errors.New("accept loop ended") }), "/livez", 503, "accept loop ended"},
		{"alive in trouble", trouble(), "/livez", 200, "ok"},
		{"ready", healthy(), "/readyz", 200, `"ready": true`},
		{"degraded", with(func(f *fakeTunnel) { f.clusters[0] = degraded() }), "/readyz", 200, `"state": "degraded"`},
		{"draining", with(func(f *fakeTunnel) { f.draining = true }), "/readyz", 503, `"draining": true`},
		{"one of two is not", trouble(), "/readyz", 503, `"code": "access_not_allowed"`},
		{"the other is", trouble(), "/readyz?cluster=other", 200, `"name": "other"`},
		{"this one is not", trouble(), "/readyz?cluster=default", 503, `"hop": "connector"`},
		{"no such cluster", trouble(), "/readyz?cluster=nobody", 404, "no cluster with this name"},
		{"empty name", trouble(), "/readyz?cluster=", 400, "accepts one name"},
		{"two names", trouble(), "/readyz?cluster=a&cluster=b", 400, "accepts one name"},
		{"misspelt", trouble(), "/readyz?clutser=default", 400, "?cluster=NAME"},
		{"one too many", trouble(), "/readyz?cluster=default&x=1", 400, "?cluster=NAME"},
		{"malformed", trouble(), "/readyz?cluster=%zz", 400, "malformed"},
		{"metrics", healthy(), "/metrics", 200, "up 1"},
		{"status", trouble(), "/status", 200, `"advertised": "kafka-1.onprem.invalid:9092"`},
		{"index lists", trouble(), "/", 200, "/readyz "},
		{"index shows", trouble(), "/", 200, "cluster default   DOWN"},
		{"nothing there", healthy(), "/debug/pprof/", 404, "This path does not exist"},
		{"no path tricks", healthy(), "//status", 404, "This path does not exist"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := ask(c.source, true, "GET", c.target)
			if w.Code != c.want || !strings.Contains(w.Body.String(), c.body) {
				t.Errorf("%s answers %d, want %d with %q: %s", c.target, w.Code, c.want, c.body, w.Body)
			}
			for header, want := range map[string]string{"Server": "kafka-tunnel", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
		})
	}
}

func TestOnlyGetAndHead(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUIT"} {
		for _, e := range endpoints() {
			w := ask(trouble(), true, method, e.path)
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s answers %d, Allow %q", method, e.path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	if w := ask(trouble(), true, "HEAD", "/status"); w.Code != 200 {
		t.Errorf("HEAD /status answers %d", w.Code)
	}
}

func TestReadinessAsJSON(t *testing.T) {
	got := ask(trouble(), true, "GET", "/readyz?cluster=default")
	if ct := got.Header().Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type %q", ct)
	}
	want := `{
  "ready": false,
  "state": "down",
  "reasons": [
    {
      "code": "access_not_allowed",
      "hop": "connector",
      "summary": "the Cloud Connector with Location ID LOC1 does not expose kafka-1.corp:9092",
      "detail": "reply 0x02",
      "advice": "ADVICE",
      "target": "kafka-1.corp:9092",
      "age_seconds": 12,
      "since_seconds": 75,
      "count": 42
    }
  ],
  "draining": false,
  "clusters": [
    {
      "name": "default",
      "ready": false,
      "state": "down",
      "reasons": [
        {
          "code": "access_not_allowed",
          "hop": "connector",
          "summary": "the Cloud Connector with Location ID LOC1 does not expose kafka-1.corp:9092",
          "detail": "reply 0x02",
          "advice": "ADVICE",
          "target": "kafka-1.corp:9092",
          "age_seconds": 12,
          "since_seconds": 75,
          "count": 42
        }
      ],
      "code": "access_not_allowed",
      "hop": "connector",
      "summary": "the Cloud Connector with Location ID LOC1 does not expose kafka-1.corp:9092",
      "detail": "reply 0x02",
      "advice": "ADVICE",
      "target": "kafka-1.corp:9092",
      "age_seconds": 12,
      "since_seconds": 75,
      "count": 42
    }
  ]
}
`
	// The catalogue's own tests check the words of the advice.
	advice := connectorAway().Advice
	if diff := cmp.Diff(strings.ReplaceAll(want, "ADVICE", strings.ReplaceAll(advice, `"`, `\"`)), got.Body.String()); diff != "" {
		t.Error(diff)
	}
}

// TestStatusNamesAreStable fails when a field of /status is renamed or removed.
func TestStatusNamesAreStable(t *testing.T) {
	var got map[string]any
	if err := json.Unmarshal(ask(trouble(), true, "GET", "/status").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"version", "pid", "started_at", "uptime_seconds", "bound", "draining", "ready", "connections", "max_connections", "warnings",
		"clusters.name", "clusters.listen", "clusters.advertise", "clusters.bootstrap", "clusters.via", "clusters.proxy",
		"clusters.location_id", "clusters.ready", "clusters.connections", "clusters.bootstrap_connections",
		"clusters.nodes.id", "clusters.nodes.advertised", "clusters.nodes.virtual", "clusters.nodes.local", "clusters.nodes.connections",
		"clusters.last_failure.code", "clusters.last_failure.hop", "clusters.last_failure.summary", "clusters.last_failure.detail",
		"clusters.last_failure.advice", "clusters.last_failure.target", "clusters.last_failure.age_seconds",
		"clusters.last_failure.since_seconds", "clusters.last_failure.count",
		"state", "clusters.state", "clusters.state_seconds", "clusters.reasons.code",
		"clusters.traffic.requests_per_second", "clusters.bootstrap_traffic.resets_last_minute",
		"clusters.nodes.requests_per_second", "clusters.nodes.p50_seconds", "clusters.nodes.p99_seconds", "clusters.nodes.in_flight",
		"clusters.nodes.oldest_request_seconds", "clusters.nodes.resets_last_minute",
		"tokens.source", "tokens.usable_until", "tokens.usable_seconds", "tokens.fetches",
	} {
		var at any = got
		for _, name := range strings.Split(path, ".") {
			if list, ok := at.([]any); ok {
				at = list[0]
			}
			at = at.(map[string]any)[name]
		}
		if at == nil {
			t.Errorf("/status lacks %s", path)
		}
	}
}

func TestEmptyListsAreNotNull(t *testing.T) {
	source := &fakeTunnel{status: Status{Clusters: []ClusterStatus{{Name: "default"}}}}
	for _, target := range []string{"/status", "/readyz"} {
		if body := ask(source, true, "GET", target).Body.String(); strings.Contains(body, "null") {
			t.Errorf("%s has a null: %s", target, body)
		}
	}
	if source.status.Clusters[0].Nodes != nil {
		t.Error("the source's own status was changed")
	}
}

func TestNumbersThatJSONCannotHold(t *testing.T) {
	w := ask(&fakeTunnel{status: Status{UptimeSeconds: math.Inf(1)}}, true, "GET", "/status")
	if w.Code != http.StatusInternalServerError {
		t.Errorf("answers %d: %s", w.Code, w.Body)
	}
}

func TestBeyondLoopbackNoHostsAndNoAdvice(t *testing.T) {
	source := trouble()
	source.alive = errors.New("accept loop of 10.0.0.7:9092 ended")
	served := map[string]int{"/startup": 200, "/livez": 503, "/readyz": 503, "/readyz?cluster=default": 503, "/metrics": 200, "/status": 404, "/": 404, "/x": 404}
	for target, want := range served {
		w := ask(source, false, "GET", target)
		if w.Code != want {
			t.Errorf("%s answers %d, want %d", target, w.Code, want)
		}
		for _, secret := range []string{"corp", "9092", "onprem", "LOC1", "Access Control", "10.0.0.7", "advice", "summary"} {
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("%s tells %q: %s", target, secret, w.Body)
			}
		}
	}
	var got Readiness
	if err := json.Unmarshal(ask(source, false, "GET", "/readyz").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := Failure{Code: failure.AccessNotAllowed, Hop: failure.HopConnector, AgeSeconds: 12, SinceSeconds: 75, Count: 42}
	if diff := cmp.Diff(want, got.Clusters[0].Failure); diff != "" {
		t.Error(diff)
	}
	for _, reasons := range [][]Reason{got.Reasons, got.Clusters[0].Reasons} {
		if diff := cmp.Diff([]Reason{{Failure: want}}, reasons); diff != "" {
			t.Error(diff)
		}
	}
	if source.clusters[0].Advice == "" || source.clusters[0].Reasons[0].Advice == "" {
		t.Error("the source's own readiness was changed")
	}
}

func TestHostHeader(t *testing.T) {
	allowed := []string{"", "127.0.0.1", "127.0.0.1:19099", "localhost", "LocalHost:19099", "[::1]:19099", "[::1]", "::1", "10.1.2.3:80", "[fe80::1%25eth0]:80", "[fe80::1%eth0]"}
	refused := []string{"evil.example", "evil.example:19099", "localhost.evil.example", "127.0.0.1.nip.io:19099", "localhost.", "2130706433", "0x7f.1", "127.1", "[localhost]", ":19099", "localhost:1:2", "[::1", "127.0.0.1:80@evil.example"}
	for _, host := range allowed {
		if !hostAllowed(host) {
			t.Errorf("%q is refused", host)
		}
	}
	for _, host := range refused {
		if hostAllowed(host) {
			t.Errorf("%q is allowed", host)
		}
	}
	s := &Server{Source: trouble()}
	for _, e := range endpoints() {
		r := httptest.NewRequest(http.MethodGet, e.path, nil)
		r.Host = "rebound.example"
		w := httptest.NewRecorder()
		s.handler(true).ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "kafka") {
			t.Errorf("%s for another name answers %d: %s", e.path, w.Code, w.Body)
		}
		// Beyond loopback clients use names.
		w = httptest.NewRecorder()
		if s.handler(false).ServeHTTP(w, r); w.Code == http.StatusForbidden {
			t.Errorf("%s beyond loopback answers 403 to a name", e.path)
		}
	}
}

// TestNoNameIsAllowed: no name that a name server could resolve is accepted.
func TestNoNameIsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.StringMatching(`[a-z0-9-]{1,10}(\.[a-z0-9-]{1,10}){1,3}\.(com|test|internal)(:[0-9]{1,5})?`).Draw(t, "host")
		if hostAllowed(host) {
			t.Fatalf("%q is allowed", host)
		}
	})
}

func TestMetricsAndStatusDoNotAskForReadiness(t *testing.T) {
	source := trouble()
	for _, target := range []string{"/metrics", "/startup", "/livez"} {
		ask(source, true, "GET", target)
	}
	if source.asked != 0 {
		t.Error("a scrape or a liveness probe counts as interest in readiness")
	}
}

func TestBaseURL(t *testing.T) {
	for host, want := range map[string]string{
		"127.0.0.1": "http://127.0.0.1:19099", "localhost": "http://localhost:19099", "::1": "http://[::1]:19099",
		"0.0.0.0": "http://127.0.0.1:19099", "::": "http://[::1]:19099", "": "http://127.0.0.1:19099", "10.0.0.7": "http://10.0.0.7:19099",
	} {
		if got := BaseURL(host, 19099); got != want {
			t.Errorf("%q gives %s, want %s", host, got, want)
		}
	}
}
