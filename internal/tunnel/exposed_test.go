package tunnel

import (
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// TestAProxyThatCannotBeResolved: off the platform the proxy's name cannot be resolved,
// and the advice has commands to paste.
func TestAProxyThatCannotBeResolved(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 1}, "KAFKA_TUNNEL_CONNECTIVITY_PROXY=proxy.cloud.invalid:20004")
	bed.knock(t)
	bed.until(t, "/readyz", func(_ int, body string) bool {
		c := readiness(t, body).Clusters[0]
		return c.Code == failure.ProxyUnresolvable && c.Hop == failure.HopProxy &&
			strings.Contains(c.Advice, "cf ssh APP -N -L 20004:proxy.cloud.invalid:20004") &&
			strings.HasSuffix(c.Advice, "set KAFKA_TUNNEL_CONNECTIVITY_PROXY=localhost:20004.")
	})
}

// TestABrokerThatIsNotExposed: the failure for reply 02 at a broker's address names the
// advertised address, the address that was tried, and both remedies.
func TestABrokerThatIsNotExposed(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 2, VirtualHost: "vkafka-*.cloud.invalid"})
	bed.roundTrip(t, "topic", 10) // then both brokers are known
	if _, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.AccessRemoved, Target: "vkafka-2.cloud.invalid:9092"}); err != nil {
		t.Fatal(err)
	}
	_, body := bed.get(t, "/status")
	var local string
	for _, n := range parsed(t, body).Clusters[0].Nodes {
		if n.ID == 2 {
			local = n.Local
		}
	}
	c := dialRaw(t, strings.Replace(local, "localhost", "127.0.0.1", 1))
	if err := c.ask(); err != nil {
		t.Fatal(err)
	}
	c.awaitEnd(t, "the client", refusalEnd)
	_, body = bed.get(t, "/status")
	f := parsed(t, body).Clusters[0].LastFailure
	if f == nil || f.Code != failure.AccessNotAllowed || f.Target != "vkafka-2.cloud.invalid:9092" {
		t.Fatalf("/status: %s", body)
	}
	for _, part := range []string{
		`the broker advertises kafka-2.onprem.invalid:9092`,
		`KAFKA_TUNNEL_ADDRESS_MAP=[{from: "kafka-2.onprem.invalid:9092", to: "VIRTUAL-HOST:PORT"}]`,
	} {
		if !strings.Contains(f.Detail, part) {
			t.Errorf("the detail lacks %q: %s", part, f.Detail)
		}
	}
	if !strings.Contains(f.Advice, "virtual host vkafka-2.cloud.invalid, virtual port 9092") {
		t.Errorf("the advice: %s", f.Advice)
	}
}
