//go:build conformance

package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// The SASL user, with a password that occurs nowhere else.
const (
	securityUser     = "alice"
	securityPassword = "open-sesame-4711"
	wrongPassword    = "open-barley-4712"
)

// session is how long the brokers trust a client that should authenticate again, and sessions
// how long such a client works: more than two of them.
const (
	session  = 3 * time.Second
	sessions = 8 * time.Second
)

// The doors of the brokers. Each has a counterpart that advertises its real address, for the
// route without the tunnel.
const (
	doorSASL    = "SASL"
	doorRenew   = "RENEW" // where clients must authenticate again
	doorTLS     = "TLS"
	doorTLSSASL = "TLSSASL"
	twin        = "DIRECT"
)

// securityDoors are those of all brokers.
func securityDoors() (all []realkafka.Door) {
	for i, d := range []realkafka.Door{
		{Name: doorSASL, Protocol: "SASL_PLAINTEXT"},
		{Name: doorRenew, Protocol: "SASL_PLAINTEXT", Reauthenticate: session},
		{Name: doorTLS, Protocol: "SSL"},
		{Name: doorTLSSASL, Protocol: "SASL_SSL"},
	} {
		const firstPort = 9093
		d.Advertise = func(id, _ int) string { return fmt.Sprintf("kafka-%d.%s:%d", id, realDomain, firstPort+i) }
		past := d
		past.Name += twin
		past.Advertise = func(_, port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
		all = append(all, d, past)
	}
	return all
}

// A securityScenario is one way to authenticate.
type securityScenario struct {
	name, door       string
	protocol         string // of the brokers
	mechanism        string // empty: no SASL
	handshake        string // version of SaslHandshake; empty: chosen by the client
	refused, renewed bool   // with a wrong password; with more than one session
	full             bool   // not part of `make conformance`
}

// securityScenarios lists those of this run.
func securityScenarios() []securityScenario {
	const sasl = "SASL_PLAINTEXT"
	all := []securityScenario{
		{name: "PLAIN", door: doorSASL, protocol: sasl, mechanism: "PLAIN"},
		{name: "SCRAM-SHA-256", door: doorSASL, protocol: sasl, mechanism: "SCRAM-SHA-256", full: true},
		{name: "SCRAM-SHA-512", door: doorSASL, protocol: sasl, mechanism: "SCRAM-SHA-512"},
		{name: "OAUTHBEARER", door: doorSASL, protocol: sasl, mechanism: "OAUTHBEARER"},
		{name: "SaslHandshake v0, PLAIN", door: doorSASL, protocol: sasl, mechanism: "PLAIN", handshake: "0", full: true},
		{name: "SaslHandshake v0, SCRAM-SHA-512", door: doorSASL, protocol: sasl, mechanism: "SCRAM-SHA-512", handshake: "0"},
		{name: "re-authentication", door: doorRenew, protocol: sasl, mechanism: "SCRAM-SHA-256", renewed: true},
		{name: "wrong password", door: doorSASL, protocol: sasl, mechanism: "PLAIN", refused: true},
		{name: "TLS", door: doorTLS, protocol: "SSL", full: true},
		{name: "SASL over TLS", door: doorTLSSASL, protocol: "SASL_SSL", mechanism: "SCRAM-SHA-512"},
	}
	return slices.DeleteFunc(all, func(s securityScenario) bool { return s.full && !*compatFull })
}

// words returns the arguments of a client. Through the tunnel it does not use TLS.
func (s securityScenario) words(direct bool, ca string) (words []string) {
	protocol := s.protocol
	if !direct {
		protocol = map[string]string{"SSL": "PLAINTEXT", "SASL_SSL": "SASL_PLAINTEXT"}[protocol]
		if protocol == "" {
			protocol = s.protocol
		}
	}
	words = append(words, "security="+protocol)
	if strings.HasSuffix(protocol, "SSL") {
		words = append(words, "ca="+ca)
	}
	if s.mechanism != "" {
		password := securityPassword
		if s.refused {
			password = wrongPassword
		}
		words = append(words, "mechanism="+s.mechanism, "username="+securityUser, "password="+password)
	}
	if s.handshake != "" {
		words = append(words, "handshake="+s.handshake)
	}
	return words
}

// tasks are the tasks of an authenticated client. It sends nothing else to the brokers before,
// which could differ.
// would differ.
func (s securityScenario) tasks(words []string) (produce, consume compatScenario) {
	produce = compatScenario{name: s.name + " produce", count: 100, task: append([]string{"do=produce"}, words...), check: checkProduced}
	consume = compatScenario{name: s.name + " consume", count: 100, task: append([]string{"do=consume"}, words...), check: checkConsumed, feeds: true}
	if s.refused {
		produce.count = 1 // some authenticate again with each record
	}
	if s.renewed {
		produce.count, consume.count, consume.over = 40, 40, sessions
		over := fmt.Sprintf("over=%d", int(sessions.Seconds()))
		produce.task, consume.task = append(produce.task, over), append(consume.task, over)
	}
	return produce, consume
}
