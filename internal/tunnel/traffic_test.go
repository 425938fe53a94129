package tunnel

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// TestTrafficIsShown: slow, silent and reset connections show up in /status, at the
// node and at the cluster.
func TestTrafficIsShown(t *testing.T) {
	t.Parallel() // it mostly waits
	const rounds = 10
	for _, test := range []struct {
		name  string
		fault faults.Fault
		good  func(admin.TrafficStatus) bool
	}{
		{"nothing", faults.Fault{}, func(s admin.TrafficStatus) bool {
			return s.RequestsPerSecond > 0 && s.P50Seconds > 0 && s.P50Seconds <= s.P99Seconds && s.InFlight == 0 && s.OldestRequestSeconds == 0 && s.ResetsLastMinute == 0
		}},
		{"latency", faults.Fault{Kind: faults.Latency, Delay: after(200 * time.Millisecond)}, func(s admin.TrafficStatus) bool {
			return s.P50Seconds > 0.17 && s.P99Seconds > 0.17
		}},
		// Requests are sent together, so each waits for the responses to earlier ones.
		{"low bandwidth", faults.Fault{Kind: faults.Bandwidth, Rate: 2000}, func(s admin.TrafficStatus) bool {
			return s.P99Seconds > 0.3
		}},
		{"silence", faults.Fault{Kind: faults.Stall}, func(s admin.TrafficStatus) bool {
			return s.InFlight == 1 && s.OldestRequestSeconds > 0.5
		}},
		{"reset", faults.Fault{Kind: faults.ResetAfter, Bytes: 20}, func(s admin.TrafficStatus) bool {
			return s.ResetsLastMinute == 1
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bed := newTestbed(t, lab.Options{Brokers: 1})
			if test.fault.Kind != "" {
				if _, err := bed.lab.Faults().Add(test.fault); err != nil {
					t.Fatal(err)
				}
			}
			c := dialRaw(t, bed.Address(""))
			for range rounds {
				if c.ask() != nil || test.fault.Kind == faults.Stall {
					break
				}
				if test.fault.Kind == faults.Bandwidth {
					continue
				}
				select {
				case <-c.answers:
				case <-c.ended:
				}
			}
			var s admin.Status
			bed.until(t, "/status", func(_ int, body string) bool {
				s = parsed(t, body)
				cl := s.Clusters[0]
				return cl.BootstrapTraffic != nil && test.good(*cl.BootstrapTraffic) && test.good(*cl.Traffic)
			})
			var text strings.Builder
			if err := admin.Render(&text, s); err != nil || !contains(text.String(), "REQ/S", "RESETS/MIN") {
				t.Errorf("%v\n%s", err, &text)
			}
			if test.fault.Kind == faults.ResetAfter {
				if _, metrics := bed.get(t, "/metrics"); !strings.Contains(metrics, "kafka_tunnel_resets_total 1\n") {
					t.Error("the reset is not counted")
				}
			}
			if test.fault.Kind == faults.Stall {
				if _, metrics := bed.get(t, "/metrics"); !contains(metrics, `kafka_tunnel_in_flight{cluster="default",node="bootstrap"} 1`) || oldest(t, metrics) < s.Clusters[0].Traffic.OldestRequestSeconds {
					t.Errorf("not in the metrics:\n%s", metrics)
				}
			}
		})
	}
}

// oldest returns the age of the oldest request at the bootstrap port.
func oldest(t *testing.T, metrics string) float64 {
	t.Helper()
	_, rest, _ := strings.Cut(metrics, `kafka_tunnel_oldest_request_seconds{cluster="default",node="bootstrap"} `)
	value, _, _ := strings.Cut(rest, "\n")
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Error(err)
	}
	return seconds
}

// TestRecoveredFailures: after a recovery the cluster's failure is shown with the time
// since then and without advice, and the node's failure is not shown any more.
func TestRecoveredFailures(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 1}, "KAFKA_TUNNEL_CONNECTIVITY_HOLD=1m")
	away, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.ConnectorAway})
	if err != nil {
		t.Fatal(err)
	}
	conn := bed.knock(t)
	var s admin.Status
	status := func(_ int, body string) bool {
		s = parsed(t, body)
		f := s.Clusters[0].LastFailure
		return f != nil && f.Code == "connector_away" && (f.RecoveredSeconds != nil) == (s.State == admin.StateReady)
	}
	bed.until(t, "/status", status)
	if c := s.Clusters[0]; c.State != admin.StateDown || len(c.Reasons) != 1 || c.LastFailure.Advice == "" || s.State != admin.StateDown || s.Ready {
		t.Errorf("during the outage: %+v", c)
	}
	if _, metrics := bed.get(t, "/metrics"); !contains(metrics, "kafka_tunnel_gate_shut 1\n", `kafka_tunnel_state{cluster="default",state="down"} 1`, "kafka_tunnel_held_clients 1\n") {
		t.Errorf("during the outage:\n%s", metrics)
	}
	bed.lab.Faults().Remove(away.ID)
	served(t, conn)
	bed.until(t, "/status", status)
	if c := s.Clusters[0]; len(c.Reasons) != 0 || c.LastFailure.Advice != "" || !s.Ready {
		t.Errorf("after the outage: %+v", c)
	}
	var text strings.Builder
	if err := admin.Render(&text, s); err != nil || !contains(text.String(), "cluster default   READY", "[connector_away] (reply 0x03), recovered ") || strings.Contains(text.String(), "look in the cockpit") {
		t.Errorf("%v\n%s", err, &text)
	}
	if _, metrics := bed.get(t, "/metrics"); !contains(metrics, "kafka_tunnel_gate_shut 0\n", `kafka_tunnel_state{cluster="default",state="ready"} 1`, "kafka_tunnel_held_clients 0\n") {
		t.Errorf("after the outage:\n%s", metrics)
	}
}

// TestANodeThatFails: failure and traffic are shown at the node to which they belong.
func TestANodeThatFails(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 3})
	bed.roundTrip(t, "topic", 100)
	_, body := bed.get(t, "/status")
	answers, local := 0.0, ""
	for _, n := range parsed(t, body).Clusters[0].Nodes {
		answers += n.RequestsPerSecond
		if n.ID == 3 {
			local = strings.Replace(n.Local, "localhost", "127.0.0.1", 1)
		}
		if n.LastFailure != nil {
			t.Errorf("node %d: %+v", n.ID, n.LastFailure)
		}
	}
	if answers == 0 {
		t.Errorf("no node has answered: %s", body)
	}
	down, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.BrokerDown, Target: "3"})
	if err != nil {
		t.Fatal(err)
	}
	c := dialRaw(t, local)
	_ = c.ask()
	c.awaitEnd(t, "a client of the broker that is down", endRST)
	shown := func(want bool) func(int, string) bool {
		return func(_ int, body string) bool {
			for _, n := range parsed(t, body).Clusters[0].Nodes {
				if (n.LastFailure != nil) != (want && n.ID == 3) {
					return false
				}
			}
			return true
		}
	}
	bed.until(t, "/status", shown(true))
	bed.lab.Faults().Remove(down.ID)
	bed.until(t, "/status", func(int, string) bool { // the address is tried again after a pause
		again := dialRaw(t, local)
		if again.ask() != nil {
			return false
		}
		select {
		case <-again.answers:
			return true
		case <-again.ended:
			return false
		}
	})
	bed.until(t, "/status", shown(false))
}
