package metrics

import "github.com/kafka-tunnel/kafka-tunnel/internal/failure"

// A Direction is the way that bytes go.
type Direction uint8

// The directions.
const (
	ToBroker Direction = iota // written to the broker's side
	ToClient                  // written to the client's side
)

var directionNames = [...]string{ToBroker: "to_broker", ToClient: "to_client"}

// A Phase is a part of reaching a broker.
type Phase uint8

// The phases, in the order of a dial.
const (
	PhaseToken Phase = iota // waiting for a token; short when it is cached
	PhaseTCP                // TCP connection to the proxy, or to the broker without one
	PhaseSOCKS              // the whole SOCKS5 handshake, CONNECT included
	PhaseTLS                // TLS handshake with the broker
	PhaseSASL               // SASL by the tunnel
)

var phaseNames = [...]string{PhaseToken: "token", PhaseTCP: "tcp", PhaseSOCKS: "socks", PhaseTLS: "tls", PhaseSASL: "sasl"}

// A Result is how a client connection ended.
type Result string

// The results.
const (
	ResultOK         Result = "ok"          // closed in good order by either side
	ResultRefused    Result = "refused"     // refused for what the client sent
	ResultNoUpstream Result = "no_upstream" // ended before there was a broker connection
	ResultBroken     Result = "broken"      // reset, stalled or malformed in the midst of work
)

// A Refusal is why a connection was refused before anything was dialled.
type Refusal string

// The refusals.
const (
	RefusedTLS      Refusal = "tls"       // a TLS hello on the plaintext port
	RefusedHTTP     Refusal = "http"      // an HTTP request
	RefusedNotKafka Refusal = "not_kafka" // anything else that is no Kafka request
	RefusedUnknown  Refusal = "node"      // nobody said yet which broker the port belongs to
	RefusedStopping Refusal = "stopping"  // the tunnel is about to exit
)

// An Action is what was done about a broker address without a local port.
type Action string

// The actions.
const (
	ActionHidden Action = "hidden" // left out of the response
	ActionClosed Action = "closed" // the connection was closed instead
)

// fetchOK is the label of a token fetch that succeeded.
const fetchOK = "ok"

var (
	results      = newClosedSet("other", string(ResultOK), string(ResultRefused), string(ResultNoUpstream), string(ResultBroken))
	refusals     = newClosedSet("other", string(RefusedTLS), string(RefusedHTTP), string(RefusedNotKafka), string(RefusedUnknown), string(RefusedStopping))
	actions      = newClosedSet("other", string(ActionHidden), string(ActionClosed))
	codes        = newClosedSet(string(failure.Internal), catalogueCodes()...)
	fetchResults = newClosedSet("other", append(catalogueCodes(failure.HopToken), fetchOK)...)
)

// A closedSet is what a label's values can be. It is not changed after it was
// made.
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

// check returns v if it is in the set and the set's word for everything else if
// it is not.
func (s closedSet) check(v string) string {
	if v, ok := s.known[v]; ok {
		return v
	}
	return s.other
}

// catalogueCodes returns the codes of the given hops, of all without one.
func catalogueCodes(hops ...failure.Hop) []string {
	var out []string
	for _, e := range failure.All() {
		if len(hops) == 0 || e.Hop == hops[0] {
			out = append(out, string(e.Code))
		}
	}
	return out
}
