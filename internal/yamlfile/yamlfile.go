// Package yamlfile parses YAML into nodes, which know their lines and keep numbers as written
// (007). Its errors contain nothing of the content, which may be a secret.
package yamlfile

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse returns the root of the only document, or a null if there is none. If there is an error
// after the first document, it returns both.
func Parse(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	err := decoder.Decode(&first)
	if err == nil {
		err = decoder.Decode(&second)
	}
	switch {
	case err == nil:
		err = errors.New("has more than one YAML document")
	case errors.Is(err, io.EOF):
		err = nil
	default:
		err = errors.New("is not valid YAML: " + message(err))
	}
	if len(first.Content) == 0 {
		return Null(), err
	}
	return Resolve(first.Content[0]), err
}

var (
	line = regexp.MustCompile("^line [0-9]+: ")
	// indicator is a character that the parser's errors name, as in: did not find expected ','
	// or '}'.
	indicator = regexp.MustCompile(`'[^\pL\pN'"]'`)
)

// message returns the parser's error without any content: an anchor or a tag may be the
// beginning of a secret that should have been in quotes. Text that the parser quotes, other
// than its own indicators, comes from the content; message replaces such an error.
func message(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := line.FindString(text)
	problem := strings.TrimPrefix(text, at)
	switch {
	case strings.HasPrefix(problem, "unknown anchor "):
		problem = "an alias (*) refers to an anchor (&) that is not defined; a value that begins with * needs quotes"
	case strings.ContainsAny(indicator.ReplaceAllString(problem, ""), "'\"`"):
		problem = "a value does not match its tag (!) or is not valid"
	}
	return at + problem
}

// Resolve returns the node to which an alias refers, and any other node unchanged.
func Resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// Null returns a null with an empty text.
func Null() *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"} }

// IsNull reports whether a node is a null.
func IsNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// Field returns the first value of a name in a mapping that is not null, or the node of [Null]
// if there is none.
func Field(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		key, value := Resolve(n.Content[i]), Resolve(n.Content[i+1])
		if key.Kind == yaml.ScalarNode && key.Value == name && !IsNull(value) {
			return value
		}
	}
	return Null()
}

// Form names the kind of a node: "a list".
func Form(n *yaml.Node) string {
	switch {
	case IsNull(n):
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}
