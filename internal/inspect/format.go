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

// Formats are those in which answers are printed.
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
		// JSON is YAML: read as such, it keeps the order of its fields.
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

// block takes away what makes YAML look like JSON.
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

// unquoted reports whether a string is one without quotes too.
func unquoted(s string) bool {
	var back any
	err := yaml.Unmarshal([]byte(s), &back)
	text, ok := back.(string)
	return err == nil && ok && text == s && !strings.ContainsAny(s, "\n\t#")
}
