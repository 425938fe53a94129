//go:build conformance

package conformance

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

var compatOut = flag.String("compat.out", "", "write what the tests have found into this file, once all of them have passed")

// pageSections are the parts of docs/compatibility.md, in its order.
var pageSections = []string{"releases", "events", "leader changes", "rolling restarts", "security", "differences"}

// page collects what the tests of a run have to say in docs/compatibility.md.
var page struct {
	mu   sync.Mutex
	text map[string]string
}

// section puts Markdown into the page, under a name of pageSections.
func section(name, markdown string) {
	page.mu.Lock()
	defer page.mu.Unlock()
	if page.text == nil {
		page.text = map[string]string{}
	}
	page.text[name] = markdown
}

// writePage writes the page if all its parts are there.
func writePage(file string) error {
	page.mu.Lock()
	defer page.mu.Unlock()
	var b strings.Builder
	b.WriteString("<!-- Written by a run: make conformance-full. Do not edit. -->\n\n# Compatibility\n")
	for _, name := range pageSections {
		text, ok := page.text[name]
		if !ok {
			return fmt.Errorf("nothing is known for the part %q of %s", name, file)
		}
		b.WriteString("\n" + strings.TrimSpace(text) + "\n")
	}
	for name := range page.text {
		if !slices.Contains(pageSections, name) {
			return fmt.Errorf("%s has no part %q", file, name)
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
