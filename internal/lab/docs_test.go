package lab

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// curlLine is a line of docs/lab.md that talks to the control port.
var curlLine = regexp.MustCompile(`(?m)^curl (?:-X ([A-Z]+) )?\$CONTROL(/\S*)(?: -d '([^']*)')?$`)

// TestCurlLinesWork sends what the curl lines of docs/lab.md send, in their order.
func TestCurlLinesWork(t *testing.T) {
	page, err := os.ReadFile("../../docs/lab.md")
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, Options{Destination: true})
	lines := curlLine.FindAllStringSubmatch(string(page), -1)
	if all := strings.Count(string(page), "$CONTROL/"); len(lines) != all || all < 8 {
		t.Errorf("%d of %d lines are understood", len(lines), all)
	}
	known := strings.Join(l.Bootstrap(), " ")
	for _, line := range lines {
		method, path, body := line[1], line[2], line[3]
		if method == "" {
			method = "GET"
		}
		want := map[string]int{"GET": 200, "PUT": 200, "POST": 201, "DELETE": 204}[method]
		if status, answer := call(t, l, method, path, body); status != want {
			t.Errorf("%s: %d %s", line[0], status, answer)
		}
		for _, f := range l.Faults().List() {
			if f.Target != "" && !strings.Contains(known, f.Target) {
				t.Errorf("%s: there is no %s, but %s", line[0], f.Target, known)
			}
		}
	}
	if list := l.Faults().List(); len(list) != 0 {
		t.Errorf("left over: %v", list)
	}
}

// TestFieldsAreExplained: docs/lab.md and the package comment name every field.
func TestFieldsAreExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/lab.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("lab.go")
	if err != nil {
		t.Fatal(err)
	}
	_, explained, _ := strings.Cut(string(page), "The fields:")
	explained, _, _ = strings.Cut(explained, "## ")
	for _, k := range faults.Kinds() {
		for _, field := range append(k.Takes, "kind", "for") {
			if !strings.Contains(explained, "`"+field+"`") {
				t.Errorf("docs/lab.md does not explain %q", field)
			}
			if !strings.Contains(string(source), `"`+field+`"`) {
				t.Errorf("the package comment does not name %q", field)
			}
		}
	}
}
