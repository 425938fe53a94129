package metrics

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// The series budget of R24. Each series costs the platform money.
const (
	idleBudget = 150
	busyBudget = 600
)

// busyAPIs are the APIs that all kinds of clients of one cluster use together:
// Java producers with transactions, consumers of the old and the new group
// protocol, share groups, Streams and an admin client that creates topics and
// watches groups. SASL is the clients' own.
var busyAPIs = []string{
	"Produce", "Fetch", "ListOffsets", "Metadata", "OffsetCommit", "OffsetFetch", "FindCoordinator",
	"JoinGroup", "Heartbeat", "LeaveGroup", "SyncGroup", "DescribeGroups", "ListGroups",
	"SaslHandshake", "ApiVersions", "CreateTopics", "DeleteTopics", "DeleteRecords",
	"InitProducerId", "OffsetForLeaderEpoch", "AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn", "TxnOffsetCommit",
	"DescribeConfigs", "SaslAuthenticate", "CreatePartitions", "DeleteGroups", "IncrementalAlterConfigs",
	"DescribeCluster", "ConsumerGroupHeartbeat", "ConsumerGroupDescribe",
	"GetTelemetrySubscriptions", "PushTelemetry", "DescribeTopicPartitions",
	"ShareGroupHeartbeat", "ShareFetch", "ShareAcknowledge", "StreamsGroupHeartbeat", unknownAPI,
}

// rewrittenAPIs are those of which addresses are replaced, Produce and the rest
// of the seven included.
var rewrittenAPIs = map[string]bool{
	"Metadata": true, "FindCoordinator": true, "DescribeCluster": true, "Produce": true,
	"Fetch": true, "ShareFetch": true, "ShareAcknowledge": true,
}

// idle returns the metrics of a tunnel without traffic.
func idle() *Metrics {
	m := New()
	m.Cluster("default")
	m.HeldFunc(func() (int, int) { return 1, 2 })
	m.LiveFunc("default", live("ready"))
	m.TokenFetch("my-connectivity", "ok")
	m.TokenExpiry("my-connectivity", time.Unix(1_800_000_000, 0))
	m.CertificateExpiry("my-connectivity", time.Unix(1_800_000_000, 0))
	m.DroppedFunc(func() uint64 { return 1 })
	return m
}

// busy makes what a tunnel has after weeks with a busy cluster of six brokers and
// a few outages.
func busy() *Metrics {
	m := idle()
	c := m.Cluster("default")
	for _, node := range []string{bootstrapNode, "1", "2", "3", "4", "5", "6"} {
		for _, result := range results.values {
			n := c.Node(node)
			n.Opened()
			n.Closed(Result(result))
		}
	}
	for key, name := range busyAPIs {
		a := c.API(int16(key), name)
		a.Request()
		a.Response(time.Millisecond)
		if rewrittenAPIs[name] {
			a.Rewritten(6)
		}
	}
	c.API(3, "Metadata").Hidden(1)
	c.API(6, "FindCoordinator").Hidden(1)
	for p := range phaseNames {
		c.ConnectPhase(Phase(p), time.Millisecond)
	}
	c.Hold(time.Millisecond)
	m.LiveFunc("default", live("degraded", bootstrapNode, "1", "2", "3", "4", "5", "6"))
	for _, code := range []failure.Code{
		failure.TokenUnreachable, failure.TokenTimeout, failure.TokenStatus, failure.TokenRateLimited,
		failure.ProxyUnreachable, failure.ProxySilent, failure.ProxyAuthRefused, failure.ConnectorAway,
		failure.AccessNotAllowed, failure.BrokerUnreachable, failure.BrokerReset, failure.ClientGone,
	} {
		m.Failure(code)
		m.TokenFetch("my-connectivity", string(code))
	}
	return m
}

func TestSeriesBudget(t *testing.T) {
	for _, c := range []struct {
		name   string
		m      *Metrics
		budget int
	}{{"idle", idle(), idleBudget}, {"busy cluster of six", busy(), busyBudget}} {
		all := series(expose(c.m))
		families := map[string]int{}
		for _, line := range all {
			name, _, _ := strings.Cut(line, " ")
			name, _, _ = strings.Cut(name, "{")
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, suffix)
			}
			if !strings.HasPrefix(name, namespace) {
				name, _, _ = strings.Cut(name, "_")
			}
			families[name]++
		}
		t.Logf("%s: %d series of at most %d", c.name, len(all), c.budget)
		if len(all) > c.budget {
			t.Errorf("%s: %d series, at most %d: %v", c.name, len(all), c.budget, families)
		}
		t.Log(c.name, families)
	}
}

// TestMoreClustersCostWhatTheyUse: a second cluster costs a few series until it is
// used.
func TestMoreClustersCostWhatTheyUse(t *testing.T) {
	m := idle()
	before := len(series(expose(m)))
	for i := range 10 {
		m.Cluster("c" + strconv.Itoa(i))
		m.LiveFunc("c"+strconv.Itoa(i), live("ready"))
	}
	if each := (len(series(expose(m))) - before) / 10; each > 8 {
		t.Errorf("an unused cluster costs %d series", each)
	}
}
