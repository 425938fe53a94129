package main

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestThePageIsCurrent: docs/lab.md lists the kinds as they are.
func TestThePageIsCurrent(t *testing.T) {
	page, err := os.ReadFile("../../../docs/lab.md")
	if err != nil {
		t.Fatal(err)
	}
	filled, err := fill(string(page), table(faults.Kinds()))
	if err != nil {
		t.Fatal(err)
	}
	if filled != string(page) {
		t.Error("docs/lab.md is not current: go generate ./internal/lab")
	}
}

func TestTable(t *testing.T) {
	got := table([]faults.KindInfo{
		{Kind: "a", Text: "first", Takes: []string{"mode", "delay"}, Modes: []string{"x", "y"}, Needs: "delay"},
		{Kind: "b", Text: "second", Now: true},
		{Kind: "c", Text: "third", Takes: []string{"target"}, Now: true},
		{Kind: "d", Text: "fourth"},
	})
	for _, want := range []string{
		"| `a` | first | `mode` (x, y), `delay` (required) |\n",
		"| `b` | second | none, not even `for`: happens once, immediately |\n",
		"| `c` | third | `target`; no `for`: happens once, immediately |\n",
		"| `d` | fourth |  |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	if _, err := fill("no marks", got); err == nil {
		t.Error("a page without marks was filled")
	}
}
