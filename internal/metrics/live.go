package metrics

import (
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The values of the label state.
var stateNames = [...]string{"ready", "degraded", "down"}

// A Live is the state of a cluster at a scrape.
type Live struct {
	State string // ready, degraded or down
	Nodes []LiveNode
}

// A LiveNode is the traffic to one node: its id in decimal, or "bootstrap".
type LiveNode struct {
	Node     string
	InFlight int
	Oldest   time.Duration // age of the oldest unanswered request
}

// LiveFunc sets the function that returns the state of a cluster, and its requests in flight,
// at each scrape. It must not block, and must not count as a request for readiness: a scrape
// every few seconds would keep probes running forever. It replaces the previous function.
func (m *Metrics) LiveFunc(cluster string, f func() Live) {
	if m != nil {
		m.live.set(cluster, f)
	}
}

// HeldFunc sets the function that returns the number of shut gates, and of clients that wait
// for a broker connection, at each scrape. It is called once.
func (m *Metrics) HeldFunc(f func() (shut, held int)) {
	if m == nil {
		return
	}
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value))
	}
	gauge("gate_shut", "Routes to brokers on which new connections fail and are tried one at a time.", func() float64 {
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

// liveCollector collects the series of [Live].
type liveCollector struct {
	collect                        sync.Mutex // one collection at a time: it resets the gauges and sets them again
	ready, state, inFlight, oldest *prometheus.GaugeVec

	mu    sync.Mutex // guards what follows
	funcs map[string]func() Live
}

func newLiveCollector() *liveCollector {
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	return &liveCollector{
		ready:    gauges("ready", "1 if the brokers of the cluster can be reached: the state is ready or degraded.", "cluster"),
		state:    gauges("state", "1 for the current state of the cluster, 0 for the others.", "cluster", "state"),
		inFlight: gauges("in_flight", "Requests without a response yet.", "cluster", "node"),
		oldest:   gauges("oldest_request_seconds", "Age of the oldest unanswered request, beyond its own max wait.", "cluster", "node"),
		funcs:    map[string]func() Live{},
	}
}

func (l *liveCollector) set(cluster string, f func() Live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.funcs[cluster] = f
}

func (l *liveCollector) all() []*prometheus.GaugeVec {
	return []*prometheus.GaugeVec{l.ready, l.state, l.inFlight, l.oldest}
}

// Describe implements [prometheus.Collector].
func (l *liveCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range l.all() {
		v.Describe(ch)
	}
}

// Collect implements [prometheus.Collector]. It calls the functions without mu, because they
// may take locks of their own.
func (l *liveCollector) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	funcs := maps.Clone(l.funcs)
	l.mu.Unlock()
	l.collect.Lock()
	defer l.collect.Unlock()
	for _, v := range l.all() {
		v.Reset() // removes the series of nodes that no longer exist
	}
	for cluster, f := range funcs {
		live := f()
		l.ready.WithLabelValues(cluster).Set(one(live.State != "down"))
		for _, state := range stateNames {
			l.state.WithLabelValues(cluster, state).Set(one(state == live.State))
		}
		for _, n := range live.Nodes {
			l.inFlight.WithLabelValues(cluster, n.Node).Set(float64(n.InFlight))
			l.oldest.WithLabelValues(cluster, n.Node).Set(n.Oldest.Seconds())
		}
	}
	for _, v := range l.all() {
		v.Collect(ch)
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
