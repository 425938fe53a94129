// Package metrics holds the tunnel's instruments: one struct over a registry of
// its own, handed to whoever has something to count.
//
//	m := metrics.New()
//	c := m.Cluster("default")             // once, at start
//	n := c.Node("1")                      // once per connection
//	n.Opened()
//	a := c.API(key, kafka.Name(key))      // an array access after the first time
//	a.Request()
//	a.Response(time.Since(forwarded))
//	c.Bytes(metrics.ToClient, count)
//	n.Closed(metrics.ResultOK)
//	http.Handle("/metrics", m.Handler())
//
// Every method does nothing on a nil receiver, and a nil *Metrics gives nil
// *Cluster, *Node and *API: code that counts never asks whether somebody wants
// to know.
//
// What is called per request or per read ([API], [Cluster.Bytes]) is an atomic
// addition on an instrument that was resolved before: no look-up of labels, no
// allocation, no lock. Everything else may look up labels and belongs to
// connections, dials and failures.
//
// Labels are closed sets. A value that is not in its set is counted as "other"
// (codes of failures: as "internal"), so that neither a client nor a broker can
// make series. Names are those of the design, prefixed with kafka_tunnel_; the
// usual go_ and process_ families stand beside them.
//
// The package does not know Kafka, logs nothing and starts no goroutine.
package metrics

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

const namespace = "kafka_tunnel"

// Buckets are few because each costs one series per API of each cluster.
var (
	// requestBuckets, seconds: a broker at hand, a broker far away, a broker
	// that is busy, a long poll (Fetch waits 500 ms by default), a rebalance.
	requestBuckets = []float64{0.005, 0.02, 0.1, 0.6, 3, 15}
	// connectBuckets, seconds: up to the hold time's default of 9 s.
	connectBuckets = []float64{0.01, 0.05, 0.25, 1, 3, 9}
)

// Metrics are the instruments of one tunnel. Make them with [New]; nil counts
// nothing.
type Metrics struct {
	registry *prometheus.Registry

	connections      *prometheus.GaugeVec     // cluster, node
	connectionsTotal *prometheus.CounterVec   // cluster, node, result
	refused          *prometheus.CounterVec   // reason
	connect          *prometheus.HistogramVec // cluster, phase
	hold             *prometheus.HistogramVec // cluster
	failures         *prometheus.CounterVec   // code
	requests         *prometheus.CounterVec   // cluster, api
	requestSeconds   *prometheus.HistogramVec // cluster, api
	bytes            *prometheus.CounterVec   // cluster, direction
	rewritten        *prometheus.CounterVec   // cluster, api, how
	unmapped         *prometheus.CounterVec   // action
	acceptErrors     prometheus.Counter
	tokenExpiry      *prometheus.GaugeVec   // source
	certExpiry       *prometheus.GaugeVec   // source
	tokenFetches     *prometheus.CounterVec // source, result
	live             *liveCollector         // cluster
	resets           prometheus.Counter

	mu       sync.Mutex
	clusters map[string]*Cluster
}

// New returns instruments over a new registry, with the collectors of the Go
// runtime and of the process and with what the binary says of its own build.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), clusters: map[string]*Cluster{}}
	m.connections = m.gauges("connections", "Client connections that are open.", "cluster", "node")
	m.connectionsTotal = m.counters("connections_total", "Client connections that have ended, by how they ended.", "cluster", "node", "result")
	m.refused = m.counters("connections_refused_total", "Client connections that were refused before anything was dialled.", "reason")
	m.connect = m.histograms("connect_seconds", "Time that one phase of reaching a broker took.", connectBuckets, "cluster", "phase")
	m.hold = m.histograms("hold_seconds", "Time from a client's first byte to its broker connection.", connectBuckets, "cluster")
	m.failures = m.counters("failures_total", "Failures by their code in the catalogue.", "code")
	m.requests = m.counters("requests_total", "Kafka requests received from clients.", "cluster", "api")
	m.requestSeconds = m.histograms("request_seconds", "Time from a request forwarded to the first byte of its response.", requestBuckets, "cluster", "api")
	m.bytes = m.counters("bytes_total", "Bytes written.", "cluster", "direction")
	m.rewritten = m.counters("rewritten_total", "Broker addresses in responses that were replaced by local ones or hidden.", "cluster", "api", "how")
	m.unmapped = m.counters("unmapped_addresses_total", "Broker addresses that had no local port, by what was done to keep them from the client.", "action")
	m.tokenExpiry = m.gauges("token_expiry_timestamp_seconds", "Time until which the token at hand is usable, in seconds since 1970.", "source")
	m.certExpiry = m.gauges("certificate_expiry_timestamp_seconds", "End of the client certificate of an X.509 binding, in seconds since 1970.", "source")
	m.tokenFetches = m.counters("token_fetches_total", "Requests to the token service by their result: ok or a failure's code.", "source", "result")
	m.acceptErrors = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "accept_errors_total", Help: "Errors of accepting a client connection.",
	})
	m.resets = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "resets_total", Help: "Broker connections that were reset by the other side.",
	})
	m.live = newLiveCollector()
	m.registry.MustRegister(m.acceptErrors, m.resets, m.live, buildInfo(),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range refusals.values {
		m.refused.WithLabelValues(reason)
	}
	for _, action := range actions.values {
		m.unmapped.WithLabelValues(action)
	}
	return m
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
	}, labels)
	m.registry.MustRegister(v)
	return v
}

