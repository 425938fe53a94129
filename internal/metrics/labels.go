package metrics

import "github.com/kafka-tunnel/kafka-tunnel/internal/failure"

// A Direction is the direction of bytes.
type Direction uint8

// The directions.
const (
	ToBroker Direction = iota // written to the broker's side
	ToClient                  // written to the client's side
)

var directionNames = [...]string{ToBroker: "to_broker", ToClient: "to_client"}

// A Phase is a part of a dial.
type Phase uint8

// The phases, in the order of a dial.
const (
	PhaseToken Phase = iota // waiting for a token; short when it is cached
	PhaseTCP                // TCP connection to the proxy, or directly to the broker
	PhaseSOCKS              // the whole SOCKS5 handshake, including CONNECT
	PhaseTLS                // TLS handshake with the broker
	PhaseSASL               // SASL by the tunnel
)

var phaseNames = [...]string{PhaseToken: "token", PhaseTCP: "tcp", PhaseSOCKS: "socks", PhaseTLS: "tls", PhaseSASL: "sasl"}

// A Result is how a client connection ended.
type Result string

// The results.
const (
	ResultOK         Result = "ok"          // closed cleanly by either side
	ResultRefused    Result = "refused"     // refused because of the client's first bytes
	ResultNoUpstream Result = "no_upstream" // ended before it had a broker connection
	ResultBroken     Result = "broken"      // reset, stalled or malformed during operation
)

// A Refusal is why a connection was refused before anything was dialled.
type Refusal string

// The refusals.
const (
	RefusedTLS      Refusal = "tls"       // a TLS ClientHello on the plaintext port
	RefusedHTTP     Refusal = "http"      // an HTTP request
	RefusedNotKafka Refusal = "not_kafka" // other bytes that are not a Kafka request
	RefusedUnknown  Refusal = "node"      // no response has named the broker of the port yet
	RefusedStopping Refusal = "stopping"  // the tunnel is about to exit
)

// An Action is what the tunnel did about a broker address without a local port.
type Action string

// The actions.
const (
	ActionHidden Action = "hidden" // left out of the response
	ActionClosed Action = "closed" // the connection was closed
)

// fetchOK is the label of a successful token fetch.
const fetchOK = "ok"

var (
	results      = newClosedSet("other", string(ResultOK), string(ResultRefused), string(ResultNoUpstream), string(ResultBroken))
	refusals     = newClosedSet("other", string(RefusedTLS), string(RefusedHTTP), string(RefusedNotKafka), string(RefusedUnknown), string(RefusedStopping))
	actions      = newClosedSet("other", string(ActionHidden), string(ActionClosed))
	codes        = newClosedSet(string(failure.Internal), catalogueCodes()...)
	fetchResults = newClosedSet("other", append(catalogueCodes(failure.HopToken), fetchOK)...)
)

// A closedSet has the allowed values of a label. It is not changed after its creation.
type closedSet struct {
	values []string
	known  map[string]string
	other  string
}

func newClosedSet(other string, values ...string) closedSet {
	s := closedSet{values: values, known: make(map[string]string, len(values)), other: other}
	for _, v := range values {
		s.known[v] = v
	}
	return s
}

// check returns v if it is in the set, else the set's value for all others.
func (s closedSet) check(v string) string {
	if v, ok := s.known[v]; ok {
		return v
	}
	return s.other
}

// catalogueCodes returns the codes of the given hops, or all without arguments.
func catalogueCodes(hops ...failure.Hop) []string {
	var out []string
	for _, e := range failure.All() {
		if len(hops) == 0 || e.Hop == hops[0] {
			out = append(out, string(e.Code))
		}
	}
	return out
}
