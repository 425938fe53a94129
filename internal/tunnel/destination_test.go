package tunnel

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// withDestination starts a tunnel whose cluster names a destination. The destination is
// changed before the tunnel reads it, and it is read often.
func withDestination(t *testing.T, o lab.Options, change map[string]string) *testbed {
	t.Helper()
	o.Destination = true
	return newTestbedWith(t, o, func(l *lab.Landscape) []string {
		if change != nil {
			d := l.Destinations().Get(lab.DestinationName)
			for key, value := range change {
				d[key] = value
			}
			l.Destinations().Set(lab.DestinationName, d)
		}
		return append(l.Env(), "KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_BROKER_PORTS=0")
	}, func(o *Options) { o.DestinationEvery = 20 * time.Millisecond })
}

// TestADestinationThatChanges: new connections after the refresh use the new value,
// also at brokers' ports, and open connections stay.
func TestADestinationThatChanges(t *testing.T) {
	bed := withDestination(t, lab.Options{Brokers: 1}, nil)
	bed.roundTrip(t, "topic", 10) // then the broker is known
	open := dialRaw(t, bed.Address(""))
	ask := func(c *rawClient, when string) {
		t.Helper()
		if err := c.ask(); err != nil {
			t.Fatal(err)
		}
		c.awaitAnswer(t, when)
	}
	ask(open, "before")

	const old, other = "kafka-1.onprem.invalid:9092", "other.onprem.invalid:9092"
	if _, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.AccessRemoved, Target: old}); err != nil {
		t.Fatal(err)
	}
	if err := bed.lab.Connector().Allow(connector.Entry{Host: "other.onprem.invalid", First: 9092, Last: 9092, Internal: "kafka-1.onprem.invalid", InternalFirst: 9092}); err != nil {
		t.Fatal(err)
	}
	bed.lab.Destinations().Set(lab.DestinationName, map[string]string{
		"Address": "tcp://" + other, "kafka-tunnel.address_map": `[{from: "` + old + `", to: "` + other + `"}]`,
	})
	bed.until(t, "/status", func(_ int, body string) bool {
		c := parsed(t, body).Clusters[0]
		return len(c.Bootstrap) == 1 && c.Bootstrap[0] == other
	})
	_, body := bed.get(t, "/status")
	node := parsed(t, body).Clusters[0].Nodes[0]
	if node.Virtual != other || node.Advertised != old {
		t.Errorf("the node: %+v", node)
	}
	ask(dialRaw(t, bed.Address("")), "a new one at the bootstrap port")
	ask(dialRaw(t, strings.Replace(node.Local, "localhost", "127.0.0.1", 1)), "a new one at the broker's port")
	ask(open, "the old one")
	bed.roundTrip(t, "another", 10)
	if !strings.Contains(bed.log.String(), "the destination has changed; the tunnel uses the new values") {
		t.Error("the change is not logged")
	}
}

// TestTheLastGoodValue: the last good value stays in use when the destination is
// deleted, invalid or cannot be read, and an operator sees that.
func TestTheLastGoodValue(t *testing.T) {
	for name, test := range map[string]struct {
		fault  faults.Fault
		change map[string]string
		code   failure.Code
	}{
		"deleted":    {code: failure.DestinationNotFound},
		"wrong type": {change: map[string]string{"Type": "HTTP", "Address": "a:1"}, code: failure.DestinationWrongType},
		"a property": {change: map[string]string{"Address": "kafka"}, code: failure.DestinationProperty},
		"outage":     {fault: faults.Fault{Kind: faults.DestinationDown}, code: failure.DestinationUnreachable},
		"its status": {fault: faults.Fault{Kind: faults.DestinationStatus, Status: 503}, code: failure.DestinationStatus},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := withDestination(t, lab.Options{Brokers: 1}, nil)
			bed.roundTrip(t, "topic", 1)
			if test.fault.Kind != "" {
				if _, err := bed.lab.Faults().Add(test.fault); err != nil {
					t.Fatal(err)
				}
			} else {
				bed.lab.Destinations().Set(lab.DestinationName, test.change)
			}
			bed.until(t, "/status", func(_ int, body string) bool {
				d := parsed(t, body).Clusters[0].Destination
				return d.LastFailure != nil && d.LastFailure.Code == test.code && d.ReadAgeSeconds != nil
			})
			bed.roundTrip(t, "other", 1)
			status, body := bed.get(t, "/readyz")
			if w := readiness(t, body).Warnings; status != http.StatusOK || len(w) != 1 || !contains(w[0], "uses the values of its destination from", string(test.code)) {
				t.Errorf("/readyz: %d %s", status, body)
			}
			if bed.counter(t, "failures_total", "code")[string(test.code)] == 0 {
				t.Error("the failure is not counted")
			}
		})
	}
}

