package admin

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func render(tb testing.TB, s Status) string {
	tb.Helper()
	var b bytes.Buffer
	if err := Render(&b, s); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestRender(t *testing.T) {
	status := trouble().status
	status.Clusters[0].Reasons[0].Advice = "Do this. Then that."
	want := `kafka-tunnel v1.2.3   DOWN   up 1h0m   5 connections of 8000
warning: the file holds a secret

cluster default   DOWN for 1m15s   5 connections
  failing at: connector: the Cloud Connector with Location ID LOC1 does not expose kafka-1.corp:9092 [access_not_allowed] (reply 0x02), 12s ago, 42 times in 1m3s
    Do this. Then that.
  listens      127.0.0.1:9092, [::1]:9092
  bootstrap    kafka-1.corp:9092, kafka-2.corp:9092
  via          connectivity proxy.internal:20004
  location id  LOC1
  NODE       ADVERTISED                   VIRTUAL             LOCAL            CONNECTIONS  REQ/S  P50    P99   IN FLIGHT  OLDEST  RESETS/MIN
  bootstrap  -                            -                   127.0.0.1:9092   1            0.0    -      -     0          -       2
  1          kafka-1.onprem.invalid:9092  kafka-1.corp:9092   localhost:19101  4            12.3   240µs  15ms  3          12s     0
  1001       k.invalid:9092\x1b[2J        k.corp:9092 (LOC2)  -                0            0.0    -      -     0          -       0

cluster other   READY   0 connections
  listens
  bootstrap
  last success  3s ago
  no broker is known yet: the first metadata response names them

token of my-connectivity   usable for 30m0s   2 requests
`
	if diff := cmp.Diff(want, render(t, status)); diff != "" {
		t.Error(diff)
	}
}

func TestRenderStates(t *testing.T) {
	expired := TokenStatus{Source: "s", UsableUntil: trouble().status.Tokens[0].UsableUntil, UsableSeconds: -5, Fetches: 1}
	healed := RecoveredOf(failure.New(failure.AccessNotAllowed, nil).For("kafka-1.corp:9092", "LOC1").With("reply 0x02"), 3*time.Minute, 98*time.Second)
	if healed.Advice != "" {
		t.Errorf("advice for what has healed: %q", healed.Advice)
	}
	failed := TokenStatus{Source: "s", LastFailure: &Failure{Code: "token_timeout", Hop: "token"}}
	for _, c := range []struct {
		name   string
		status Status
		want   string
	}{
		{"nothing", Status{}, "STARTING"},
		{"ready", Status{Bound: true, Ready: true, State: StateReady, Connections: 1}, "READY   up 0s   1 connection\n"},
		{"degraded", Status{Bound: true, Ready: true, State: StateDegraded}, "DEGRADED   up 0s"},
		{"down", Status{Bound: true, State: StateDown}, "DOWN   up 0s"},
		{"ready, of an earlier version", Status{Bound: true, Ready: true}, "READY   up 0s"},
		{"recovered", Status{Clusters: []ClusterStatus{{Ready: true, State: StateReady, LastFailure: &healed}}}, "  last failure: the Cloud Connector with Location ID LOC1 does not expose kafka-1.corp:9092 [access_not_allowed] (reply 0x02), recovered 1m38s ago\n"},
		{"a node", Status{Clusters: []ClusterStatus{{State: StateDegraded, Reasons: []Reason{{Node: "2", Failure: Failure{Code: "broker_unresponsive", Hop: "broker", Summary: "no answer"}}}}}}, "  failing at: broker: node 2: no answer [broker_unresponsive], 0s ago\n"},
		{"many", Status{Clusters: []ClusterStatus{{State: StateDown, Reasons: make([]Reason, 5)}}}, "  and 2 failures more\n"},
		{"not ready", Status{Bound: true}, "NOT READY"},
		{"stopping", Status{Bound: true, Draining: true}, "STOPPING"},
		{"expired", Status{Tokens: []TokenStatus{expired}}, "token of s   EXPIRED   1 request\n"},
		{"no token", Status{Tokens: []TokenStatus{failed}}, "none yet   0 requests\n  last failure: failure at the hop token [token_timeout], 0s ago\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := render(t, c.status); !strings.Contains(got, c.want) {
				t.Errorf("%q lacks %q", got, c.want)
			}
		})
	}
}

func TestAges(t *testing.T) {
	for s, want := range map[float64]string{
		-1: "0s", 0: "0s", 0.42: "400ms", 9.96: "10s", 12: "12s", 200: "3m20s", 3599: "59m59s", 3600: "1h0m", 5*3600 + 12*60: "5h12m", 86400: "1d0h", 100 * 86400: "100d0h",
	} {
		if got := age(s); got != want {
			t.Errorf("%v s: %q, want %q", s, got, want)
		}
	}
}

// TestTerminalIsSafe: whatever a broker advertises, only printable characters and
// line ends reach the terminal, and a node takes one line.
func TestTerminalIsSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		n := NodeStatus{Advertised: text.Draw(t, "advertised"), Virtual: text.Draw(t, "virtual"), Local: text.Draw(t, "local"), LocationID: text.Draw(t, "location")}
		f := Failure{Code: "x", Summary: text.Draw(t, "summary"), Detail: text.Draw(t, "detail"), Advice: text.Draw(t, "advice")}
		got := func() string {
			var b bytes.Buffer
			Render(&b, Status{Clusters: []ClusterStatus{{Nodes: []NodeStatus{n}, LastFailure: &f}}})
			return b.String()
		}()
		for _, r := range got {
			if r != '\n' && !unicode.IsGraphic(r) {
				t.Fatalf("%q reaches the terminal in %q", r, got)
			}
		}
		if lines := strings.Count(got, "\n"); lines > 10 {
			t.Fatalf("%d lines: %q", lines, got)
		}
	})
}

func TestRenderForwards(t *testing.T) {
	failed := connectorAway()
	var got bytes.Buffer
	err := Render(&got, Status{Version: "1", Bound: true, Forwards: []ForwardStatus{
		{Name: "registry", Listen: "localhost:18081", To: "registry.corp:8081", Connections: 2},
		{Name: "connect", Listen: "localhost:18083", To: "connect.corp:8083", LocationID: "LOC\x1b", LastFailure: &failed},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"forward registry   localhost:18081 to registry.corp:8081   2 connections\n",
		"forward connect   localhost:18083 to connect.corp:8083 (LOC\\x1b)   0 connections\n  last failure: ",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q is not in\n%s", want, &got)
		}
	}
}
