package inspect

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

// printTables prints a response as tables: single fields as names and values, and each array of
// structs as a table of its own, whose rows begin with the columns of the outer row. Arrays of
// values are one cell.
//
//	clusterId: ...        topics                       topics.partitions
//	                      name    topicId              name    partitionIndex  leaderId
//	                      orders  hJpLQVCvSRmVw...     orders  0               2
func printTables(out io.Writer, value []byte) error {
	var doc yaml.Node // keeps the order of the fields
	if err := yaml.Unmarshal(value, &doc); err != nil {
		return err
	}
	t := tables{rows: map[string]*section{}}
	t.object("", nil, doc.Content[0])
	for _, name := range t.names {
		if err := t.rows[name].print(out, name); err != nil {
			return err
		}
	}
	return nil
}

// tables are those of a response, in the order of their first rows.
type tables struct {
	names []string
	rows  map[string]*section
}

// A section is one table.
type section struct {
	columns []string
	rows    []map[string]string
}

// object adds a struct. key distinguishes its rows from others.
func (t *tables) object(path string, key []pair, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		key = append(slices.Clone(key), pair{"value", cell(n)})
		t.add(path, key)
		return
	}
	own := slices.Clone(key)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if name, v := n.Content[i].Value, n.Content[i+1]; !nested(v) {
			own = append(own, pair{name, cell(v)})
		}
	}
	if len(own) > len(key) || path != "" {
		t.add(path, own)
	}
	below := slices.Clone(key)
	// The first field of its own is the name, or the index.
	if i := slices.IndexFunc(own[len(key):], func(p pair) bool { return !strings.Contains(strings.ToLower(p.name), "error") }); i >= 0 && path != "" {
		below = append(below, own[len(key)+i])
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, v := n.Content[i].Value, n.Content[i+1]
		if !nested(v) {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		if v.Kind == yaml.MappingNode {
			t.object(at, below, v)
			continue
		}
		for _, element := range v.Content {
			t.object(at, below, element)
		}
	}
}

type pair struct{ name, value string }

func (t *tables) add(path string, row []pair) {
	s := t.rows[path]
	if s == nil {
		s = &section{}
		t.rows[path] = s
		t.names = append(t.names, path)
	}
	cells := map[string]string{}
	for _, p := range row {
		for cells[p.name] != "" { // a field of the outer row has the same name
			p.name += "'"
		}
		if !slices.Contains(s.columns, p.name) {
			s.columns = append(s.columns, p.name)
		}
		cells[p.name] = p.value
	}
	s.rows = append(s.rows, cells)
}

func (s *section) print(out io.Writer, name string) error {
	if name == "" { // the response itself has one row
		for _, column := range s.columns {
			if _, err := fmt.Fprintf(out, "%s: %s\n", oneLine(out, column), oneLine(out, s.rows[0][column])); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := fmt.Fprintf(out, "\n%s\n", oneLine(out, name)); err != nil {
		return err
	}
	rows := [][]string{s.columns}
	for _, row := range s.rows {
		cells := make([]string, len(s.columns))
		for i, column := range s.columns {
			cells[i] = row[column]
		}
		rows = append(rows, cells)
	}
	return terminal.Table(out, rows...)
}

// nested reports whether a value gets a table of its own: a struct, or an array of structs. The
// meaning of an error code is a cell.
func nested(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.MappingNode:
		return !isError(n)
	case yaml.SequenceNode:
		return len(n.Content) > 0 && n.Content[0].Kind != yaml.ScalarNode
	}
	return false
}

// isError reports whether a struct is the meaning of an error code.
func isError(n *yaml.Node) bool {
	return len(n.Content) == 8 && n.Content[0].Value == "code" && n.Content[2].Value == "name" && n.Content[4].Value == "retriable"
}

func cell(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		return "[]"
	case n.Kind == yaml.SequenceNode:
		words := make([]string, len(n.Content))
		for i, one := range n.Content {
			words[i] = cell(one)
		}
		return strings.Join(words, ",")
	case n.Kind == yaml.MappingNode:
		return n.Content[3].Value
	case n.Tag == "!!null":
		return "-"
	case n.Value == "":
		return `""`
	}
	return n.Value
}
