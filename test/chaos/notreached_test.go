package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// TestBrokersDownForAMoment: brokers that cannot be reached for a moment cost no
// record of a producer that may retry for ever.
//
// franz-go takes a FIN in place of the first response of a connection for a
// wrong set-up ("is TLS missing?"), does not retry, and fails what it has
// buffered; a reset or a refused dial it retries.
func TestBrokersDownForAMoment(t *testing.T) {
	testutil.Long(t)
	for _, tt := range []struct {
		name string
		opts []kgo.Opt
	}{
		{"idempotent", nil},
		{"acks=1", []kgo.Opt{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			land, err := lab.Start(t.Context(), lab.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = land.Close() }()
			r := &run{land: land, stop: make(chan struct{})}
			tunnel, err := r.goThroughTunnel(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tunnel.Close()
			if err := r.createTopics(t.Context(), "topic"); err != nil {
				t.Fatal(err)
			}
			cl, err := r.client("test", append(tt.opts, kgo.DefaultProduceTopic("topic"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := cl.ProduceSync(ctx, kgo.StringRecord("before")).FirstErr(); err != nil {
				t.Fatal(err)
			}

			set := land.Faults()
			down, err := set.Add(faults.Fault{Kind: faults.ConnectReply, Reply: 4})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := set.Add(faults.Fault{Kind: faults.LinkReset}); err != nil {
				t.Fatal(err)
			}
			delivered := make(chan error, partitions)
			for p := range int32(partitions) {
				cl.Produce(ctx, &kgo.Record{Partition: p, Value: []byte("during")}, func(_ *kgo.Record, err error) { delivered <- err })
				if err := set.Wait(ctx, down.ID, 1+int(p)); err != nil { // the client has noticed
					t.Error(err)
				}
			}
			set.Clear()
			for range partitions {
				if err := <-delivered; err != nil {
					t.Errorf("a record was given up: %v", err)
				}
			}
		})
	}
}
