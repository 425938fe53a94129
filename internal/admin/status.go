package admin

import "time"

// Status is the answer of /status. Its names are stable: later versions add
// fields and never rename or reuse one. It contains no secret.
type Status struct {
	// Version is the tunnel's version.
	Version string `json:"version"`
	// PID is the tunnel's process id.
	PID int `json:"pid"`
	// StartedAt is when the tunnel started.
	StartedAt time.Time `json:"started_at"`
	// UptimeSeconds is the time since StartedAt.
	UptimeSeconds float64 `json:"uptime_seconds"`
	// Bound is true once all ports are bound.
	Bound bool `json:"bound"`
	// Draining is true once the tunnel was told to stop.
	Draining bool `json:"draining"`
	// Ready is true if no cluster is down and the tunnel is not draining.
	Ready bool `json:"ready"`
	// State is the worst state of the clusters.
	State State `json:"state,omitempty"`
	// Connections is how many client connections are open.
	Connections int `json:"connections"`
	// MaxConnections is how many may be open; 0: no limit.
	MaxConnections int `json:"max_connections"`
	// Clusters are the configured clusters in the order of the configuration.
	Clusters []ClusterStatus `json:"clusters"`
	// Forwards are the configured forwards.
	Forwards []ForwardStatus `json:"forwards,omitempty"`
	// OpenConnections are the client connections that are open, newest first, at
	// most 100 of them. Log lines carry the same numbers as conn.
	OpenConnections []ConnectionStatus `json:"open_connections,omitempty"`
	// LogLinesDropped is how many lines the log lacks, because it is limited.
	LogLinesDropped uint64 `json:"log_lines_dropped,omitempty"`
	// Tap is empty where nobody may watch the frames that pass, else on, or watched.
	Tap string `json:"tap,omitempty"`
	// Tokens are the sources of tokens; none where no token is needed.
	Tokens []TokenStatus `json:"tokens,omitempty"`
	// Warnings are what an operator should know of the configuration, one
	// sentence each.
	Warnings []string `json:"warnings,omitempty"`
}

// ClusterStatus is one cluster in [Status].
type ClusterStatus struct {
	// Name is the cluster's name in the configuration.
	Name string `json:"name"`
	// Listen is where clients start: each host:port that is bound.
	Listen []string `json:"listen"`
	// Advertise is the host that is written into responses.
	Advertise string `json:"advertise,omitempty"`
	// Bootstrap are the virtual addresses that the bootstrap port leads to, the
	// one that worked last first.
	Bootstrap []string `json:"bootstrap"`
	// Destination is where the addresses come from; absent where they are configured.
	Destination *DestinationStatus `json:"destination,omitempty"`
	// Via is how brokers are reached: connectivity or direct.
	Via string `json:"via,omitempty"`
	// Proxy is the connectivity proxy's host:port.
	Proxy string `json:"proxy,omitempty"`
	// LocationID is the Cloud Connector's Location ID, empty for none.
	LocationID string `json:"location_id,omitempty"`
	// TLS is true if the brokers are spoken to by TLS.
	TLS bool `json:"tls,omitempty"`
	// Ready is true if the state is ready or degraded.
	Ready bool `json:"ready"`
	// State is the state of the cluster.
	State State `json:"state,omitempty"`
	// StateSeconds is how long it has been in that state.
	StateSeconds float64 `json:"state_seconds,omitempty"`
	// Reasons are what is failing, newest first; also what has not changed the state.
	Reasons []Reason `json:"reasons,omitempty"`
	// EvidenceAgeSeconds is the age of that evidence; absent without any.
	EvidenceAgeSeconds *float64 `json:"evidence_age_seconds,omitempty"`
	// Connections is how many client connections are open, at the bootstrap port
	// and at all nodes together.
	Connections int `json:"connections"`
	// BootstrapConnections are those at the bootstrap port.
	BootstrapConnections int `json:"bootstrap_connections"`
	// Traffic is that of all nodes together.
	Traffic *TrafficStatus `json:"traffic,omitempty"`
	// BootstrapTraffic is that at the bootstrap port.
	BootstrapTraffic *TrafficStatus `json:"bootstrap_traffic,omitempty"`
	// Nodes are the brokers known so far, by ascending id.
	Nodes []NodeStatus `json:"nodes"`
	// Gates are the ways through a Cloud Connector that have been used, by
	// Location ID. A shut one holds its clients.
	Gates []GateStatus `json:"gates,omitempty"`
	// Paused are the addresses in trouble while the way works, by name.
	Paused []PausedStatus `json:"paused,omitempty"`
	// Capped are the APIs of which the brokers know newer versions than the tunnel
	// lets clients use.
	Capped []CappedStatus `json:"versions_capped,omitempty"`
	// LastFailure is the first reason, or what has healed last; absent without any.
	LastFailure *Failure `json:"last_failure,omitempty"`
}

