// Package admin is the tunnel's HTTP server: probes, metrics and status for machines and
// people, and the client for the commands `wait` and `status`.
//
//	server := &admin.Server{Source: tunnel, Metrics: m.Handler()}
//	err := server.Serve(ctx, listeners...)    // until ctx ends
//
//	client := admin.Client{BaseURL: admin.BaseURL("127.0.0.1", 19099)}
//	result, err := client.Wait(ctx, admin.WaitOptions{For: admin.ForReady, Max: time.Minute})
//
// The endpoints:
//
//	/startup   200 once all ports are bound, else 503
//	/livez     200; 503 when the tunnel's watchdog reports that it is stuck
//	/readyz    200 if every cluster is ready or degraded, 503 if one is down; the
//	           state and its reasons, with hop, code and advice, as JSON;
//	           ?cluster=NAME selects one
//	/metrics   Prometheus
//	/status    the state of the whole tunnel as JSON ([Status])
//	/tap       frames as they pass, as JSON, one line each, until the client disconnects
//	/          the list of these and the state in plain text
//
// A listener beyond loopback serves only the first four, without hosts, summaries and advice. A
// loopback listener refuses requests whose Host header is neither an IP address nor localhost:
// no web page can read it through a name of its own (DNS rebinding).
//
// Requests are GET or HEAD. No endpoint changes the tunnel, dials or reads a request's body;
// headers, time and the number of connections are limited.
//
// /readyz is for `wait` and for readiness checks. Never use it for liveness: a restart does not
// reconnect a Cloud Connector.
package admin

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// A Source is the running tunnel as the server sees it. The methods are called concurrently and
// must not wait for the network.
type Source interface {
	// Bound reports whether all ports are bound.
	Bound() bool
	// Alive returns nil, or what the watchdog has found to be stuck.
	Alive() error
	// Ready returns the readiness of a cluster, or of all for "". For a name that is not
	// configured it returns no Clusters. The call may start a probe in the background (R22),
	// but never probes within the call.
	Ready(ctx context.Context, cluster string) Readiness
	// Status returns what the tunnel is doing.
	Status() Status
}

// Readiness is the response of /readyz.
type Readiness struct {
	// Ready is true if no requested cluster is down and the tunnel is not draining.
	Ready bool `json:"ready"`
	// State is the worst state of the requested clusters.
	State State `json:"state,omitempty"`
	// Reasons are those of all requested clusters, newest first.
	Reasons []Reason `json:"reasons,omitempty"`
	// Draining is true once the tunnel has begun to stop.
	Draining bool `json:"draining"`
	// Clusters has one entry for each requested cluster.
	Clusters []ClusterReadiness `json:"clusters"`
	// Warnings are facts that cause a failure later, such as a certificate that expires soon.
	Warnings []string `json:"warnings,omitempty"`
}

// A State tells how well the brokers of a cluster can be reached (R22).
type State string

// The states.
const (
	// StateReady: the last attempt to open a connection succeeded, or none has failed
	// since, and not all known brokers are down.
	StateReady State = "ready"
	// StateDegraded: open connections work, but new ones fail for all or some brokers;
	// or requests have waited longer than 10 s for an answer.
	StateDegraded State = "degraded"
	// StateDown: new connections fail and no open connection had an answer for 10 s, or no
	// broker was ever reached.
	StateDown State = "down"
)

// Worse returns the worse of two states; "" is better than any other.
func (s State) Worse(other State) State {
	for _, worst := range []State{StateDown, StateDegraded, StateReady} {
		if s == worst || other == worst {
			return worst
		}
	}
	return s
}

// A Reason is one cause of a state.
type Reason struct {
	// Cluster is the cluster's name, if the list has reasons of several clusters.
	Cluster string `json:"cluster,omitempty"`
	// Node is the node that leaves requests unanswered; absent for other reasons.
	Node string `json:"node,omitempty"`
	Failure
}

