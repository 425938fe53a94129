package wire

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocs: the numbers in docs/protocol.md are those of this package.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	versions := 0
	for _, api := range APIs() {
		versions += int(api.MaxVersion) + 1
	}
	for _, row := range []string{
		fmt.Sprintf("| APIs | 19 | %d |", len(APIs())),
		fmt.Sprintf("| versions of them | 32 | %d |", versions),
		fmt.Sprintf("| error codes | 37 | %d |", len(Errors())),
	} {
		if !strings.Contains(string(text), "\n"+row+"\n") {
			t.Errorf("docs/protocol.md has no %s", row)
		}
	}
}
