package tunnel

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// TestAForwardSharesTheGateOfTheCluster: clients of a forward and of a cluster behind
// the same Cloud Connector wait for the same attempt.
func TestAForwardSharesTheGateOfTheCluster(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 1, Registry: true})
	first := bed.knock(t)
	served(t, first) // the cluster is ready: its own probes do not find the outage
	_ = first.Close()
	away, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.ConnectorAway})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", bed.Forward("registry"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	bed.until(t, "/status", func(_ int, body string) bool {
		g := parsed(t, body).Clusters[0].Gates
		return len(g) == 1 && g[0].Shut && g[0].Failure != nil // no client of the cluster has connected
	})
	bed.lab.Faults().Remove(away.ID)
	if status, _, err := httpGet(t.Context(), "http://"+bed.Forward("registry")+"/subjects"); err != nil || status != http.StatusOK {
		t.Errorf("%d %v", status, err)
	}
	bed.until(t, "/status", func(_ int, body string) bool { return !parsed(t, body).Clusters[0].Gates[0].Shut })
}

// TestAChangedDestinationKeepsTheGate: the gate that the cluster used before the change
// is shut for the new route too.
func TestAChangedDestinationKeepsTheGate(t *testing.T) {
	bed := withDestination(t, lab.Options{Brokers: 1}, nil)
	bed.roundTrip(t, "topic", 1)
	away, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.ConnectorAway})
	if err != nil {
		t.Fatal(err)
	}
	defer bed.lab.Faults().Remove(away.ID) // closing the client sends a last request to a broker
	bed.knock(t)
	shut := func(body string) bool {
		g := parsed(t, body).Clusters[0].Gates
		return len(g) == 1 && g[0].Shut
	}
	bed.until(t, "/status", func(_ int, body string) bool { return shut(body) })
	bed.lab.Destinations().Set(lab.DestinationName, map[string]string{
		"Address": "tcp://kafka-1.onprem.invalid:9092", "kafka-tunnel.address_map": `[{from: "kafka-9.onprem.invalid:9092", to: "kafka-1.onprem.invalid:9092"}]`,
	})
	await(t, "the change", func() bool {
		return strings.Contains(bed.log.String(), "the destination has changed; the tunnel uses the new values")
	}, nil)
	if _, body := bed.get(t, "/status"); !shut(body) {
		t.Errorf("the gate of the new route is not shut: %s", body)
	}
}
