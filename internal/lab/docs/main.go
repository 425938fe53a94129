// Command docs writes the table of faults into docs/lab.md, between its two markers; the rest
// of that page is hand-written.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// The markers in the page.
const (
	begin = "<!-- kinds: written by go generate ./internal/lab from internal/lab/faults/kinds.go -->\n"
	end   = "<!-- end of kinds -->\n"
)

func main() {
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(path string) error {
	page, err := os.ReadFile(path) //nolint:gosec // the path is on the command line
	if err != nil {
		return err
	}
	filled, err := fill(string(page), table(faults.Kinds()))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(filled), 0o644) //nolint:gosec // a document
}

// fill puts a table between the markers of a page.
func fill(page, table string) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", errors.New("the markers of the table are missing")
	}
	return before + begin + table + end + after, nil
}

// table returns the kinds as a Markdown table.
func table(kinds []faults.KindInfo) string {
	var b strings.Builder
	b.WriteString("| kind | what happens | fields besides `for` |\n|---|---|---|\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Kind, k.Text, fields(k))
	}
	return b.String()
}

// fields returns the cell with a kind's fields.
func fields(k faults.KindInfo) string {
	if k.Now && len(k.Takes) == 0 {
		return "none, not even `for`: happens once, immediately"
	}
	var list []string
	for _, field := range k.Takes {
		word := "`" + field + "`"
		if field == "mode" {
			word += " (" + strings.Join(k.Modes, ", ") + ")"
		}
		if field == k.Needs {
			word += " (required)"
		}
		list = append(list, word)
	}
	text := strings.Join(list, ", ")
	if k.Now {
		text += "; no `for`: happens once, immediately"
	}
	return text
}
