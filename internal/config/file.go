package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
)

// maxFile bounds the configuration file and the file of a secret.
const maxFile = 1 << 20

// maxClusters bounds the list of clusters. Each one has ports, metrics and a state
// of its own.
const maxClusters = 100

// readFile reads the configuration file and the files that it names.
func readFile(path string) ([]byte, error) { return boundedfile.Read(path, maxFile) }

// A document is what a file says.
type document struct {
	values settings
	// clusters is the number of entries of its list of clusters.
	clusters int
	broken   bool // its structure is not that of a configuration
}

// A reader turns YAML nodes into settings. It walks the nodes itself, because
// only they know lines, and so that a number such as 007 stays what was written.
type reader struct {
	source  func(line int) string
	report  func(Problem)
	doc     document
	allKeys []key
}

// parseFile reads a whole file.
func parseFile(path string, data []byte, keys []key, report func(Problem)) document {
	r := &reader{
		source:  func(line int) string { return fmt.Sprintf("file %s:%d", path, line) },
		report:  report,
		doc:     document{values: settings{}},
		allKeys: keys,
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return r.doc
	case err != nil:
		r.doc.broken = true
		report(Problem{Key: "config", Source: "file " + path, Message: yamlMessage(err)})
		return r.doc
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		report(Problem{Key: "config", Source: "file " + path, Message: yamlMessage(err)})
	default:
		report(Problem{Key: "config", Source: r.source(second.Line), Message: "holds more than one YAML document"})
	}
	r.root(resolve(first.Content[0]))
	return r.doc
}

var (
	yamlLine = regexp.MustCompile("^line [0-9]+: ")
	// yamlIndicator is a character that YAML's errors name: did not find expected ',' or '}'.
	yamlIndicator = regexp.MustCompile(`'[^\pL\pN'"]'`)
)

// yamlMessage says what is wrong without anything of the file: an anchor or a tag may be the
// beginning of a secret that should have been in quotes. What the parser quotes, apart from
// its own indicators, comes from the file; such a text is left out as a whole.
func yamlMessage(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := yamlLine.FindString(text)
	problem := strings.TrimPrefix(text, line)
	switch {
	case strings.HasPrefix(problem, "unknown anchor "):
		problem = "an alias (*) refers to an anchor (&) that is not defined; a value that begins with * needs quotes"
	case strings.ContainsAny(yamlIndicator.ReplaceAllString(problem, ""), "'\"`"):
		problem = "a value has another type than its tag (!) or cannot be used"
	}
	return "is not valid YAML: " + line + problem
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// form names what a node is.
func form(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

func (r *reader) wrong(n *yaml.Node, id, message string) {
	r.report(Problem{Key: id, Source: r.source(n.Line), Message: message})
}

// mapping calls visit for each key of a mapping that is known, and reports the
// others. where is its path, "" for the file itself.
func (r *reader) mapping(n *yaml.Node, where string, known []string, visit func(name string, value *yaml.Node)) {
	if where != "" {
		where += "."
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		if k.Kind != yaml.ScalarNode {
			r.wrong(n.Content[i], strings.TrimSuffix(where, "."), "has a key that is not a name")
			continue
		}
		name := k.Value
		if line, twice := seen[name]; twice {
			r.wrong(n.Content[i], where+brief(name), "is given twice, first in line "+strconv.Itoa(line))
			continue
		}
		seen[name] = n.Content[i].Line
		if !slices.Contains(known, name) {
			r.report(Problem{
				Key: where + brief(name), Source: r.source(n.Content[i].Line),
				Message: "unknown key", Nearest: r.nearestKey(where, name, known),
			})
			continue
		}
		visit(name, value)
	}
}

// nearestKey suggests a key of the same mapping, or one that has the same name in
// another. A path that was written as one key is suggested as the mapping it stands
// for.
func (r *reader) nearestKey(where, name string, known []string) string {
	if section, leaf, ok := strings.Cut(name, "."); ok && slices.ContainsFunc(r.allKeys, func(k key) bool { return k.name == name }) {
		return section + ": {" + leaf + ": ...}"
	}
	if near := nearest(name, known); near != "" {
		return where + near
	}
	for _, k := range r.allKeys {
		if k.leaf() == name || k.name == name || k.flagName() == name {
			if k.cluster {
				return "clusters[0]." + k.name
			}
			return k.name
		}
		if k.cluster && k.section() == name {
			return "clusters[0]." + name
		}
	}
	return ""
}

// root reads the file's mapping.
func (r *reader) root(n *yaml.Node) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.doc.broken = true
		r.wrong(n, "config", "is "+form(n)+" where a mapping of keys is expected")
		return
	}
	known := []string{"clusters"}
	sections := map[string][]key{}
	for _, k := range r.allKeys {
		if k.cluster {
			continue
		}
		if sections[k.section()] == nil {
			known = append(known, k.section())
		}
		sections[k.section()] = append(sections[k.section()], k)
	}
	r.mapping(n, "", known, func(name string, value *yaml.Node) {
		if name == "clusters" {
			r.clusters(value)
			return
		}
		if keys := sections[name]; len(keys) == 1 && keys[0].name == name {
			r.value(value, name, keys[0])
			return
		}
		r.section(value, name, "", name+".", sections[name])
	})
}

