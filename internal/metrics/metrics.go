// Package metrics has the tunnel's instruments: one struct with a registry of its own, which is
// passed to all code that counts.
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
// Every method does nothing on a nil receiver, and a nil *Metrics returns nil *Cluster, *Node
// and *API: callers need no check.
//
// Methods that are called per request or per read ([API], [Cluster.Bytes]) are one atomic
// addition on an instrument that was resolved before, without a label look-up, an allocation or
// a lock. All other methods, for connections, dials and failures, may look up labels.
//
// Labels are closed sets. A value that is not in its set is counted as "other" (a failure's
// code as "internal"), so neither a client nor a broker can create series. Names have the
// prefix kafka_tunnel_; the usual go_ and process_ families are included.
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
	// requestBuckets, seconds: a nearby broker, a distant broker, a busy broker, a long poll
	// (Fetch waits 500 ms by default), a rebalance.
	requestBuckets = []float64{0.005, 0.02, 0.1, 0.6, 3, 15}
	// connectBuckets, seconds: up to the default hold time of 9 s.
	connectBuckets = []float64{0.01, 0.05, 0.25, 1, 3, 9}
)

// Metrics are the instruments of one tunnel, created by [New]; nil counts nothing.
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

// New returns instruments with a new registry, which includes the collectors of the Go runtime
// and of the process, and the build information of the binary.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), clusters: map[string]*Cluster{}}
	m.connections = m.gauges("connections", "Open client connections.", "cluster", "node")
	m.connectionsTotal = m.counters("connections_total", "Client connections that have ended, by result.", "cluster", "node", "result")
	m.refused = m.counters("connections_refused_total", "Client connections that were refused before anything was dialled.", "reason")
	m.connect = m.histograms("connect_seconds", "Duration of one phase of connecting to a broker.", connectBuckets, "cluster", "phase")
	m.hold = m.histograms("hold_seconds", "Time from a client's first byte until its broker connection was established.", connectBuckets, "cluster")
	m.failures = m.counters("failures_total", "Failures by their code in the catalogue.", "code")
	m.requests = m.counters("requests_total", "Kafka requests received from clients.", "cluster", "api")
	m.requestSeconds = m.histograms("request_seconds", "Time from forwarding a request to the first byte of its response.", requestBuckets, "cluster", "api")
	m.bytes = m.counters("bytes_total", "Bytes written.", "cluster", "direction")
	m.rewritten = m.counters("rewritten_total", "Broker addresses in responses that were replaced by local ones or hidden.", "cluster", "api", "how")
	m.unmapped = m.counters("unmapped_addresses_total", "Broker addresses without a local port, by how they were withheld from the client.", "action")
	m.tokenExpiry = m.gauges("token_expiry_timestamp_seconds", "When the current token stops being used, in seconds since 1970.", "source")
	m.certExpiry = m.gauges("certificate_expiry_timestamp_seconds", "Expiry of the client certificate of an X.509 binding, in seconds since 1970.", "source")
	m.tokenFetches = m.counters("token_fetches_total", "Requests to the token service by result: ok or a failure's code.", "source", "result")
	m.acceptErrors = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "accept_errors_total", Help: "Errors when accepting a client connection.",
	})
	m.resets = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "resets_total", Help: "Broker connections that the other side reset.",
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
		Help: "Always 1; the labels identify the build of the tunnel.",
	}, func() float64 { return 1 })
}

// DroppedFunc sets the function that returns the number of dropped log lines.
func (m *Metrics) DroppedFunc(f func() uint64) {
	if m == nil || f == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "log_lines_dropped_total", Help: "Log lines that were dropped because the log's rate is limited or its reader is too slow.",
	}, func() float64 { return float64(f()) }))
}

// Registry returns the registry behind the instruments; nil for a nil m.
func (m *Metrics) Registry() *prometheus.Registry {
	if m == nil {
		return nil
	}
	return m.registry
}

// Handler serves the registry in Prometheus' text format, or as OpenMetrics if the scraper
// requests it. Simultaneous scrapes share one collection. The handler of a nil m answers 404.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 4,
		CoalesceGather:      true,
		// No compression: the scraper is in the same container or on the same node, where
		// processor time and memory cost more than bytes.
		DisableCompression: true,
	})
}

// Refused counts a client connection that was refused before a dial.
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

// Unmapped counts one broker address that was withheld from a client because it had no local
// port.
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

// CertificateExpiry sets when the certificate of a source expires.
func (m *Metrics) CertificateExpiry(source string, t time.Time) {
	if m != nil {
		m.certExpiry.WithLabelValues(source).Set(float64(t.Unix()))
	}
}

// TokenExpiry sets when the token of a source stops being used. The zero time means that there
// is none; the series is then absent.
func (m *Metrics) TokenExpiry(source string, t time.Time) {
	switch {
	case m == nil:
	case t.IsZero():
		m.tokenExpiry.DeleteLabelValues(source)
	default:
		m.tokenExpiry.WithLabelValues(source).Set(float64(t.UnixMilli()) / 1e3)
	}
}
