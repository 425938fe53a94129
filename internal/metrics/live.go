package metrics

import (
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The states of a cluster, as values of a label.
var stateNames = [...]string{"ready", "degraded", "down"}

// A Live is what is asked of a cluster at each scrape.
type Live struct {
	State string // ready, degraded or down
	Nodes []LiveNode
}

// A LiveNode is what is in flight to one node: its id in decimal, or "bootstrap".
type LiveNode struct {
	Node     string
	InFlight int
	Oldest   time.Duration // how long the oldest request is unanswered
}

// LiveFunc makes the state of a cluster, and what is in flight, a question that is asked
// at each scrape. f must not block, and must not count as a request for readiness: a
// scrape every few seconds would keep probes going for ever. It replaces what was set
// before.
func (m *Metrics) LiveFunc(cluster string, f func() Live) {
	if m != nil {
		m.live.set(cluster, f)
	}
}

// HeldFunc makes the number of shut gates, and of clients that wait for a broker
// connection, a question that is asked at each scrape. It is set once.
func (m *Metrics) HeldFunc(f func() (shut, held int)) {
	if m == nil {
		return
	}
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value))
	}
	gauge("gate_shut", "Routes to brokers on which new connections fail, and are tried one at a time.", func() float64 {
		shut, _ := f()
		return float64(shut)
	})
	gauge("held_clients", "Client connections that wait for a broker connection.", func() float64 {
		_, held := f()
		return float64(held)
	})
}

// Reset counts an upstream connection that was reset.
func (m *Metrics) Reset() {
	if m != nil {
		m.resets.Inc()
	}
}

// liveCollector makes the series of [Live].
type liveCollector struct {
	ready, state, inFlight, oldest *prometheus.Desc

	mu    sync.Mutex
	funcs map[string]func() Live
}

func newLiveCollector() *liveCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &liveCollector{
		ready:    desc("ready", "1 if the brokers of the cluster can be reached: the state is ready or degraded.", "cluster"),
		state:    desc("state", "1 for the state in which the cluster is, 0 for the others.", "cluster", "state"),
		inFlight: desc("in_flight", "Requests that are unanswered.", "cluster", "node"),
		oldest:   desc("oldest_request_seconds", "Time for which the oldest request is unanswered, beyond its own max wait.", "cluster", "node"),
		funcs:    map[string]func() Live{},
	}
}

func (l *liveCollector) set(cluster string, f func() Live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.funcs[cluster] = f
}

// Describe implements [prometheus.Collector].
func (l *liveCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.ready, l.state, l.inFlight, l.oldest} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]. The functions are called without the lock,
// since they may take locks of their own.
func (l *liveCollector) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	funcs := maps.Clone(l.funcs)
	l.mu.Unlock()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for cluster, f := range funcs {
		live := f()
		gauge(l.ready, one(live.State != "down"), cluster)
		for _, state := range stateNames {
			gauge(l.state, one(state == live.State), cluster, state)
		}
		for _, n := range live.Nodes {
			gauge(l.inFlight, float64(n.InFlight), cluster, n.Node)
			gauge(l.oldest, n.Oldest.Seconds(), cluster, n.Node)
		}
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