// TrafficStatus is what passes between clients and a node, over about the last minute.
type TrafficStatus struct {
	// RequestsPerSecond is how many requests were answered a second.
	RequestsPerSecond float64 `json:"requests_per_second"`
	// P50Seconds is the time to the first byte of the answer that half of them took at
	// most; of long polls, the time beyond their own max wait. 0: none was answered.
	P50Seconds float64 `json:"p50_seconds"`
	// P99Seconds is the same for 99 of 100.
	P99Seconds float64 `json:"p99_seconds"`
	// InFlight is how many requests are unanswered now.
	InFlight int `json:"in_flight"`
	// OldestRequestSeconds is for how long the oldest of them is, beyond its own max wait.
	OldestRequestSeconds float64 `json:"oldest_request_seconds"`
	// ResetsLastMinute is how many broker connections were reset by the other side.
	ResetsLastMinute int `json:"resets_last_minute"`
}

// DestinationStatus is a cluster's destination in [ClusterStatus].
type DestinationStatus struct {
	// Name is the destination's name.
	Name string `json:"name"`
	// ReadAgeSeconds is how long ago it was read; absent if it never was.
	ReadAgeSeconds *float64 `json:"read_age_seconds,omitempty"`
	// LastFailure is why it could not be read last time; absent when it could.
	LastFailure *Failure `json:"last_failure,omitempty"`
}

// GateStatus is one way in [ClusterStatus].
type GateStatus struct {
	// LocationID is the Cloud Connector's Location ID, empty for none.
	LocationID string `json:"location_id"`
	// Shut is true while attempts fail and clients are held.
	Shut bool `json:"shut"`
	// ShutSeconds is how long it has been shut.
	ShutSeconds float64 `json:"shut_seconds,omitempty"`
	// NextAttemptSeconds is the time until the next attempt; 0 while one is made.
	NextAttemptSeconds float64 `json:"next_attempt_seconds,omitempty"`
	// Trying is true while one attempt is made for which the others wait.
	Trying bool `json:"trying,omitempty"`
	// Waiting is how many are held: clients, and a probe when somebody asks for
	// readiness.
	Waiting int `json:"waiting"`
	// Failure is what shut it; absent while it is open.
	Failure *Failure `json:"failure,omitempty"`
}

// PausedStatus is one address in [ClusterStatus].
type PausedStatus struct {
	// Target is the virtual host:port.
	Target string `json:"target"`
	// SinceSeconds is how long it has been in trouble.
	SinceSeconds float64 `json:"since_seconds"`
	// NextAttemptSeconds is the time until the next attempt; 0 when the next
	// client makes it.
	NextAttemptSeconds float64 `json:"next_attempt_seconds"`
	// Failure is what the last attempt met.
	Failure Failure `json:"failure"`
}

// CappedStatus is one API in [ClusterStatus].
type CappedStatus struct {
	// API is its name.
	API string `json:"api"`
	// Broker is the newest version that a broker offered.
	Broker int16 `json:"broker"`
	// Offered is the newest version that clients are offered; -1: none.
	Offered int16 `json:"offered"`
}

