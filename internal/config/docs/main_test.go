package main

import (
	"os"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
)

// TestPageIsCurrent: the page names every key with its default, as the schema does.
func TestPageIsCurrent(t *testing.T) {
	text, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != page() {
		t.Error("docs/configuration.md is not current: go generate ./internal/config")
	}
	for _, k := range config.Keys() {
		if !strings.Contains(string(text), "| `"+k.Name()+"` | ") || k.Default != "" && !strings.Contains(string(text), "`"+k.Default+"`") {
			t.Errorf("the page lacks %s or its default", k.Name())
		}
	}
}

// TestReadmeLinksToThePage of all keys.
func TestReadmeLinksToThePage(t *testing.T) {
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "(docs/configuration.md)") {
		t.Error("README.md has no link to docs/configuration.md")
	}
}
