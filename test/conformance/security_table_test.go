//go:build conformance

package conformance

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// A securityVerdict also has how often a client authenticated again on an existing connection.
type securityVerdict struct {
	verdict
	renewed int
}

// A securityTable collects the verdicts of a run.
type securityTable struct {
	clients  []compatClient
	releases []string
	began    time.Time

	mu    sync.Mutex
	cells map[[3]string]securityVerdict // by client, release, scenario
}

func (st *securityTable) put(client, release, scenario string, v securityVerdict) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.cells == nil {
		st.cells = map[[3]string]securityVerdict{}
	}
	st.cells[[3]string{client, release, scenario}] = v
}

// word returns the text of a cell.
func (v securityVerdict) word(s securityScenario) string {
	switch {
	case !v.Same:
		return "**differs**"
	case v.Unsupported:
		return "not supported"
	case !v.Works:
		return "fails, as direct"
	case s.renewed && v.renewed == 0:
		return "same, on new connections"
	}
	return "same"
}

// report adds the table to the log and to docs/compatibility.md, and fails the test if
// something differs.
func (st *securityTable) report(t *testing.T) {
	t.Helper()
	st.mu.Lock()
	defer st.mu.Unlock()
	var text, reasons strings.Builder
	text.WriteString(`## Security

SASL passes through the tunnel; TLS begins in the tunnel, and its clients use plaintext. Each client authenticated on both routes, without the tunnel with TLS of its own. It produced, and consumed in a group, and the results were compared as above. With a wrong password both runs must end with an authentication error. For re-authentication (KIP-368) the brokers ended sessions after ` + session.String() + `, while the client worked for ` + sessions.String() + `: "same" means that the tunnel saw SaslHandshake again on a connection that was already authenticated, "on new connections" that the client reconnected instead.
`)
	for _, release := range st.releases {
		fmt.Fprintf(&text, "\nKafka %s:\n\n| client |", release)
		for _, s := range securityScenarios() {
			fmt.Fprintf(&text, " %s |", s.name)
		}
		text.WriteString("\n|---" + strings.Repeat("|---", len(securityScenarios())) + "|\n")
		for _, c := range st.clients {
			fmt.Fprintf(&text, "| %s |", c.title())
			for _, s := range securityScenarios() {
				v, ok := st.cells[[3]string{c.title(), release, s.name}]
				if !ok {
					text.WriteString(" |")
					continue // the test has failed
				}
				fmt.Fprintf(&text, " %s |", v.word(s))
				if line := fmt.Sprintf("%s, Kafka %s, %s: %s", c.title(), release, s.name, v.Why); !v.Same {
					t.Error(line)
				} else if !v.Works && !v.Unsupported {
					reasons.WriteString(line + "\n")
				}
			}
			text.WriteByte('\n')
		}
	}
	t.Logf("does not work without the tunnel either:\n%s", reasons.String())
	section(t, "security", st.began, text.String())
}
