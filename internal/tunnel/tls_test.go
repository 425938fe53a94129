package tunnel

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// TestTLSToTheBrokers: clients use plaintext and the tunnel uses TLS to the brokers,
// whose certificates are for their advertised names.
func TestTLSToTheBrokers(t *testing.T) {
	for _, tt := range []struct {
		name string
		lab  lab.Options
	}{
		{"virtual hosts as advertised", lab.Options{Brokers: 3}},
		{"virtual hosts of another pattern", lab.Options{Brokers: 3, VirtualHost: "vkafka-*.cloud.invalid"}},
		{"advertised as localhost", lab.Options{Brokers: 1, Advertise: lab.AdvertiseLocalhost}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.lab.TLS = true
			bed := newTestbed(t, tt.lab)
			// Before any client connects, the readiness probe uses TLS too.
			bed.until(t, "/readyz", func(status int, _ string) bool { return status == http.StatusOK })
			s := &sniffer{}
			bed.roundTrip(t, "topic", 100, kgo.Dialer(s.dial))
			s.check(t, bed.lab.RealNames())
			bed.bulk(t)
			if _, body := bed.get(t, "/status"); !parsed(t, body).Clusters[0].TLS {
				t.Errorf("/status does not show that TLS is on: %s", body)
			}
			if n := bed.counter(t, "failures_total", "code"); len(n) > 0 {
				t.Errorf("failures: %v", n)
			}
			if _, metrics := bed.get(t, "/metrics"); !strings.Contains(metrics, `kafka_tunnel_connect_seconds_count{cluster="default",phase="tls"}`) {
				t.Error("there is no phase tls in the metrics")
			}
		})
	}
}

// bulk produces and consumes records of a megabyte.
func (bed *testbed) bulk(t *testing.T) {
	t.Helper()
	const n = 20
	cl := bed.client(t, kgo.ConsumeTopics("bulk"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	want := map[string]bool{}
	for i := range n {
		value := bytes.Repeat([]byte(fmt.Sprintf("%09d,", i)), 90_000)
		want[string(value)] = true
		cl.Produce(t.Context(), &kgo.Record{Topic: "bulk", Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(want) > 0 {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !want[string(r.Value)] {
				t.Errorf("received a record of %d bytes that was not sent", len(r.Value))
			}
			delete(want, string(r.Value))
		})
	}
}

// TestOneServerNameForAll: tls.server_name lets the tunnel verify brokers that share
// one certificate, which is for none of their names.
func TestOneServerNameForAll(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 3, TLS: true, Faults: []faults.Fault{{Kind: faults.BrokerTLS, Mode: faults.ModeWrongName}}},
		"KAFKA_TUNNEL_TLS_SERVER_NAME=another.onprem.invalid")
	bed.roundTrip(t, "topic", 100)
	if _, body := bed.get(t, "/status"); parsed(t, body).Clusters[0].Nodes[0].ServerName != "another.onprem.invalid" {
		t.Errorf("/status: %s", body)
	}
}

// TestTheAdviceForAWrongName: the text in the failure can be pasted into the
// configuration and works.
func TestTheAdviceForAWrongName(t *testing.T) {
	o := lab.Options{Brokers: 1, TLS: true, Faults: []faults.Fault{{Kind: faults.BrokerTLS, Mode: faults.ModeWrongName}}}
	bed := newTestbed(t, o)
	bed.knock(t)
	var detail string
	bed.until(t, "/readyz", func(_ int, body string) bool {
		c := readiness(t, body).Clusters[0]
		detail = c.Detail
		return c.Code == failure.TLSWrongName
	})
	const want = "certificate for another.onprem.invalid, *.another.invalid, not for kafka-1.onprem.invalid; to accept it: KAFKA_TUNNEL_TLS_SERVER_NAME=another.onprem.invalid"
	if detail != want {
		t.Fatalf("the detail is %q, want %q", detail, want)
	}
	_, line, _ := strings.Cut(detail, "to accept it: ")
	newTestbed(t, o, line).roundTrip(t, "topic", 1)
}

// TestBrokersThatRequireTLS: without tls.enabled the tunnel does not use TLS by itself,
// and reports that the brokers expect it.
func TestBrokersThatRequireTLS(t *testing.T) {
	bed := newTestbed(t, lab.Options{Brokers: 1, TLS: true}, "KAFKA_TUNNEL_TLS_ENABLED=false", "KAFKA_TUNNEL_TLS_CA_FILE=")
	c := dialRaw(t, bed.Address(""))
	if err := c.ask(); err != nil {
		t.Fatal(err)
	}
	c.awaitEnd(t, "the client", endFIN)
	await(t, "the failure", func() bool { return bed.counter(t, "failures_total", "code")[string(failure.BrokerExpectsTLS)] == 1 }, nil)
	// The connection was granted, and still no broker can be used.
	bed.until(t, "/readyz", func(status int, body string) bool {
		c := readiness(t, body).Clusters[0]
		return status == http.StatusServiceUnavailable && c.State == admin.StateDown && c.Code == failure.BrokerExpectsTLS
	})
}
