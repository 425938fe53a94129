package tunnel

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// TestNewProducersWhileOneBrokerIsDown: producers with franz-go's defaults that start
// while one of three brokers is down for a second lose no record, as without the
// tunnel.
func TestNewProducersWhileOneBrokerIsDown(t *testing.T) {
	for name, direct := range map[string]bool{"direct": true, "tunnel": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := newTestbed(t, lab.Options{Brokers: 3})
			bed.roundTrip(t, "topic", 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			opts := []kgo.Opt{kgo.SeedBrokers(bed.Address("")), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("topic")}
			if direct {
				opts = append(opts, kgo.SeedBrokers(bed.lab.Bootstrap()...), kgo.Dialer(bed.lab.DialDirect))
			}
			if _, err := bed.lab.Faults().Add(faults.Fault{Kind: faults.BrokerDown, Target: "3", For: faults.Duration(time.Second)}); err != nil {
				t.Fatal(err)
			}
			const producers = 10
			results := make(chan error, producers)
			for range producers {
				go func() {
					cl, err := kgo.NewClient(opts...)
					if err == nil {
						err = cl.ProduceSync(ctx, kgo.StringRecord("during")).FirstErr()
						cl.Close()
					}
					results <- err
				}()
			}
			for range producers {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
		})
	}
}
