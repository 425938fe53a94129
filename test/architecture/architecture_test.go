// Package architecture compares ARCHITECTURE.md with the code.
package architecture

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/kafka-tunnel/kafka-tunnel/"

// mapLine is a line of the map: a package, and what it is for.
var mapLine = regexp.MustCompile(`^    +((?:cmd|internal|test|wire|bench)[\w/-]*)  +\S`)

// readMap returns the packages of the map, by their line.
func readMap(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for i, line := range strings.Split(string(text), "\n") {
		if m := mapLine.FindStringSubmatch(line); m != nil {
			if _, twice := lines[m[1]]; twice {
				t.Errorf("%s is on the map twice", m[1])
			}
			lines[m[1]] = i
		}
	}
	return lines
}

// lineOf returns the line of a package, or of the one that it is a part of.
func lineOf(lines map[string]int, pkg string) (int, bool) {
	for {
		if line, ok := lines[pkg]; ok {
			return line, true
		}
		i := strings.LastIndexByte(pkg, '/')
		if i < 0 {
			return 0, false
		}
		pkg = pkg[:i]
	}
}

// TestImportsPointDownwards: every package is on the map, and imports only packages that
// are further down.
func TestImportsPointDownwards(t *testing.T) {
	lines := readMap(t)
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "../../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for list := range strings.Lines(string(out)) {
		fields := strings.Fields(list)
		pkg := strings.TrimPrefix(fields[0], module)
		seen[pkg] = true
		from, ok := lineOf(lines, pkg)
		if !ok {
			t.Errorf("%s is not on the map", pkg)
			continue
		}
		for _, imported := range fields[1:] {
			name, ours := strings.CutPrefix(imported, module)
			if to, ok := lineOf(lines, name); ours && ok && to < from {
				t.Errorf("%s imports %s, which the map has further up", pkg, name)
			}
		}
	}
	for pkg := range lines {
		if _, err := os.Stat("../../" + pkg); err != nil {
			t.Errorf("%s is on the map and does not exist", pkg)
		}
	}
}
