package tunnel

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// TestForward: HTTP passes with the same token, proxy and Cloud Connector as Kafka.
func TestForward(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 1, Registry: true})
	address := bed.Forward("registry")
	status, body, err := httpGet(t.Context(), "http://"+address+"/subjects")
	if err != nil || status != http.StatusOK || !strings.Contains(body, "lab-value") {
		t.Fatalf("%d %q %v", status, body, err)
	}
	_, body = bed.get(t, "/status")
	f := parsed(t, body).Forwards
	if len(f) != 1 || f[0].Name != "registry" || f[0].To != "registry.onprem.invalid:8081" || f[0].Listen != address || f[0].LastFailure != nil {
		t.Errorf("/status: %s", body)
	}
	await(t, "the metrics", func() bool {
		_, text := bed.get(t, "/metrics")
		return strings.Contains(text, `kafka_tunnel_connections_total{cluster="registry",node="forward",result="ok"} 1`) &&
			strings.Contains(text, `kafka_tunnel_bytes_total{cluster="registry",direction="to_client"}`)
	}, nil)
	if v := bed.lab.State().Violations; len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
}

// TestFailuresOfAForward: failures of a forward are reported in the same places as those
// of a cluster.
func TestFailuresOfAForward(t *testing.T) {
	t.Parallel() // it mostly waits
	bed := newTestbed(t, lab.Options{Brokers: 1, Registry: true})
	added, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.AccessRemoved, Target: "registry.onprem.invalid:8081"})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", bed.Forward("registry"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the client received bytes")
	}
	_, body := bed.get(t, "/status")
	if f := parsed(t, body).Forwards[0].LastFailure; f == nil || f.Code != failure.AccessNotAllowed || !strings.Contains(f.Advice, "virtual host registry.onprem.invalid, virtual port 8081") {
		t.Errorf("/status: %s", body)
	}
	if !contains(bed.log.String(), "code=access_not_allowed", "cluster=registry", "conn=") {
		t.Error("the failure is not logged")
	}
	bed.roundTrip(t, "topic", 1) // the brokers are not affected
	bed.lab.Faults().Remove(added.ID)
	await(t, "the recovery", func() bool {
		status, _, err := httpGet(t.Context(), "http://"+bed.Forward("registry")+"/subjects")
		return err == nil && status == http.StatusOK
	}, nil)
}

// TestDrainCountsForwards: an open forward keeps the tunnel running until the drain's
// timeout.
func TestDrainCountsForwards(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 1, Registry: true}, "KAFKA_TUNNEL_DRAIN_TIMEOUT=10m", "KAFKA_TUNNEL_DRAIN_QUIET=100ms")
	conn, err := net.Dial("tcp", bed.Forward("registry"))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the connection", func() bool { return bed.Status().Connections == 1 }, nil)
	drained := make(chan struct{})
	go func() {
		bed.Drain(t.Context())
		close(drained)
	}()
	await(t, "the drain", func() bool { return bed.Status().Draining }, nil)
	if status, _, err := httpGet(t.Context(), "http://"+bed.Forward("registry")+"/subjects"); err != nil || status != http.StatusOK {
		t.Errorf("while it drains: %d %v", status, err)
	}
	select {
	case <-drained:
		t.Error("the drain ended while a connection was open")
	default:
	}
	_ = conn.Close()
	<-drained
}