// ConnectionStatus is one client connection in [Status].
type ConnectionStatus struct {
	// Conn is its number, which log lines carry as conn.
	Conn uint64 `json:"conn"`
	// Cluster is the cluster's name.
	Cluster string `json:"cluster"`
	// Node is the node id, or bootstrap.
	Node string `json:"node"`
	// Client is the client's address.
	Client string `json:"client"`
	// Target is the virtual host:port it leads to; absent while it is held.
	Target string `json:"target,omitempty"`
	// AgeSeconds is the time since it was accepted.
	AgeSeconds float64 `json:"age_seconds"`
}

// NodeStatus is one broker in [ClusterStatus].
type NodeStatus struct {
	// ID is the broker's node id.
	ID int32 `json:"id"`
	// Advertised is the broker's host:port as it says it itself.
	Advertised string `json:"advertised"`
	// Virtual is the host:port asked for at the Cloud Connector.
	Virtual string `json:"virtual"`
	// LocationID is the Location ID where it is not the cluster's.
	LocationID string `json:"location_id,omitempty"`
	// ServerName is whom the node's certificate must be for; empty without TLS.
	ServerName string `json:"server_name,omitempty"`
	// Local is the host:port that clients are told; empty if there is none.
	Local string `json:"local,omitempty"`
	// Connections is how many client connections are open to it.
	Connections int `json:"connections"`
	// LastFailure is what is failing at this node; absent without any.
	LastFailure *Failure `json:"last_failure,omitempty"`
	TrafficStatus
}

// ForwardStatus is one forward in [Status].
type ForwardStatus struct {
	// Name is the forward's name in the configuration.
	Name string `json:"name"`
	// Listen is where clients connect.
	Listen string `json:"listen"`
	// To is the virtual address that it leads to.
	To string `json:"to"`
	// LocationID is the Cloud Connector's Location ID, empty for none.
	LocationID string `json:"location_id,omitempty"`
	// Connections is how many client connections are open.
	Connections int `json:"connections"`
	// LastFailure is what is failing, or what has healed last; absent without any.
	LastFailure *Failure `json:"last_failure,omitempty"`
}

// TokenStatus is one source of tokens in [Status].
type TokenStatus struct {
	// Source names the credentials: the service instance, or the configuration.
	Source string `json:"source"`
	// UsableUntil is when the token at hand stops being used; absent without one.
	UsableUntil *time.Time `json:"usable_until,omitempty"`
	// UsableSeconds is the time until then; negative when it is over.
	UsableSeconds float64 `json:"usable_seconds,omitempty"`
	// LastFetchAgeSeconds is the time since a token was last received; absent if
	// none ever was.
	LastFetchAgeSeconds *float64 `json:"last_fetch_age_seconds,omitempty"`
	// CertificateUntil is when the client certificate ends with which tokens are
	// fetched; absent where that is done with a secret.
	CertificateUntil *time.Time `json:"certificate_until,omitempty"`
	// Fetches is how often the token service was asked.
	Fetches int64 `json:"fetches"`
	// LastFailure is why the last request failed; absent if it did not.
	LastFailure *Failure `json:"last_failure,omitempty"`
}

// filled returns s with empty lists in place of nil ones, which would be null in
// JSON. The lists of s itself are not changed.
func (s Status) filled() Status {
	s.Clusters = copied(s.Clusters)
	for i := range s.Clusters {
		c := &s.Clusters[i]
		c.Listen, c.Bootstrap, c.Nodes = copied(c.Listen), copied(c.Bootstrap), copied(c.Nodes)
	}
	return s
}

// filled is the same for Readiness.
func (r Readiness) filled() Readiness {
	r.Clusters = copied(r.Clusters)
	return r
}

func copied[T any](list []T) []T { return append(make([]T, 0, len(list)), list...) }
