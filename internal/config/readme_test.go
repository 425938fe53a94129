package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The table in README.md names every key with its default.
func TestReadmeNamesEveryKey(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(readme), "\n## Configuration\n")
	table, _, _ = strings.Cut(table, "\n## ")
	if !found {
		t.Fatal("README.md has no section Configuration")
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := map[string][]string{} // key -> cells
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 3 {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(cells[0], -1) {
			rows[strings.Replace(m[1], "clusters[].", "clusters.", 1)] = cells
		}
	}
	for _, k := range Keys() {
		cells, ok := rows[k.Name]
		if !ok {
			t.Errorf("the table lacks %s", k.Name)
			continue
		}
		delete(rows, k.Name)
		if k.Default != "" && !strings.Contains(cells[1], "`"+k.Default+"`") {
			t.Errorf("%s: the table says %q, the default is %q", k.Name, strings.TrimSpace(cells[1]), k.Default)
		}
	}
	for key := range rows {
		t.Errorf("the table names %s, which is no key", key)
	}
}
