package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// An objectList is the form of a list of mappings with single values: address_map,
// forwards.
type objectList struct {
	what    string   // "rules"
	example string   // of the list
	one     string   // one of them, with an example
	fields  []string // the needed ones first
	needed  int      // how many of them
}

// objects reads such a list. next begins another object, set understands one field of
// the newest. It reports whether all of it was understood.
func (r *reader) objects(n *yaml.Node, id string, list objectList, next func(), set func(name, text string) *fault) bool {
	if n.Kind == yaml.ScalarNode && n.Value == "" {
		return true
	}
	if n.Kind != yaml.SequenceNode {
		r.wrong(n, id, "wants a list of "+list.what+" such as "+list.example+", but is "+form(n))
		return false
	}
	ok := true
	for i, item := range n.Content {
		item = resolve(item)
		where := fmt.Sprintf("%s[%d]", id, i)
		if item.Kind != yaml.MappingNode {
			r.wrong(item, where, "wants "+list.one+", but is "+formOrNothing(item))
			ok = false
			continue
		}
		next()
		given := map[string]bool{}
		r.mapping(item, where, list.fields, func(name string, value *yaml.Node) {
			if value.Kind != yaml.ScalarNode {
				r.wrong(value, where+"."+name, "wants a single value, but is "+form(value))
				ok = false
				return
			}
			if isNull(value) {
				return
			}
			given[name] = true
			if wrong := set(name, value.Value); wrong != nil {
				r.report(Problem{Key: where + "." + name, Source: r.source(value.Line), Value: brief(value.Value), Message: wrong.message, Nearest: wrong.nearest})
				ok = false
			}
		})
		for _, name := range list.fields[:list.needed] {
			if !given[name] && ok {
				r.wrong(item, where, "lacks "+name)
				ok = false
			}
		}
	}
	return ok
}

// flow understands the YAML flow text of a variable as far as it is YAML, and returns a
// reader for it; example is shown where it is not.
func flow(text, id, source, example string, keys []key, report func(Problem)) (*reader, *yaml.Node, bool) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil || len(node.Content) == 0 {
		message := "is not valid YAML"
		if err != nil {
			message = yamlMessage(err)
		}
		report(Problem{Key: id, Source: source, Value: brief(text), Message: message, Nearest: example})
		return nil, nil, false
	}
	return &reader{source: func(int) string { return source }, report: report, allKeys: keys}, resolve(node.Content[0]), true
}
