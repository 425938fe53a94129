package metrics

import (
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Ready sets the readiness of a cluster.
func (m *Metrics) Ready(cluster string, ready bool) {
	m.ReadyFunc(cluster, func() bool { return ready })
}

// ReadyFunc makes the readiness of a cluster a question that is asked at each
// scrape: evidence grows old without an event that could set a gauge. f must
// not block and must not count as somebody asking for readiness (a scrape every
// few seconds would keep probes going for ever). It replaces what was set
// before.
func (m *Metrics) ReadyFunc(cluster string, f func() bool) {
	if m != nil {
		m.ready.set(cluster, f)
	}
}

// readyCollector is the gauge ready{cluster}.
type readyCollector struct {
	gauges *prometheus.GaugeVec // set at each scrape

	mu    sync.Mutex
	funcs map[string]func() bool
}

func newReadyCollector() *readyCollector {
	return &readyCollector{
		gauges: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "ready", Help: "1 if the brokers of the cluster can be reached, by recent evidence.",
		}, []string{"cluster"}),
		funcs: map[string]func() bool{},
	}
}

func (r *readyCollector) set(cluster string, f func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.funcs[cluster] = f
}

// Describe implements [prometheus.Collector].
func (r *readyCollector) Describe(ch chan<- *prometheus.Desc) { r.gauges.Describe(ch) }

// Collect implements [prometheus.Collector]. The functions are called without
// the lock, since they may take locks of their own.
func (r *readyCollector) Collect(ch chan<- prometheus.Metric) {
	r.mu.Lock()
	funcs := maps.Clone(r.funcs)
	r.mu.Unlock()
	for cluster, f := range funcs {
		value := 0.0
		if f() {
			value = 1
		}
		r.gauges.WithLabelValues(cluster).Set(value)
	}
	r.gauges.Collect(ch)
}