// clusters reads the list of clusters.
func (r *reader) clusters(n *yaml.Node) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.doc.broken = true
		r.wrong(n, "clusters", "wants a list of clusters, but is "+form(n))
		return
	}
	var keys []key
	for _, k := range r.allKeys {
		if k.cluster {
			keys = append(keys, k)
		}
	}
	if len(n.Content) > maxClusters {
		r.doc.broken = true
		r.wrong(n, "clusters", fmt.Sprintf("lists %d clusters; at most %d are possible", len(n.Content), maxClusters))
		return
	}
	for i, item := range n.Content {
		id := clusterID(i)
		r.doc.clusters = i + 1
		r.section(resolve(item), id, id+".", "", keys)
	}
}

// section reads a mapping of keys with values. idPrefix comes before the names of
// keys to make their ids; within is the part of these names that the mapping itself
// stands for. A key whose name goes on behind a dot stands in a mapping of its own.
func (r *reader) section(n *yaml.Node, where, idPrefix, within string, keys []key) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.doc.broken = true
		r.wrong(n, where, "wants a mapping of keys, but is "+form(n))
		return
	}
	byName, inner := map[string]key{}, map[string][]key{}
	var known []string
	for _, k := range keys {
		name, _, deeper := strings.Cut(strings.TrimPrefix(k.name, within), ".")
		if !deeper {
			byName[name] = k
		} else if inner[name] = append(inner[name], k); len(inner[name]) > 1 {
			continue
		}
		known = append(known, name)
	}
	r.mapping(n, where, known, func(name string, value *yaml.Node) {
		if keys := inner[name]; keys != nil {
			r.section(value, where+"."+name, idPrefix, within+name+".", keys)
			return
		}
		k := byName[name]
		r.value(value, idPrefix+k.name, k)
	})
}

// value reads the value of a key. A null is the same as no value.
func (r *reader) value(n *yaml.Node, id string, k key) {
	if isNull(n) {
		return
	}
	s := given("", r.source(n.Line))
	switch {
	case k.shape == isRules:
		var ok bool
		if s.rules, ok = r.addressRules(n, id); !ok {
			return
		}
		s.text = showRules(s.rules)
	case k.shape == isForwards:
		var ok bool
		if s.forwards, ok = r.forwards(n, id); !ok {
			return
		}
		s.text = showForwards(s.forwards)
	case n.Kind == yaml.ScalarNode:
		s.text = n.Value
		if k.shape == isList {
			s.items = splitList(s.text)
		}
	case k.shape == isList && n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			item = resolve(item)
			if item.Kind != yaml.ScalarNode || isNull(item) {
				r.wrong(n, id, fmt.Sprintf("item %d wants a single value, but is %s", i+1, formOrNothing(item)))
				return
			}
			s.items = append(s.items, item.Value)
		}
		s.text = strings.Join(s.items, ",")
	default:
		r.wrong(n, id, fmt.Sprintf("wants %s, but is %s", k.shape, form(n)))
		return
	}
	r.doc.values[id] = s
}

func formOrNothing(n *yaml.Node) string {
	if isNull(n) {
		return "nothing"
	}
	return form(n)
}

// String names the shape as the file's reader tells it.
func (s shape) String() string {
	switch s {
	case isList:
		return "a list of single values"
	case isRules:
		return "a list of rules"
	case isForwards:
		return "a list of forwards"
	default:
		return "a single value"
	}
}

func clusterID(i int) string { return "clusters[" + strconv.Itoa(i) + "]" }

// splitList separates the values of a list in a variable, a flag or one text.
func splitList(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