// buildInfo is the usual constant 1 with the build in its labels.
func buildInfo() prometheus.Collector {
	labels := prometheus.Labels{"version": "unknown", "revision": "unknown", "goversion": runtime.Version()}
	if b, ok := debug.ReadBuildInfo(); ok {
		if b.Main.Version != "" {
			labels["version"] = b.Main.Version
		}
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" && s.Value != "" {
				labels["revision"] = s.Value
			}
		}
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", ConstLabels: labels,
		Help: "Always 1; the labels say which build of the tunnel this is.",
	}, func() float64 { return 1 })
}

// DroppedFunc counts the log lines that were dropped by asking f.
func (m *Metrics) DroppedFunc(f func() uint64) {
	if m == nil || f == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "log_lines_dropped_total", Help: "Log lines that were dropped, because the log is limited or nobody reads it.",
	}, func() float64 { return float64(f()) }))
}

// Registry returns the registry behind the instruments; nil for a nil m.
func (m *Metrics) Registry() *prometheus.Registry {
	if m == nil {
		return nil
	}
	return m.registry
}

// Handler serves the registry in Prometheus' text format, or as OpenMetrics
// where the scraper asks for it. Simultaneous scrapes share one collection.
// The handler of a nil m answers 404.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 4,
		CoalesceGather:      true,
		// The scraper is in the same container or the same node: processor time
		// and the compressor's memory cost more there than bytes do.
		DisableCompression: true,
	})
}

// Refused counts a client connection that was refused before anything was
// dialled for it.
func (m *Metrics) Refused(reason Refusal) {
	if m != nil {
		m.refused.WithLabelValues(refusals.check(string(reason))).Inc()
	}
}

// Failure counts one occurrence of a failure of the catalogue.
func (m *Metrics) Failure(code failure.Code) {
	if m != nil {
		m.failures.WithLabelValues(codes.check(string(code))).Inc()
	}
}

// AcceptError counts an error of accept that did not end its listener.
func (m *Metrics) AcceptError() {
	if m != nil {
		m.acceptErrors.Inc()
	}
}

// Unmapped counts one broker address that was kept from a client because it had
// no local port.
func (m *Metrics) Unmapped(action Action) {
	if m != nil {
		m.unmapped.WithLabelValues(actions.check(string(action))).Inc()
	}
}

// TokenFetch counts one request to the token service. source names the
// credentials (the binding); the result is "ok" or the code of the failure.
func (m *Metrics) TokenFetch(source, result string) {
	if m != nil {
		m.tokenFetches.WithLabelValues(source, fetchResults.check(result)).Inc()
	}
}

// CertificateExpiry says when the certificate of a source ends.
func (m *Metrics) CertificateExpiry(source string, t time.Time) {
	if m != nil {
		m.certExpiry.WithLabelValues(source).Set(float64(t.Unix()))
	}
}

// TokenExpiry says until when the token of a source is usable. The zero time
// means that there is none; the series is then absent.
func (m *Metrics) TokenExpiry(source string, t time.Time) {
	switch {
	case m == nil:
	case t.IsZero():
		m.tokenExpiry.DeleteLabelValues(source)
	default:
		m.tokenExpiry.WithLabelValues(source).Set(float64(t.UnixMilli()) / 1e3)
	}
}
