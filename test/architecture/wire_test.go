package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWireIsIndependent: wire, which other modules import, links nothing of this program, neither
// a Kafka client nor brokers, and does not name the program to a broker or in an error.
func TestWireIsIndependent(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"wire", module+"wire/pcap").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dependency := range strings.Lines(string(out)) {
		for _, forbidden := range []string{module + "internal/", "github.com/twmb/franz-go/pkg/kgo", "github.com/twmb/franz-go/pkg/kadm", "github.com/twmb/franz-go/pkg/kfake"} {
			if strings.HasPrefix(dependency, forbidden) {
				t.Errorf("wire links %s", strings.TrimSpace(dependency))
			}
		}
	}
	var files []string
	for _, pattern := range []string{"../../wire/*.go", "../../wire/pcap/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 10 {
		t.Fatalf("only %d files of wire", len(files))
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if _, ok := n.(*ast.ImportSpec); ok {
				return false
			}
			if text, ok := n.(*ast.BasicLit); ok && strings.Contains(text.Value, "kafka-tunnel") {
				t.Errorf("%s: %s", set.Position(text.Pos()), text.Value)
			}
			return true
		})
	}
}
