package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Formats are the formats for responses.
var formats = []string{"json", "yaml", "table"}

// Formats returns the names of the formats.
func Formats() []string { return slices.Clone(formats) }

// Print prints one JSON value in a format.
func Print(out io.Writer, format string, value []byte) error {
	switch format {
	case "json":
		var b bytes.Buffer
		if err := json.Indent(&b, value, "", "  "); err != nil {
			return err
		}
		b.WriteByte('\n')
		_, err := b.WriteTo(out)
		return err
	case "yaml":
		// JSON is a subset of YAML: parsed as YAML, it keeps the order of its fields.
		var node yaml.Node
		if err := yaml.Unmarshal(value, &node); err != nil {
			return err
		}
		block(&node)
		w := yaml.NewEncoder(out)
		w.SetIndent(2)
		if err := w.Encode(&node); err != nil {
			return err
		}
		return w.Close()
	case "table":
		return printTables(out, value)
	}
	return fmt.Errorf("format %q is not one of %s", format, strings.Join(formats, ", "))
}

// block removes the style of JSON.
func block(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Style&yaml.DoubleQuotedStyle != 0 && unquoted(n.Value) {
		n.Style = 0
	}
	if len(n.Content) == 0 && n.Kind != yaml.ScalarNode {
		n.Style |= yaml.FlowStyle // [] and {}
	}
	for _, c := range n.Content {
		block(c)
	}
}

// unquoted reports whether YAML reads the string as a string without quotes.
func unquoted(s string) bool {
	var back any
	err := yaml.Unmarshal([]byte(s), &back)
	text, ok := back.(string)
	return err == nil && ok && text == s && !strings.ContainsAny(s, "\n\t#")
}
