package admin

import "time"

// Status is the response of /status. Its names are stable: later versions add fields and never
// rename or reuse one. It contains no secret.
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
	// Draining is true once the tunnel has begun to stop.
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
	// OpenConnections are the open client connections, newest first, at most 100. Log lines
	// have the same numbers as conn.
	OpenConnections []ConnectionStatus `json:"open_connections,omitempty"`
	// LogLinesDropped is how many lines were dropped from the log, because its rate is limited.
	LogLinesDropped uint64 `json:"log_lines_dropped,omitempty"`
	// Tap is empty if frames cannot be watched, else on, or watched while there is a viewer.
	Tap string `json:"tap,omitempty"`
	// Tokens are the sources of tokens; empty if no token is needed.
	Tokens []TokenStatus `json:"tokens,omitempty"`
	// Warnings are what an operator should know about the configuration, one sentence each.
	Warnings []string `json:"warnings,omitempty"`
}

// ClusterStatus is one cluster in [Status].
type ClusterStatus struct {
	// Name is the cluster's name in the configuration.
	Name string `json:"name"`
	// Listen is the bootstrap address of clients: each host:port that is bound.
	Listen []string `json:"listen"`
	// Advertise is the host that is written into responses.
	Advertise string `json:"advertise,omitempty"`
	// Bootstrap are the virtual addresses to which the bootstrap port leads, the last one that
	// worked first.
	Bootstrap []string `json:"bootstrap"`
	// Destination is the source of the addresses; absent if they are configured.
	Destination *DestinationStatus `json:"destination,omitempty"`
	// Via is how brokers are reached: connectivity or direct.
	Via string `json:"via,omitempty"`
	// Proxy is the connectivity proxy's host:port.
	Proxy string `json:"proxy,omitempty"`
	// LocationID is the Cloud Connector's Location ID, empty for none.
	LocationID string `json:"location_id,omitempty"`
	// TLS is true if the tunnel uses TLS towards the brokers.
	TLS bool `json:"tls,omitempty"`
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
	// Connections is how many client connections are open, at the bootstrap port and at all
	// nodes together.
	Connections int `json:"connections"`
	// BootstrapConnections is how many are open at the bootstrap port.
	BootstrapConnections int `json:"bootstrap_connections"`
	// Traffic is the traffic of all nodes together.
	Traffic *TrafficStatus `json:"traffic,omitempty"`
	// BootstrapTraffic is the traffic at the bootstrap port.
	BootstrapTraffic *TrafficStatus `json:"bootstrap_traffic,omitempty"`
	// Nodes are the known brokers, by ascending id.
	Nodes []NodeStatus `json:"nodes"`
	// Gates are the routes through a Cloud Connector that have been used, by Location ID. A
	// shut gate holds its clients.
	Gates []GateStatus `json:"gates,omitempty"`
	// Paused are the addresses that fail while the route works, by name.
	Paused []PausedStatus `json:"paused,omitempty"`
	// Capped are the APIs of which the brokers support newer versions than the tunnel lets
	// clients use.
	Capped []CappedStatus `json:"versions_capped,omitempty"`
	// LastFailure is the first reason, or the last failure from which the cluster has
	// recovered; absent if there was none.
	LastFailure *Failure `json:"last_failure,omitempty"`
}

// TrafficStatus is the traffic between clients and a node in about the last minute.
type TrafficStatus struct {
	// RequestsPerSecond is how many requests were answered per second.
	RequestsPerSecond float64 `json:"requests_per_second"`
	// P50Seconds is the median time to the first byte of the response; for long polls, the time
	// beyond their own max wait. 0: no request was answered.
	P50Seconds float64 `json:"p50_seconds"`
	// P99Seconds is the 99th percentile of the same times.
	P99Seconds float64 `json:"p99_seconds"`
	// InFlight is how many requests are unanswered now.
	InFlight int `json:"in_flight"`
	// OldestRequestSeconds is the age of the oldest of them, beyond its own max wait.
	OldestRequestSeconds float64 `json:"oldest_request_seconds"`
	// ResetsLastMinute is how many broker connections were reset by the other side.
	ResetsLastMinute int `json:"resets_last_minute"`
}

// DestinationStatus is a cluster's destination in [ClusterStatus].
type DestinationStatus struct {
	// Name is the destination's name.
	Name string `json:"name"`
	// ReadAgeSeconds is the time since it was last read; absent if it never was.
	ReadAgeSeconds *float64 `json:"read_age_seconds,omitempty"`
	// LastFailure is why the last read failed; absent if it succeeded.
	LastFailure *Failure `json:"last_failure,omitempty"`
}

// GateStatus is one route in [ClusterStatus].
type GateStatus struct {
	// LocationID is the Cloud Connector's Location ID, empty for none.
	LocationID string `json:"location_id"`
	// Shut is true while attempts fail and clients are held.
	Shut bool `json:"shut"`
	// ShutSeconds is how long it has been shut.
	ShutSeconds float64 `json:"shut_seconds,omitempty"`
	// NextAttemptSeconds is the time until the next attempt; 0 during an attempt.
	NextAttemptSeconds float64 `json:"next_attempt_seconds,omitempty"`
	// Trying is true during an attempt for which all others wait.
	Trying bool `json:"trying,omitempty"`
	// Waiting is how many callers are held: clients, and a probe if readiness was requested.
	Waiting int `json:"waiting"`
	// Failure is why the gate is shut; absent while it is open.
	Failure *Failure `json:"failure,omitempty"`
}

