package tunnel

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// TestNoSendFails: an outage of an upstream service for some seconds delays a producer
// with default settings, and it loses no record.
func TestNoSendFails(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, outage := range map[string]struct {
		faults []faults.Fault
		lab    lab.Options
	}{
		"the Cloud Connector switches over":         {faults: []faults.Fault{{Kind: faults.ConnectorFailover, For: after(5 * time.Second)}}},
		"one of two Cloud Connectors switches over": {lab: lab.Options{LocationID: "FIRST", Second: "SECOND"}, faults: []faults.Fault{{Kind: faults.ConnectorFailover, LocationID: new("SECOND"), For: after(5 * time.Second)}}},
		"the destination service is away":           {lab: lab.Options{Destination: true}, faults: []faults.Fault{{Kind: faults.DestinationDown, For: after(5 * time.Second)}, {Kind: faults.LinkReset}}},
		"all tokens are revoked":                    {faults: []faults.Fault{{Kind: faults.TokenRevoked}, {Kind: faults.LinkReset}}},
		"the token service is away as they expire":  {lab: lab.Options{TokenLife: 2 * time.Second}, faults: []faults.Fault{{Kind: faults.TokenDown, For: after(4 * time.Second)}, {Kind: faults.ExpiryCut}}},
		"the proxy is restarted":                    {faults: []faults.Fault{{Kind: faults.ProxyDown, For: after(3 * time.Second)}}},
		"TLS: the broker's certificate is replaced": {lab: lab.Options{TLS: true}, faults: []faults.Fault{{Kind: faults.BrokerTLS, Mode: faults.ModeExpired, For: after(2 * time.Second)}, {Kind: faults.LinkReset}}},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "all tokens are revoked" {
				testutil.Long(t)
			}
			t.Parallel()
			outage.lab.Brokers = 3
			bed := newTestbed(t, outage.lab)
			cl, err := kgo.NewClient(kgo.SeedBrokers(bed.Address("")), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("topic"))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord("before")).FirstErr(); err != nil {
				t.Fatal(err)
			}
			var over time.Time // of the longest fault
			for _, f := range outage.faults {
				if end := time.Now().Add(time.Duration(f.For)); end.After(over) {
					over = end
				}
				if _, err := bed.lab.Faults().Add(f); err != nil {
					t.Fatal(err)
				}
			}
			var sent, came atomic.Int64
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for began := time.Now(); time.Since(began) < 6*time.Second; <-tick.C {
				sent.Add(1)
				cl.Produce(ctx, kgo.StringRecord(fmt.Sprint(sent.Load())), func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("a send failed: %v", err)
						return
					}
					came.Add(1)
				})
			}
			if err := cl.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			for _, c := range bed.lab.Proxy().Connects() {
				if at := c.At.Add(c.Took); c.Result == proxy.Granted && at.After(over) {
					t.Logf("first granted CONNECT %v after the end of the faults", at.Sub(over).Round(time.Millisecond))
					break
				}
			}
			if sent.Load() != came.Load() || sent.Load() < 20 {
				t.Errorf("%d records sent, %d arrived", sent.Load(), came.Load())
			}
		})
	}
}