// ClusterReadiness is the readiness of one cluster. If its state is not ready, its JSON
// includes the fields of Failure, which is the first reason.
type ClusterReadiness struct {
	// Name is the cluster's name in the configuration.
	Name string `json:"name"`
	// Ready is true if the state is ready or degraded.
	Ready bool `json:"ready"`
	// State is the state of the cluster.
	State State `json:"state,omitempty"`
	// StateSeconds is how long it has been in that state.
	StateSeconds float64 `json:"state_seconds,omitempty"`
	// Reasons are the current failures, newest first, including those that have not changed the
	// state.
	Reasons []Reason `json:"reasons,omitempty"`
	// EvidenceAgeSeconds is the time since an attempt succeeded or a broker answered; absent if
	// neither has happened.
	EvidenceAgeSeconds *float64 `json:"evidence_age_seconds,omitempty"`
	// Failure is the first reason. It is empty if the cluster is ready.
	Failure
}

// Failure is one failure of the catalogue (docs/failures.md) in JSON. The zero value means no
// failure.
type Failure struct {
	// Code is the failure's code; it is stable.
	Code failure.Code `json:"code,omitempty"`
	// Hop is the part of the route that failed: client, local, token, proxy, connector or
	// broker.
	Hop failure.Hop `json:"hop,omitempty"`
	// Summary is what happened, in one line.
	Summary string `json:"summary,omitempty"`
	// Detail is one short fact that adds to the summary, such as "status 503".
	Detail string `json:"detail,omitempty"`
	// Advice is what to do; its last sentence is the next step.
	Advice string `json:"advice,omitempty"`
	// Target is the address of the attempt, usually host:port.
	Target string `json:"target,omitempty"`
	// AgeSeconds is the time since the failure last happened.
	AgeSeconds float64 `json:"age_seconds,omitempty"`
	// SinceSeconds is the time since the failure first happened in an unbroken series; 0 if
	// unknown.
	SinceSeconds float64 `json:"since_seconds,omitempty"`
	// Count is how often the failure happened in that series; 0 if unknown.
	Count int64 `json:"count,omitempty"`
	// RecoveredSeconds is the time since the recovery; absent if there was none. A failure that
	// has recovered has no advice.
	RecoveredSeconds *float64 `json:"recovered_seconds,omitempty"`
}

// FailureOf returns f, which happened age ago, for JSON. For nil it returns the zero Failure.
func FailureOf(f *failure.Failure, age time.Duration) Failure {
	if f == nil {
		return Failure{}
	}
	return Failure{
		Code: f.Code, Hop: f.Entry().Hop, Summary: f.Summary(), Detail: f.Detail,
		Advice: f.Advice(), Target: f.Target, AgeSeconds: Seconds(age),
	}
}

// RecoveredOf returns f, from which the cluster has recovered, for JSON.
func RecoveredOf(f *failure.Failure, age, recovered time.Duration) Failure {
	shown := FailureOf(f, age)
	since := Seconds(recovered)
	shown.Advice, shown.RecoveredSeconds = "", &since
	return shown
}

// Seconds returns d in seconds with three decimals, the format of all ages.
func Seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1e3 }

// withoutHosts returns the part that a listener beyond loopback may show.
func (r Readiness) withoutHosts() Readiness {
	clusters := make([]ClusterReadiness, len(r.Clusters))
	for i, c := range r.Clusters {
		c.Failure = c.withoutHosts()
		c.Reasons = reasonsWithoutHosts(c.Reasons)
		clusters[i] = c
	}
	r.Clusters, r.Reasons = clusters, reasonsWithoutHosts(r.Reasons)
	return r
}

func (f Failure) withoutHosts() Failure {
	return Failure{Code: f.Code, Hop: f.Hop, AgeSeconds: f.AgeSeconds, SinceSeconds: f.SinceSeconds, Count: f.Count, RecoveredSeconds: f.RecoveredSeconds}
}

func reasonsWithoutHosts(list []Reason) []Reason {
	var out []Reason
	for _, r := range list {
		r.Failure = r.withoutHosts()
		out = append(out, r)
	}
	return out
}

// BaseURL returns the URL at which a client on this machine reaches a server that listens on
// host and port. For an unspecified host, which means all interfaces, it is the loopback
// address of the same family.
func BaseURL(host string, port uint16) string {
	switch ip := net.ParseIP(host); {
	case host == "":
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(port)))
}