// PausedStatus is one address in [ClusterStatus].
type PausedStatus struct {
	// Target is the virtual host:port.
	Target string `json:"target"`
	// SinceSeconds is how long it has been failing.
	SinceSeconds float64 `json:"since_seconds"`
	// NextAttemptSeconds is the time until the next attempt; 0 if the next client makes it.
	NextAttemptSeconds float64 `json:"next_attempt_seconds"`
	// Failure is the failure of the last attempt.
	Failure Failure `json:"failure"`
}

// CappedStatus is one API in [ClusterStatus].
type CappedStatus struct {
	// API is its name.
	API string `json:"api"`
	// Broker is the newest version that a broker supports.
	Broker int16 `json:"broker"`
	// Offered is the newest version that clients are offered; -1: none.
	Offered int16 `json:"offered"`
}

// ConnectionStatus is one client connection in [Status].
type ConnectionStatus struct {
	// Conn is its number, which log lines have as conn.
	Conn uint64 `json:"conn"`
	// Cluster is the cluster's name.
	Cluster string `json:"cluster"`
	// Node is the node id, or bootstrap.
	Node string `json:"node"`
	// Client is the client's address.
	Client string `json:"client"`
	// Target is the virtual host:port of the upstream connection; absent while it is held.
	Target string `json:"target,omitempty"`
	// AgeSeconds is the time since it was accepted.
	AgeSeconds float64 `json:"age_seconds"`
}

// NodeStatus is one broker in [ClusterStatus].
type NodeStatus struct {
	// ID is the broker's node id.
	ID int32 `json:"id"`
	// Advertised is the host:port that the broker advertises.
	Advertised string `json:"advertised"`
	// Virtual is the host:port in the CONNECT request.
	Virtual string `json:"virtual"`
	// LocationID is the Location ID, if it differs from the cluster's.
	LocationID string `json:"location_id,omitempty"`
	// ServerName is the name that the node's certificate must contain; empty without TLS.
	ServerName string `json:"server_name,omitempty"`
	// Local is the host:port for clients; empty if there is none.
	Local string `json:"local,omitempty"`
	// Connections is how many client connections are open to it.
	Connections int `json:"connections"`
	// LastFailure is the current failure of this node; absent if there is none.
	LastFailure *Failure `json:"last_failure,omitempty"`
	TrafficStatus
}

// ForwardStatus is one forward in [Status].
type ForwardStatus struct {
	// Name is the forward's name in the configuration.
	Name string `json:"name"`
	// Listen is where clients connect.
	Listen string `json:"listen"`
	// To is the virtual address to which it leads.
	To string `json:"to"`
	// LocationID is the Cloud Connector's Location ID, empty for none.
	LocationID string `json:"location_id,omitempty"`
	// Connections is how many client connections are open.
	Connections int `json:"connections"`
	// LastFailure is the current failure, or the last one from which the forward has recovered;
	// absent if there was none.
	LastFailure *Failure `json:"last_failure,omitempty"`
}

// TokenStatus is one source of tokens in [Status].
type TokenStatus struct {
	// Source names the credentials: the service instance, or the configuration.
	Source string `json:"source"`
	// UsableUntil is when the current token stops being used; absent without a token.
	UsableUntil *time.Time `json:"usable_until,omitempty"`
	// UsableSeconds is the time until then; negative when it has passed.
	UsableSeconds float64 `json:"usable_seconds,omitempty"`
	// LastFetchAgeSeconds is the time since a token was last received; absent if none ever was.
	LastFetchAgeSeconds *float64 `json:"last_fetch_age_seconds,omitempty"`
	// CertificateUntil is the expiry of the client certificate for the token service; absent if
	// a secret is used.
	CertificateUntil *time.Time `json:"certificate_until,omitempty"`
	// Fetches is how many requests were sent to the token service.
	Fetches int64 `json:"fetches"`
	// LastFailure is why the last request failed; absent if it succeeded.
	LastFailure *Failure `json:"last_failure,omitempty"`
}

// filled returns s with empty lists instead of nil ones, which would be null in JSON. The lists
// of s itself are not changed.
func (s Status) filled() Status {
	s.Clusters = copied(s.Clusters)
	for i := range s.Clusters {
		c := &s.Clusters[i]
		c.Listen, c.Bootstrap, c.Nodes = copied(c.Listen), copied(c.Bootstrap), copied(c.Nodes)
	}
	return s
}

// filled does the same for Readiness.
func (r Readiness) filled() Readiness {
	r.Clusters = copied(r.Clusters)
	return r
}

func copied[T any](list []T) []T { return append(make([]T, 0, len(list)), list...) }
