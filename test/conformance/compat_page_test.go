//go:build conformance

package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

var compatOut = flag.String("compat.out", "", "write the results to this file when all tests have passed; parts that an earlier run with the same code has finished are not repeated")

var compatQuick = flag.String("compat.quick", "", "put what the quick part of the compatibility tests has found into this page, once all tests have passed")

// pageSections are the parts of docs/compatibility.md that tests write, in its order.
var pageSections = []string{"releases", "events", "leader changes", "rolling restarts", "security"}

// guards find leaks in all parts except the leader changes.
var guards = []string{"guard_test.go", "strangers_test.go", "sniffer_linux_test.go"}

// partSources are the tests of which a part consists, by the first word of its name. The tested
// code, the clients and the brokers belong to all of them.
var partSources = map[string][]string{
	"release":  {"compat_test.go", "compat_clients_test.go", "compat_more_clients_test.go", "compat_scenarios_test.go", "compat_prepare_test.go", "compat_checks_test.go", "compat_topics_test.go"},
	"events":   {"events_test.go", "rebalance_test.go", "keep_test.go", "tally_test.go"},
	"leader":   {"leadertime_test.go", "leadertime_table_test.go", "leaders_test.go", "leaders"},
	"rolling":  {"rolling_test.go", "keep_test.go", "tally_test.go"},
	"security": {"security_test.go", "security_scenarios_test.go", "security_table_test.go", "compat_test.go", "compat_clients_test.go"},
}

// A part is the result of one test, or of one release of TestCompatibility.
type part struct {
	Text  string       `json:",omitempty"` // Markdown
	Cells []compatCell `json:",omitempty"`
	Began time.Time
	Took  time.Duration
	Where string // the commit
}

// page collects the parts of docs/compatibility.md.
var page struct {
	mu    sync.Mutex
	parts map[string]part
	quick string // Markdown of the quick part; "": it did not run as a whole
}

// keptPart returns the result of an earlier run with the same code: a whole run takes longer
// than some machines are available.
func keptPart(t *testing.T, name string) (p part, ok bool) {
	t.Helper()
	if *compatOut == "" {
		return p, false
	}
	file, err := partFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false
	}
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%q was found on %s, in %v", name, p.Began.UTC().Format(time.DateOnly), p.Took.Round(time.Second))
	addPart(name, p)
	return p, true
}

// section adds Markdown to the page, under a name of pageSections, for a test that began at the
// given time. It is kept if the test has passed so far.
func section(t *testing.T, name string, began time.Time, markdown string) {
	t.Helper()
	t.Logf("\n%s", markdown)
	if !t.Failed() {
		keepPart(t, name, part{Text: markdown, Began: began})
	}
}

// TestPartSources: every part except the one that consists of releases has sources, and they
// exist.
func TestPartSources(t *testing.T) {
	for _, section := range append(pageSections[1:], "release 4.3.1") {
		word, _, _ := strings.Cut(section, " ")
		if len(partSources[word]) == 0 {
			t.Errorf("%q has no sources", section)
		}
		for _, file := range append(guards, partSources[word]...) {
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
		}
	}
	one, err1 := partFile("release 4.3.1")
	other, err2 := partFile("release 4.4.0")
	if err := errors.Join(err1, err2); err != nil || filepath.Dir(one) != filepath.Dir(other) || one == other {
		t.Errorf("%s, %s: %v", one, other, err)
	}
}

// keepPart adds a part to the page and keeps it.
func keepPart(t *testing.T, name string, p part) {
	t.Helper()
	if *compatOut == "" {
		return
	}
	p.Took, p.Where = time.Since(p.Began), commit(t)
	addPart(name, p)
	file, err := partFile(name)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	var b []byte
	if err == nil {
		b, err = json.MarshalIndent(p, "", "\t")
	}
	if err == nil {
		err = os.WriteFile(file, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func addPart(name string, p part) {
	page.mu.Lock()
	defer page.mu.Unlock()
	if page.parts == nil {
		page.parts = map[string]part{}
	}
	page.parts[name] = p
}

// partFile returns the file for a part: in the cache, under the identity of the code.
func partFile(name string) (string, error) {
	cache, err := realkafka.CacheDir()
	if err != nil {
		return "", err
	}
	word, _, _ := strings.Cut(name, " ")
	args := slices.Concat([]string{"ls-files", "-z", "--", "../../go.mod", "../../cmd", "../../internal", "clients", "realkafka", "pom.xml"}, guards, partSources[word])
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("git ls-files: %w", err)
	}
	sum := sha256.New()
	for file := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if filepath.Ext(file) == ".md" {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n", file, len(b))
		sum.Write(b)
	}
	return filepath.Join(cache, "compatibility-"+hex.EncodeToString(sum.Sum(nil))[:12], strings.ReplaceAll(name, " ", "-")+".json"), nil
}

// quickHeading is that of the section of the quick part. A full run, which covers it, leaves it out.
const quickHeading = "## Since then: the quick part"

// writeQuick replaces the section of the quick part in the page.
func writeQuick(file string) error {
	page.mu.Lock()
	defer page.mu.Unlock()
	if page.quick == "" {
		return fmt.Errorf("the quick part did not run as a whole: %s is as it was", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(replaceSection(string(text), quickHeading, page.quick)), 0o644)
}

// replaceSection replaces the section under a heading of the second level. If there is none,
// it becomes the last one.
func replaceSection(text, heading, body string) string {
	before, after, found := strings.Cut(text, heading+"\n")
	if i := strings.Index(after, "\n## "); i >= 0 {
		after = after[i:]
	} else {
		after = ""
	}
	if !found {
		before, after = strings.TrimRight(text, "\n")+"\n\n", ""
	}
	return before + heading + "\n\n" + strings.TrimSpace(body) + "\n" + after
}

// TestReplaceSection: what is before and after a section stays, and it can be replaced again.
func TestReplaceSection(t *testing.T) {
	const heading = "## Two"
	for _, tt := range []struct{ text, want string }{
		{"# Page\n\n## One\n\n1\n", "# Page\n\n## One\n\n1\n\n## Two\n\nnew\n"},
		{"# Page\n\n## Two\n\nold\n", "# Page\n\n## Two\n\nnew\n"},
		{"# Page\n\n## Two\n\nold\n\n### Part\n\nold\n\n## Three\n\n3\n", "# Page\n\n## Two\n\nnew\n\n## Three\n\n3\n"},
	} {
		got := replaceSection(tt.text, heading, "new\n")
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
		if again := replaceSection(got, heading, "new\n"); again != got {
			t.Errorf("%q: replaced again it is %q", got, again)
		}
	}
}

// writePage writes the page if all its parts are there.
func writePage(file string) error {
	page.mu.Lock()
	defer page.mu.Unlock()
	text := "<!-- Written by a run: make conformance-full. Do not edit. -->\n\n# Compatibility\n"
	took := time.Duration(0)
	for name, p := range page.parts {
		if name != "releases" { // it consists of others
			took += p.Took
		}
	}
	for _, name := range pageSections {
		p, ok := page.parts[name]
		if !ok {
			return fmt.Errorf("the part %q of %s is missing", name, file)
		}
		text += "\n" + strings.TrimSpace(p.Text) + "\n"
	}
	text += fmt.Sprintf(`
## This run

The tests of this page took %v together, on %s. Newer releases of Kafka: [new-kafka-release.md](new-kafka-release.md). Recommended settings and known problems of each client: [clients.md](clients.md).
`, took.Round(time.Minute), page.parts["releases"].Began.UTC().Format(time.DateOnly))
	return os.WriteFile(file, []byte(text), 0o644)
}
