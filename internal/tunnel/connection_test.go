package tunnel

import (
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/health"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/session"
)

func newObserver() *connection {
	cl := &cluster{metrics: metrics.New().Cluster("default"), health: health.New(nil)}
	return &connection{cl: cl, node: cl.traffic.Node("1"), proved: true}
}

func TestARequestCostsNoAllocation(t *testing.T) {
	o := newObserver()
	o.Request(1)
	o.Answered(1, time.Millisecond, 0)
	if n := testing.AllocsPerRun(100, func() {
		o.Request(1)
		o.Request(0)
		o.Answered(1, time.Millisecond, 0)
		o.Answered(1, time.Second, time.Second)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserver(b *testing.B) {
	var o session.Observer = newObserver()
	b.ReportAllocs()
	for b.Loop() {
		o.Request(1)
		o.Answered(1, time.Millisecond, 0)
	}
}
