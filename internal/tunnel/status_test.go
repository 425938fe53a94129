package tunnel

import (
	"encoding/json"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// parsed returns the parsed answer of /status.
func parsed(t *testing.T, body string) (s admin.Status) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return s
}

// knock opens a connection to the bootstrap port and sends a probe's request.
func (bed *testbed) knock(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", bed.Address(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write(apiVersionsV0[:]); err != nil {
		t.Fatal(err)
	}
	return conn
}

// served waits for the first byte of an answer.
func served(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatalf("no answer: %v", err)
	}
}

// TestStatusOfAnOutage: /status shows which route is shut, the failure that shut it and
// how many clients it holds, and the log names the same connection.
func TestStatusOfAnOutage(t *testing.T) {
	bed := newTestbed(t, lab.Options{LocationID: "PLANT"}, "KAFKA_TUNNEL_CONNECTIVITY_HOLD=1m")
	away, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.ConnectorAway})
	if err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	for range 3 {
		held = append(held, bed.knock(t))
	}
	// A request for /status may start a probe, and the failure is logged for the attempt that
	// meets it first.
	await(t, "the failure of a client", func() bool { return strings.Contains(bed.log.String(), "code=connector_away") }, nil)
	var s admin.Status
	bed.until(t, "/status", func(_ int, body string) bool {
		s = parsed(t, body)
		c := s.Clusters[0]
		return len(c.Gates) == 1 && c.Gates[0].Shut && c.Gates[0].Waiting >= 3
	})
	g := s.Clusters[0].Gates[0]
	if g.Waiting > 4 { // and the probe that this request started
		t.Errorf("%d wait, of 3 clients", g.Waiting)
	}
	if e := s.Clusters[0].EvidenceAgeSeconds; e != nil {
		t.Errorf("evidence of age %v, want none", *e)
	}
	if g.LocationID != "PLANT" || g.Failure == nil || g.Failure.Code != failure.ConnectorAway || g.ShutSeconds < 0 || g.NextAttemptSeconds > 10 {
		t.Errorf("gate %+v, failure %+v", g, g.Failure)
	}
	if len(s.OpenConnections) != 3 || !slices.IsSortedFunc(s.OpenConnections, func(a, b admin.ConnectionStatus) int { return int(b.Conn) - int(a.Conn) }) {
		t.Errorf("open connections %+v", s.OpenConnections)
	}
	var numbers []string
	for _, c := range s.OpenConnections {
		if c.Target != "" || c.Node != "bootstrap" || c.Cluster != "default" || c.Client == "" {
			t.Errorf("connection %+v", c)
		}
		numbers = append(numbers, string(rune('0'+c.Conn)))
	}
	line := regexp.MustCompile(`code=connector_away .*conn=(\d+)`).FindStringSubmatch(bed.log.String())
	if len(line) < 2 || !slices.Contains(numbers, line[1]) {
		t.Errorf("the failure's line %q names none of the connections %v", line, numbers)
	}
	var text strings.Builder
	if err := admin.Render(&text, s); err != nil || !strings.Contains(text.String(), "no new connections through PLANT for") {
		t.Errorf("as text: %v\n%s", err, &text)
	}
	text.Reset()
	if err := admin.RenderConnections(&text, s); err != nil || strings.Count(text.String(), "held") != 3 {
		t.Errorf("as text: %v\n%s", err, &text)
	}

	bed.lab.Faults().Remove(away.ID)
	for _, conn := range held {
		served(t, conn)
	}
	_, body := bed.get(t, "/status")
	s = parsed(t, body)
	if g := s.Clusters[0].Gates[0]; g.Shut || g.Waiting != 0 || g.Failure != nil {
		t.Errorf("the gate after the outage: %+v", g)
	}
	for _, c := range s.OpenConnections {
		if !strings.Contains(c.Target, ":") {
			t.Errorf("connection %+v has no target", c)
		}
	}
}

// TestStatusOfAFailingAddress: the route works and one address fails.
func TestStatusOfAFailingAddress(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 1})
	if _, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.ConnectReply, Reply: 4}); err != nil {
		t.Fatal(err)
	}
	conn := bed.knock(t)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Fatal("answered")
	}
	_, body := bed.get(t, "/status")
	c := parsed(t, body).Clusters[0]
	if len(c.Paused) != 1 || c.Paused[0].Failure.Code != failure.BrokerUnreachable || !strings.Contains(c.Paused[0].Target, ":9092") || c.Gates[0].Shut {
		t.Errorf("paused %+v, gates %+v", c.Paused, c.Gates)
	}
	var text strings.Builder
	if err := admin.Render(&text, parsed(t, body)); err != nil || !strings.Contains(text.String(), "has been failing for") {
		t.Errorf("as text: %v\n%s", err, &text)
	}
}

func TestStatusNamesCappedVersions(t *testing.T) {
	var c caps
	c.note([]kafka.Cap{{Key: kafka.KeyProduce, Broker: 99, Offered: 13}, {Key: kafka.KeyDescribeCluster, Broker: 9, Offered: -1}})
	c.note(nil) // the response of another broker has none
	got := c.status()
	want := []admin.CappedStatus{{API: "Produce", Broker: 99, Offered: 13}, {API: "DescribeCluster", Broker: 9, Offered: -1}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	var text strings.Builder
	s := admin.Status{Clusters: []admin.ClusterStatus{{Capped: got}}}
	if err := admin.Render(&text, s); err != nil || !strings.Contains(text.String(), "Produce: the brokers support version 99, clients are offered up to 13") ||
		!strings.Contains(text.String(), "offered none") {
		t.Errorf("as text: %v\n%s", err, &text)
	}
}

func TestOnlyTheNewestConnectionsAreShown(t *testing.T) {
	var c connections
	for range 3 * shownConnections {
		c.add(&entry{})
	}
	got := c.status(time.Now())
	if len(got) != shownConnections || got[0].Conn != 3*shownConnections || got[shownConnections-1].Conn != 2*shownConnections+1 {
		t.Errorf("%d are shown, from %d", len(got), got[0].Conn)
	}
}
