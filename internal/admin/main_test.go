package admin

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeTunnel is a Source with configured results.
type fakeTunnel struct {
	mu       sync.Mutex
	bound    bool
	alive    error
	draining bool
	clusters []ClusterReadiness
	status   Status
	asked    int // calls of Ready
}

func (f *fakeTunnel) Bound() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bound
}

func (f *fakeTunnel) Alive() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alive
}

func (f *fakeTunnel) Ready(_ context.Context, cluster string) Readiness {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	r := Readiness{Ready: !f.draining, Draining: f.draining}
	for _, c := range f.clusters {
		if cluster == "" || cluster == c.Name {
			r.Clusters = append(r.Clusters, c)
			r.Ready, r.State = r.Ready && c.Ready, r.State.Worse(c.State)
			r.Reasons = append(r.Reasons, c.Reasons...)
		}
	}
	return r
}

func (f *fakeTunnel) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// connectorAway is a failure with a host in its summary and in its advice.
func connectorAway() Failure {
	f := failure.New(failure.AccessNotAllowed, errors.New("reply 02")).For("kafka-1.corp:9092", "LOC1").With("reply 0x02")
	shown := FailureOf(f, 12*time.Second)
	shown.Count, shown.SinceSeconds = 42, 75
	return shown
}

func seconds(s float64) *float64 { return &s }

// trouble is a tunnel with one failing cluster and one that works.
func trouble() *fakeTunnel {
	last := connectorAway()
	until := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	return &fakeTunnel{
		bound: true,
		clusters: []ClusterReadiness{
			{Name: "default", State: StateDown, Failure: last, Reasons: []Reason{{Failure: last}}},
			{Name: "other", Ready: true, State: StateReady, EvidenceAgeSeconds: seconds(3)},
		},
		status: Status{
			Version: "v1.2.3", PID: 42, StartedAt: until.Add(-time.Hour), UptimeSeconds: 3600.5,
			Bound: true, State: StateDown, Connections: 5, MaxConnections: 8000,
			Clusters: []ClusterStatus{
				{
					Name: "default", Listen: []string{"127.0.0.1:9092", "[::1]:9092"}, Advertise: "localhost",
					Bootstrap: []string{"kafka-1.corp:9092", "kafka-2.corp:9092"}, Via: "connectivity", Proxy: "proxy.internal:20004",
					LocationID: "LOC1", Connections: 5, BootstrapConnections: 1,
					State: StateDown, StateSeconds: 75, Reasons: []Reason{{Failure: last}},
					Traffic: &TrafficStatus{}, BootstrapTraffic: &TrafficStatus{ResetsLastMinute: 2},
					Nodes: []NodeStatus{
						{ID: 1, Advertised: "kafka-1.onprem.invalid:9092", Virtual: "kafka-1.corp:9092", Local: "localhost:19101", Connections: 4, TrafficStatus: TrafficStatus{
							RequestsPerSecond: 12.34, P50Seconds: 0.00024, P99Seconds: 0.0151, InFlight: 3, OldestRequestSeconds: 12.2,
						}},
						{ID: 1001, Advertised: "k.invalid:9092\x1b[2J", Virtual: "k.corp:9092", LocationID: "LOC2"},
					},
					LastFailure: &last,
				},
				{Name: "other", Ready: true, State: StateReady, EvidenceAgeSeconds: seconds(3)},
			},
			Tokens:   []TokenStatus{{Source: "my-connectivity", UsableUntil: &until, UsableSeconds: 1800, Fetches: 2}},
			Warnings: []string{"the file holds a secret"},
		},
	}
}

// serve runs a server on a loopback port until the test ends, and returns its
// base URL.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(t.Context(), l) }()
	t.Cleanup(func() { // the test's context has ended
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}
