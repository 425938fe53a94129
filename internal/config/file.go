package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
)

// maxClusters bounds the list of clusters. Each one has ports, metrics and a state
// of its own.
const maxClusters = 100

// document finds and parses the file. The nodes are read here and not by viper: only
// they know lines, and in them a number such as 007 stays what was written.
func (l *loader) document(fromEnvironment string) *yaml.Node {
	path := setting{text: l.in.File, source: "file " + l.in.File}
	if fromEnvironment != "" {
		path = setting{text: strings.TrimSpace(fromEnvironment), source: variableSource(fileVariable)}
	}
	if flag := l.in.flag(fileFlag); flag.chosen {
		path = flag
	}
	if l.file = path.text; l.file == "" {
		return nothing()
	}
	data, err := l.in.read(l.file)
	if err != nil {
		l.broken = true
		l.report(Problem{fileFlag, path.source, brief(l.file), "cannot be read: " + err.Error(), ""})
		return nothing()
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	err = decoder.Decode(&first)
	l.broken = err != nil && !errors.Is(err, io.EOF)
	if err == nil {
		err = decoder.Decode(&second)
	}
	switch {
	case err == nil:
		l.report(Problem{Key: fileFlag, Source: l.at(&second), Message: "has more than one YAML document"})
	case !errors.Is(err, io.EOF):
		l.report(Problem{Key: fileFlag, Source: "file " + l.file, Message: yamlMessage(err)})
	}
	if len(first.Content) == 0 {
		return nothing()
	}
	return resolveAlias(first.Content[0])
}

var (
	yamlLine = regexp.MustCompile("^line [0-9]+: ")
	// yamlIndicator is a character that YAML's errors name: did not find expected ',' or '}'.
	yamlIndicator = regexp.MustCompile(`'[^\pL\pN'"]'`)
)

// yamlMessage returns the parser's error without anything of the file: an anchor or a tag
// may be the beginning of a secret that should have been in quotes. Text that the parser
// quotes, apart from its own indicators, comes from the file; such an error is left out.
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

func resolveAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func nothing() *yaml.Node      { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"} }
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// field returns the value of a name in a mapping, a null if there is none.
func field(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if value := resolveAlias(n.Content[i+1]); resolveAlias(n.Content[i]).Value == name && !isNull(value) {
			return value
		}
	}
	return nothing()
}

// form names the kind of a node.
func form(n *yaml.Node) string {
	switch {
	case isNull(n):
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// at is the source of a node of the file.
func (l *loader) at(n *yaml.Node) string { return fmt.Sprintf("file %s:%d", l.file, n.Line) }

// section reads a mapping of keys of a scope. within is the path of the mapping in the
// scope, with a dot: "tls.".
func (l *loader) section(n *yaml.Node, s *scope, within string) {
	where := s.label + within
	switch {
	case isNull(n):
		return
	case n.Kind != yaml.MappingNode:
		l.broken = l.broken || s.what == ""
		l.report(Problem{
			Key: cmp.Or(strings.TrimSuffix(where, "."), fileFlag), Source: s.at(n),
			Message: "expected " + cmp.Or(s.what, "a mapping of keys") + ", got " + form(n),
		})
		return
	}
	var known []string
	if where == "" {
		known = []string{"clusters"}
	}
	for _, k := range s.keys {
		if rest, ok := strings.CutPrefix(k.name, within); ok {
			name, _, _ := strings.Cut(rest, ".")
			known = append(known, name)
		}
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := resolveAlias(n.Content[i]), resolveAlias(n.Content[i+1])
		problem := Problem{Key: where + brief(name.Value), Source: s.at(n.Content[i])}
		k, isKey := s.key(within + name.Value)
		line, twice := seen[name.Value]
		if !twice {
			seen[name.Value] = n.Content[i].Line
		}
		switch {
		case name.Kind != yaml.ScalarNode:
			problem.Key, problem.Message = strings.TrimSuffix(where, "."), "has a key that is not a name"
		case twice:
			problem.Message = fmt.Sprintf("is given twice, first in line %d", line)
		case !slices.Contains(known, name.Value):
			problem.Message, problem.Nearest = "unknown key", l.nearestKey(where, name.Value, known)
		case isKey:
			problem.Message = s.read(k, value)
			problem.Key, problem.Source = s.label+k.name, s.at(value)
		case where == "" && name.Value == "clusters":
			problem.Message = l.clusterList(value)
			problem.Source = s.at(value)
		default:
			l.section(value, s, within+name.Value+".")
		}
		if problem.Message != "" {
			l.report(problem)
		}
	}
}

// clusterList reads the list of clusters, or returns what is wrong with it.
func (l *loader) clusterList(n *yaml.Node) (problem string) {
	switch {
	case isNull(n):
		return ""
	case n.Kind != yaml.SequenceNode:
		problem = "expected a list of clusters, got " + form(n)
	case len(n.Content) > maxClusters:
		problem = fmt.Sprintf("lists %d clusters; at most %d are possible", len(n.Content), maxClusters)
	default:
		for i, item := range n.Content {
			l.section(resolveAlias(item), l.clusters[i], "")
		}
	}
	l.broken = l.broken || problem != ""
	return problem
}

// read stores the value of a key, or returns what is wrong with its form. A null is the
// same as no value.
func (s *scope) read(k Key, n *yaml.Node) (problem string) {
	set := setting{text: n.Value, node: n, source: s.at(n), chosen: true}
	switch {
	case isNull(n):
		return ""
	case k.list != nil || n.Kind == yaml.ScalarNode:
	case k.is(isList) && n.Kind == yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			if item = resolveAlias(item); item.Kind != yaml.ScalarNode || isNull(item) {
				return fmt.Sprintf("item %d: expected a single value, got %s", i+1, form(item))
			}
			items[i] = item.Value
		}
		set.text = strings.Join(items, ",")
	case k.is(isList):
		return "expected a list of single values, got " + form(n)
	default:
		return "expected a single value, got " + form(n)
	}
	s.file[k.name] = set
	return ""
}

// nearestKey suggests a key of the same mapping, or one that has the same name in
// another. For a path that was written as one key it suggests the mapping.
func (l *loader) nearestKey(where, name string, known []string) string {
	section, leaf, isPath := strings.Cut(name, ".")
	if isPath && slices.ContainsFunc(Keys(), func(k Key) bool { return k.name == name }) {
		return section + ": {" + leaf + ": ...}"
	}
	if near := nearest(name, known); near != "" {
		return where + near
	}
	for _, k := range Keys() {
		label := ""
		if k.is(inCluster) && len(l.clusters) > 0 {
			label = l.clusters[0].label
		}
		switch section, leaf, nested := strings.Cut(k.name, "."); {
		case k.name == name || nested && leaf == name || k.Flag() == name:
			return label + k.name
		case label != "" && section == name:
			return label + name
		}
	}
	return ""
}

// A lister reads a list of objects.
type lister = func(l *loader, path string, set *setting) (any, *valueError)

// objects returns the lister for a list of T with these fields: nodes of the file, or the
// YAML flow text of a variable. noun names one of them; check finds what fields alone do
// not tell. Problems within an object are reported where they are.
func objects[T any](noun, example string, check func(T) error, fields ...Key) lister {
	return func(l *loader, path string, set *setting) (any, *valueError) {
		n, at := set.node, l.at
		if n == nil {
			var document yaml.Node
			if err := yaml.Unmarshal([]byte(set.text), &document); err != nil {
				return nil, wrong("%s", yamlMessage(err)).suggest("[" + example + "]")
			}
			n, at = nothing(), func(*yaml.Node) string { return set.source }
			if len(document.Content) > 0 {
				n = resolveAlias(document.Content[0])
			}
		}
		if n.Kind != yaml.SequenceNode && (n.Kind != yaml.ScalarNode || n.Value != "") {
			return nil, expected("a list of %ss such as [%s], got %s", noun, example, form(n))
		}
		var all []T
		var shown, problems []string
		before := len(l.problems)
		for i, item := range n.Content {
			s := newScope(fmt.Sprintf("%s[%d].", path, i), "", fields, at)
			s.what, s.from = "a "+noun+" such as "+example, at(item)
			if l.section(resolveAlias(item), s, ""); len(l.problems) > before {
				continue // a field may be missing because it was not understood
			}
			var one T
			l.resolve(s, &one)
			if err := check(one); err != nil && len(l.problems) == before {
				problems = append(problems, fmt.Sprintf("%d: %s", i+1, err))
			}
			var parts []string
			for _, k := range fields {
				if field := s.settings[k.name]; field != nil {
					parts = append(parts, fmt.Sprintf("%s: %q", k.name, field.shown))
				}
			}
			all, shown = append(all, one), append(shown, "{"+strings.Join(parts, ", ")+"}")
		}
		set.shown, set.wrong = "["+strings.Join(shown, ", ")+"]", len(l.problems) > before
		if len(problems) > 0 {
			return nil, wrong("rule %s", strings.Join(problems, "; rule "))
		}
		return all, nil
	}
}

func ruleList() lister {
	const required = isField | required
	return objects(
		"rule", `{from: "kafka-*.corp:9092", to: "vkafka-*:9092"}`,
		func(rule AddressRule) error {
			_, err := addressmap.Parse([]AddressRule{rule})
			return errors.Unwrap(err) // without the number of the rule
		},
		Key{name: "from", parse: anyText, marks: required}, Key{name: "to", parse: anyText, marks: required},
		Key{name: "location_id", parse: locationID, marks: isField},
	)
}

func forwardList() lister {
	const required = isField | required
	local := func(text string) (any, *valueError) {
		a, err := listenAddress(text)
		if err == nil && !isLoopback(a.(HostPort).Host) {
			err = expected("an address on loopback: anyone who can reach it reaches the target").suggest("127.0.0.1:" + strconv.Itoa(int(a.(HostPort).Port)))
		}
		return a, err
	}
	return objects(
		"forward", `{name: registry, listen: "127.0.0.1:18081", to: "registry.corp:8081"}`,
		func(Forward) error { return nil },
		Key{name: "name", parse: clusterName(), marks: required}, Key{name: "listen", parse: local, marks: required}, Key{name: "to", parse: brokerAddress, marks: required},
		Key{name: "location_id", parse: locationID, marks: isField}, Key{name: "tenant", parse: tenant(), marks: isField},
	)
}
