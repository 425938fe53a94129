//go:build conformance

package conformance

import (
	"cmp"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A compatTable collects the verdicts of a run.
type compatTable struct {
	began    time.Time
	clients  []compatClient
	releases []string

	mu    sync.Mutex
	cells []compatCell
}

type compatCell struct {
	client, release, scenario string
	verdict
}

func (c *compatTable) put(client compatClient, release string, s compatScenario, v verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cells = append(c.cells, compatCell{client.title(), release, s.name, v})
}

// differences lists what works past the tunnel alone, or through it alone.
func (c *compatTable) differences() (lines []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cell := range c.cells {
		if !cell.same {
			lines = append(lines, fmt.Sprintf("%s, Kafka %s, %s: %s", cell.client, cell.release, cell.scenario, cell.why))
		}
	}
	slices.Sort(lines)
	return lines
}

// reasons lists what does not work past the tunnel either, with what the client says.
func (c *compatTable) reasons() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, cell := range c.cells {
		if cell.same && !cell.works && !cell.unsupported {
			lines = append(lines, fmt.Sprintf("%s, Kafka %s, %s: %s", cell.client, cell.release, cell.scenario, cell.why))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// cell returns what stands in the table for one client and one release: how many
// scenarios are the same, and which ones do not work past the tunnel either.
func (c *compatTable) cell(client, release string) string {
	same, all := 0, 0
	var not, differs []string
	for _, s := range compatScenarios() {
		for _, cell := range c.cells {
			if cell.client != client || cell.release != release || cell.scenario != s.name {
				continue
			}
			all++
			switch {
			case !cell.same:
				differs = append(differs, s.name)
			case cell.works:
				same++
			default:
				not = append(not, s.name)
			}
		}
	}
	switch {
	case len(differs) > 0:
		return "**differs**: " + strings.Join(differs, ", ")
	case all == 0:
		return ""
	case same == 0:
		return "none, as direct"
	case len(not) == 0:
		return fmt.Sprintf("all %d", all)
	}
	return fmt.Sprintf("%d; not: %s", same, strings.Join(not, ", "))
}

// markdown is the table.
func (c *compatTable) markdown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "| client | %s |\n|---|%s\n", strings.Join(c.releases, " | "), strings.Repeat("---|", len(c.releases)))
	for _, client := range c.clients {
		fmt.Fprintf(&b, "| %s |", client.title())
		for _, release := range c.releases {
			fmt.Fprintf(&b, " %s |", c.cell(client.title(), release))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// sections puts the table into docs/compatibility.md.
func (c *compatTable) sections(t *testing.T) {
	t.Helper()
	var names, protocols []string
	for _, s := range compatScenarios() {
		names = append(names, s.name)
	}
	for _, client := range c.clients {
		if !slices.Contains(protocols, client.protocol) {
			protocols = append(protocols, client.protocol)
		}
	}
	var differ strings.Builder
	for _, line := range c.differences() {
		fmt.Fprintf(&differ, "- %s\n", line)
	}
	section("releases", fmt.Sprintf(`Which releases of Kafka and which clients work through the tunnel: each client of this table was run against each release, past the tunnel and through it (SOCKS5 with a JWT, Cloud Connector, three brokers with the ids 1, 1001 and 70000 whose names do not resolve). What came of it was compared in the brokers: every record, its headers and its order in the partition, the offsets that groups have committed. A cell says in how many scenarios the client works through the tunnel as it does past it, and which ones it cannot do past the tunnel either, because the client or the release does not know them.

%d clients, %d implementations of the protocol, %d releases of Kafka, %d scenarios: %s.

Run on %s in %v, of commit %s; the code of internal/kafka and internal/session was %s.

%s`,
		len(c.clients), len(protocols), len(c.releases), len(names), strings.Join(names, "; "),
		c.began.UTC().Format(time.DateOnly), time.Since(c.began).Round(time.Second), commit(t), digestOfCode(t), c.markdown()))
	section("differences", cmp.Or(differ.String(), "No difference was found.\n")+`
What a newer release of Kafka needs: [new-kafka-release.md](new-kafka-release.md). Recommended settings and traps of each client: [clients.md](clients.md).
`)
}

// commit is the one that was checked out.
func commit(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(deadline(t), "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// digestOfCode identifies the code on which the table depends most, as .ci/compatibility
// does.
func digestOfCode(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(deadline(t), "../../.ci/compatibility", "digest").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