// TestADestinationThatCannotBeUsed: the ports are bound, clients are held, and /readyz
// gives the reason. After a correction the destination is used.
func TestADestinationThatCannotBeUsed(t *testing.T) {
	for name, test := range map[string]struct {
		change map[string]string
		code   failure.Code
		detail string
	}{
		"Type":      {map[string]string{"Type": "RFC"}, failure.DestinationWrongType, `its Type is "RFC"`},
		"ProxyType": {map[string]string{"ProxyType": "Internet"}, failure.DestinationWrongType, `its ProxyType is "Internet"`},
		"Address":   {map[string]string{"Address": "kafka"}, failure.DestinationProperty, "Address: expected HOST:PORT"},
		"property":  {map[string]string{"kafka-tunnel.tenent": "x"}, failure.DestinationProperty, "kafka-tunnel.tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := withDestination(t, lab.Options{Brokers: 1}, test.change)
			c := dialRaw(t, bed.Address(""))
			if err := c.ask(); err != nil {
				t.Fatal(err)
			}
			bed.until(t, "/readyz", func(status int, body string) bool {
				r := readiness(t, body).Clusters[0]
				return status == http.StatusServiceUnavailable && r.Code == test.code && r.Hop == failure.HopDestination &&
					strings.Contains(r.Detail, test.detail) && strings.Contains(r.Advice, "Connectivity > Destinations")
			})
			if status, _ := bed.get(t, "/startup"); status != http.StatusOK {
				t.Errorf("/startup: %d", status)
			}
			bed.lab.Destinations().Set(lab.DestinationName, map[string]string{"Address": bed.lab.Bootstrap()[0]})
			c.awaitAnswer(t, "the client that was held")
		})
	}
}

// TestTheSubscribersDestination: the destination is looked up with the subscriber's
// token first, and found before one of the same name in the app's own subaccount.
func TestTheSubscribersDestination(t *testing.T) {
	bed := newTestbedWith(t, lab.Options{Brokers: 1, Subscriber: true, Destination: true}, func(l *lab.Landscape) []string {
		right := l.Destinations().Get(lab.DestinationName)
		l.Destinations().SetFor(l.Subscriber(), lab.DestinationName, map[string]string{"Address": right["Address"]})
		l.Destinations().Set(lab.DestinationName, map[string]string{"Address": "wrong.invalid:1"})
		return append(l.Env(), "KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_BROKER_PORTS=0", "KAFKA_TUNNEL_TENANT="+l.Subscriber())
	})
	bed.roundTrip(t, "topic", 1)
}

// TestOneMapForTwoConnectors: each broker is reached through its own Cloud Connector.
// The test asks every broker's port, because a client that produces and consumes may
// have all its records on one broker and end before it connects to the others.
func TestOneMapForTwoConnectors(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 4, LocationID: "FIRST", Second: "SECOND"})
	bed.roundTrip(t, "topic", 200)
	_, body := bed.get(t, "/status")
	for _, n := range parsed(t, body).Clusters[0].Nodes {
		own := map[bool]string{false: "FIRST", true: "SECOND"}[n.ID%2 == 0]
		if want := strings.TrimPrefix(own, "FIRST"); n.LocationID != want { // the cluster's own Location ID is not repeated
			t.Errorf("%+v, want %q", n, want)
		}
		before := bed.links(own)
		c := dialRaw(t, strings.Replace(n.Local, "localhost", "127.0.0.1", 1))
		if err := c.ask(); err != nil {
			t.Fatal(err)
		}
		c.awaitAnswer(t, n.Local)
		if bed.links(own) == before {
			t.Errorf("node %d was reached, but not through %s", n.ID, own)
		}
	}
}

// links returns how many connections the Cloud Connector with this Location ID has opened.
func (bed *testbed) links(locationID string) int64 {
	for _, c := range bed.lab.State().Connectors {
		if c.LocationID == locationID {
			return c.Links
		}
	}
	return 0
}
