//go:build conformance

package conformance

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A compatTable collects the verdicts of a run.
type compatTable struct {
	began    time.Time
	clients  []compatClient
	releases []string

	cells []compatCell
}

type compatCell struct {
	Client, Release, Scenario string
	verdict
}

// differences lists what works only without the tunnel, or only through it.
func differences(cells []compatCell) (lines []string) {
	for _, cell := range cells {
		if !cell.Same {
			lines = append(lines, fmt.Sprintf("%s, Kafka %s, %s: %s", cell.Client, cell.Release, cell.Scenario, cell.Why))
		}
	}
	slices.Sort(lines)
	return lines
}

// reasons lists what does not work without the tunnel either, with the client's error.
func (c *compatTable) reasons() string {
	var lines []string
	for _, cell := range c.cells {
		if cell.Same && !cell.Works && !cell.Unsupported {
			lines = append(lines, fmt.Sprintf("%s, Kafka %s, %s: %s", cell.Client, cell.Release, cell.Scenario, cell.Why))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// find returns the verdicts of one client, for one release or one scenario, or all.
func (c *compatTable) find(client, release, scenario string) (found []compatCell) {
	for _, cell := range c.cells {
		if cell.Client == client && (release == "" || cell.Release == release) && (scenario == "" || cell.Scenario == scenario) {
			found = append(found, cell)
		}
	}
	return found
}

// byRelease is the table of clients and releases: the number of scenarios in which a client
// works, and of all scenarios for the release.
func (c *compatTable) byRelease() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| client | %s |\n|---|%s\n", strings.Join(c.releases, " | "), strings.Repeat("---|", len(c.releases)))
	for _, client := range c.clients {
		fmt.Fprintf(&b, "| %s |", client.title())
		for _, release := range c.releases {
			cells := c.find(client.title(), release, "")
			works, differs := 0, 0
			for _, cell := range cells {
				switch {
				case !cell.Same:
					differs++
				case cell.Works:
					works++
				}
			}
			switch {
			case len(cells) == 0:
				b.WriteString(" |")
			case differs > 0:
				fmt.Fprintf(&b, " **%d differ** |", differs)
			case works == 0:
				b.WriteString(" none |")
			default:
				fmt.Fprintf(&b, " %d of %d |", works, len(cells))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// byScenario is the table of scenarios and clients: the releases with which it works.
func (c *compatTable) byScenario() string {
	var b strings.Builder
	b.WriteString("| scenario |")
	for _, client := range c.clients {
		fmt.Fprintf(&b, " %s |", client.title())
	}
	fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat("---|", len(c.clients)))
	for _, s := range compatScenarios() {
		fmt.Fprintf(&b, "| %s |", s.name)
		for _, client := range c.clients {
			fmt.Fprintf(&b, " %s |", withReleases(c.find(client.title(), "", s.name)))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// withReleases names the releases with which something works; the cells are in their order.
func withReleases(cells []compatCell) string {
	var works, not, differs []string
	unsupported := false
	for _, cell := range cells {
		unsupported = unsupported || cell.Unsupported
		switch {
		case !cell.Same:
			differs = append(differs, cell.Release)
		case cell.Works:
			works = append(works, cell.Release)
		default:
			not = append(not, cell.Release)
		}
	}
	switch {
	case len(cells) == 0:
		return ""
	case len(differs) > 0:
		return "**differs** with " + strings.Join(differs, ", ")
	case len(not) == 0:
		return "yes"
	case len(works) == 0 && unsupported:
		return "–"
	case len(works) == 0:
		return "no"
	case slices.Equal(works, releasesOf(cells[len(cells)-len(works):])):
		return "from " + works[0]
	case slices.Equal(works, releasesOf(cells[:len(works)])):
		return "to " + works[len(works)-1]
	}
	return "not with " + strings.Join(not, ", ")
}

func releasesOf(cells []compatCell) (releases []string) {
	for _, cell := range cells {
		releases = append(releases, cell.Release)
	}
	return releases
}

// sections adds the table to docs/compatibility.md.
func (c *compatTable) sections(t *testing.T) {
	t.Helper()
	var protocols []string
	for _, client := range c.clients {
		if !slices.Contains(protocols, client.protocol) {
			protocols = append(protocols, client.protocol)
		}
	}
	section(t, "releases", c.began, fmt.Sprintf(`Which releases of Kafka and which clients work through the tunnel. Each client was run with each release, without the tunnel and through it: SOCKS5 with a JWT, Cloud Connector, three brokers with the ids 1, 1001 and 70000 whose names do not resolve. The results were checked in the brokers: every record, its headers and its order in the partition, and the committed offsets of groups. Only the Cloud Connector connected to the brokers, no real name was sent to a client, and no name server was queried for one. Kafka Streams runs only scenarios of its own.

%d clients, %d implementations of the protocol, %d releases of Kafka, %d scenarios. Run on %s, of commit %s; the code of internal/kafka and internal/session was %s.

The number of scenarios that work through the tunnel as they do without it, of all scenarios for the release. A scenario that does not work through the tunnel does not work without it either:

%s
The releases with which each scenario works ("–": the client does not support it; "no": it does not work without the tunnel either):

%s`,
		len(c.clients), len(protocols), len(c.releases), len(compatScenarios()),
		c.began.UTC().Format(time.DateOnly), commit(t), digestOfCode(t), c.byRelease(), c.byScenario()+notInstalled()))
}

// quick puts the table into the section of the quick part.
func (c *compatTable) quick(t *testing.T) {
	t.Helper()
	page.mu.Lock()
	defer page.mu.Unlock()
	page.quick = fmt.Sprintf(`These clients and releases are tested for every change. Run on %s, of commit %s; the code of internal/kafka and internal/session was that with the digest %s. In how many of its scenarios a client works through the tunnel as it does without it:

%s`, c.began.UTC().Format(time.DateOnly), commit(t), digestOfCode(t), c.byRelease())
}

// commit returns the commit that is checked out.
func commit(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(deadline(t), "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// digestOfCode identifies the code on which the table depends most, like .ci/compatibility.
func digestOfCode(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(deadline(t), "../../.ci/compatibility", "digest").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestWithReleases: the text of a cell.
func TestWithReleases(t *testing.T) {
	good, bad := verdict{Same: true, Works: true}, verdict{Same: true}
	none, other := verdict{Same: true, Unsupported: true}, verdict{}
	for _, tt := range []struct {
		verdicts []verdict
		want     string
	}{
		{nil, ""},
		{[]verdict{good, good}, "yes"},
		{[]verdict{bad, good, good}, "from 2"},
		{[]verdict{good, good, bad}, "to 2"},
		{[]verdict{good, bad, good}, "not with 2"},
		{[]verdict{bad, bad}, "no"},
		{[]verdict{none, none}, "–"},
		{[]verdict{good, other}, "**differs** with 2"},
	} {
		var cells []compatCell
		for i, v := range tt.verdicts {
			cells = append(cells, compatCell{Release: strconv.Itoa(i + 1), verdict: v})
		}
		if got := withReleases(cells); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.verdicts, got, tt.want)
		}
	}
}
