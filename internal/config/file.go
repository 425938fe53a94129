package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/suggest"
	"github.com/kafka-tunnel/kafka-tunnel/internal/yamlfile"
)

// maxClusters bounds the list of clusters. Each one has ports, metrics and a state
// of its own.
const maxClusters = 100

// document finds and parses the file. It reads the nodes itself instead of leaving that
// to viper, because only nodes have line numbers and keep the text of a number such as
// 007.
func (l *loader) document(fromEnvironment string) *yaml.Node {
	path := given(l.in.Flags, fileFlag)
	if !path.chosen {
		path = setting{text: strings.TrimSpace(fromEnvironment), source: variableSource(fileVariable)}
	}
	if l.file = path.text; l.file == "" {
		return yamlfile.Null()
	}
	data, err := boundedfile.Read(l.file, maxFile)
	if err != nil {
		l.broken = true
		l.report(Problem{fileFlag, path.source, brief(l.file), "cannot be read: " + err.Error(), ""})
		return yamlfile.Null()
	}
	document, err := yamlfile.Parse(data)
	if err != nil {
		l.broken = yamlfile.IsNull(document)
		l.report(Problem{Key: fileFlag, Source: "file " + l.file, Message: err.Error()})
	}
	return document
}

// at is the source of a node of the file.
func (l *loader) at(n *yaml.Node) string { return fmt.Sprintf("file %s:%d", l.file, n.Line) }

// section reads a mapping of keys of a scope. within is the path of the mapping in the
// scope, with a dot: "tls.".
func (l *loader) section(n *yaml.Node, s *scope, within string) {
	where := s.label + within
	switch {
	case yamlfile.IsNull(n):
		return
	case n.Kind != yaml.MappingNode:
		l.broken = l.broken || s.what == ""
		l.report(Problem{
			Key: cmp.Or(strings.TrimSuffix(where, "."), fileFlag), Source: s.at(n),
			Message: "expected " + cmp.Or(s.what, "a mapping of keys") + ", got " + yamlfile.Form(n),
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
		name, value := yamlfile.Resolve(n.Content[i]), yamlfile.Resolve(n.Content[i+1])
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

// clusterList reads the list of clusters, or returns the error in it.
func (l *loader) clusterList(n *yaml.Node) (problem string) {
	switch {
	case yamlfile.IsNull(n):
		return ""
	case n.Kind != yaml.SequenceNode:
		problem = "expected a list of clusters, got " + yamlfile.Form(n)
	case len(n.Content) > maxClusters:
		problem = fmt.Sprintf("lists %d clusters; at most %d are possible", len(n.Content), maxClusters)
	default:
		for i, item := range n.Content {
			l.section(yamlfile.Resolve(item), l.clusters[i], "")
		}
	}
	l.broken = l.broken || problem != ""
	return problem
}

// read stores the value of a key, or returns the error in its form. A null is the same
// as no value.
func (s *scope) read(k Key, n *yaml.Node) (problem string) {
	set := setting{text: n.Value, node: n, source: s.at(n), chosen: true}
	switch {
	case yamlfile.IsNull(n):
		return ""
	case k.list != nil || n.Kind == yaml.ScalarNode:
	case k.is(isList) && n.Kind == yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			if item = yamlfile.Resolve(item); item.Kind != yaml.ScalarNode || yamlfile.IsNull(item) {
				return fmt.Sprintf("item %d: expected a single value, got %s", i+1, yamlfile.Form(item))
			}
			items[i] = item.Value
		}
		set.text = strings.Join(items, ",")
	case k.is(isList):
		return "expected a list of single values, got " + yamlfile.Form(n)
	default:
		return "expected a single value, got " + yamlfile.Form(n)
	}
	s.file[k.name] = set
	return ""
}

// nearestKey suggests a key of the same mapping, or one with the same name in another
// mapping. For a path that was written as one key it suggests the mapping.
func (l *loader) nearestKey(where, name string, known []string) string {
	section, leaf, isPath := strings.Cut(name, ".")
	if isPath && slices.ContainsFunc(Keys(), func(k Key) bool { return k.name == name }) {
		return section + ": {" + leaf + ": ...}"
	}
	if near := suggest.Nearest(name, known); near != "" {
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

// objects returns the lister for a list of T with these fields, which reads nodes of
// the file or the YAML flow text of a variable. noun names one object; check finds
// problems that show only in several fields together. Problems within an object are
// reported at their own line.
func objects[T any](noun, example string, check func(T) error, fields ...Key) lister {
	return func(l *loader, path string, set *setting) (any, *valueError) {
		n, at := set.node, l.at
		if n == nil {
			var err error
			if n, err = yamlfile.Parse([]byte(set.text)); err != nil {
				return nil, wrong("%s", err).suggest("[" + example + "]")
			}
			at = func(*yaml.Node) string { return set.source }
		}
		if n.Kind != yaml.SequenceNode && (n.Kind != yaml.ScalarNode || n.Value != "") {
			return nil, expected("a list of %ss such as [%s], got %s", noun, example, yamlfile.Form(n))
		}
		var all []T
		var shown, problems []string
		before := len(l.problems)
		for i, item := range n.Content {
			s := newScope(fmt.Sprintf("%s[%d].", path, i), "", fields, at)
			s.what, s.from = "a "+noun+" such as "+example, at(item)
			if l.section(yamlfile.Resolve(item), s, ""); len(l.problems) > before {
				continue // a field may be missing because it is invalid
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
	local := func(text string) (any, *valueError) {
		a, err := listenAddress(text)
		if err == nil && !hostport.IsLoopback(a.(HostPort).Host) {
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
