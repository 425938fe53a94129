package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kafka-tunnel/kafka-tunnel/internal/binding"
	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/suggest"
	"github.com/kafka-tunnel/kafka-tunnel/internal/yamlfile"
)

// The names of variables.
const (
	prefix             = "KAFKA_TUNNEL_"
	fileVariable       = prefix + "CONFIG"
	defaultEnvVariable = prefix + "DEFAULT_ENV"
	clusterPart        = prefix + "CLUSTERS_"
)

// defaultEnvFlag names the variable file that SAP's tools use on a developer's machine.
const defaultEnvFlag = "default-env"

func variableSource(name string) string { return "variable " + name }

// clusterVariable returns the variable of a key of one of several clusters.
func clusterVariable(cluster string, k Key) string {
	return clusterPart + foldName(cluster) + "_" + strings.TrimPrefix(k.variable(), prefix)
}

// foldName returns the form that the name of a cluster has in variables.
func foldName(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// fromKubernetes matches the variables that Kubernetes sets for a Service whose name
// is, or begins with, kafka-tunnel.
var fromKubernetes = regexp.MustCompile(
	`^KAFKA_TUNNEL_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=` +
		`|^KAFKA_TUNNEL_([A-Z0-9_]+_)?PORT=(tcp|udp|sctp)://`)

// variables collects the tunnel's variables that are not empty. Of two with the same
// name the last one counts, as in [os.Getenv] of a child process.
func (l *loader) variables() map[string]string {
	vars := map[string]string{}
	for _, entry := range l.in.Environ {
		name, text, _ := strings.Cut(entry, "=")
		if delete(vars, name); strings.HasPrefix(name, prefix) && strings.TrimSpace(text) != "" && !fromKubernetes.MatchString(entry) {
			vars[name] = text
		}
	}
	return vars
}

// makeScopes takes the clusters from the file or, if it lists none, from the variables.
// There is always at least one.
func (l *loader) makeScopes(document *yaml.Node, vars map[string]string) {
	inside := slices.DeleteFunc(Keys(), func(k Key) bool { return !k.is(inCluster) })
	l.root = newScope("", "", slices.DeleteFunc(Keys(), func(k Key) bool { return k.is(inCluster) }), l.at)
	var names []string
	var byVariables bool
	if items := yamlfile.Field(document, "clusters"); items.Kind == yaml.SequenceNode && len(items.Content) <= maxClusters {
		for _, item := range items.Content {
			names = append(names, yamlfile.Field(yamlfile.Resolve(item), "name").Value)
		}
	}
	if len(names) == 0 {
		for _, variable := range slices.Sorted(maps.Keys(vars)) {
			name := strings.ToLower(strings.ReplaceAll(clusterOf(variable, inside), "_", "-"))
			if name != "" && !slices.Contains(names, name) {
				names, byVariables = append(names, name), true
			}
		}
	}
	if len(names) == 0 || len(names) == 1 && names[0] == "" {
		names = []string{"default"}
	}
	valid := clusterName()
	for i, name := range names {
		label := "clusters." + name + "."
		if _, err := valid(name); err != nil || slices.Contains(names[:i], name) {
			label = fmt.Sprintf("clusters[%d].", i)
		}
		s := newScope(label, name, inside, l.at)
		if byVariables {
			s.variables["name"] = setting{text: name, source: variableSource(clusterPart + foldName(name) + "_...")}
		}
		l.clusters = append(l.clusters, s)
	}
	l.config.Clusters = make([]Cluster, len(names))
}

// clusterOf returns the name of CLUSTERS_<NAME>_<KEY>, "" for other variables.
func clusterOf(variable string, keys []Key) string {
	rest, named := strings.CutPrefix(variable, clusterPart)
	for _, k := range keys {
		if folded, ok := strings.CutSuffix(rest, strings.TrimPrefix(k.variable(), "KAFKA_TUNNEL")); ok && named && !k.is(fileOnly) {
			return folded
		}
	}
	return ""
}

// placeVariables assigns the variables to the scopes. It reports variables and flags
// that belong to no scope.
func (l *loader) placeVariables(vars map[string]string) {
	inside := l.clusters[0].keys
	known := map[string]place{fileVariable: {}, defaultEnvVariable: {}}
	for _, k := range l.root.keys {
		known[k.variable()] = place{l.root, k}
	}
	for _, k := range inside {
		if len(l.clusters) == 1 {
			known[k.variable()] = place{l.clusters[0], k}
		}
		for _, s := range slices.Backward(l.clusters) { // of two clusters with the same variables the first one gets them
			known[clusterVariable(s.name, k)] = place{s, k}
		}
		l.reportCluster(k, given(l.in.Flags, k.Flag()))
	}
	maps.DeleteFunc(known, func(_ string, to place) bool { return to.key.is(fileOnly) })
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		set := setting{text: vars[name], source: variableSource(name), chosen: true}
		i := slices.IndexFunc(inside, func(k Key) bool { return k.variable() == name })
		switch to, ok := known[name]; {
		case ok && to.scope == nil: // names the configuration file, which has been read
		case ok:
			l.place(to.scope, to.key, set)
		case i >= 0 && inside[i].is(fileOnly):
			l.report(Problem{Key: name, Source: set.source, Message: "can be given in a file only"})
		case i >= 0:
			l.reportCluster(inside[i], set)
		case clusterOf(name, inside) != "":
			l.report(Problem{name, set.source, "", "the file lists no such cluster, only " + l.listNames(), nearestVariable(name, known)})
		default:
			// The value is not shown, because it may be a secret under a misspelt name.
			l.report(Problem{name, set.source, "", "unknown variable", nearestVariable(name, known)})
		}
	}
}

// A place is a key of a scope; nil: the variable is not a key.
type place struct {
	scope *scope
	key   Key
}

// place stores the value of a variable. White space around it is kept only for a
// secret.
func (l *loader) place(s *scope, k Key, set setting) {
	if !k.is(isSecret) {
		set.text = strings.TrimSpace(set.text)
	}
	if other, both := s.variables[k.name].(setting); both {
		l.report(Problem{s.label + k.name, other.source, k.display(other), "is also given by " + set.source, ""})
	}
	s.variables[k.name] = set
}

// reportCluster reports a key of a cluster without the name of the cluster, if there
// are several clusters.
func (l *loader) reportCluster(k Key, set setting) {
	if len(l.clusters) > 1 && set.chosen {
		message := "names none of the clusters " + l.listNames() + "; with several clusters its form is " + clusterPart + "<NAME>_" + strings.TrimPrefix(k.variable(), prefix)
		l.report(Problem{k.name, set.source, k.display(set), message, clusterVariable(l.clusters[0].name, k)})
	}
}

// nearestVariable compares without the common prefix, because with it every name would
// be similar.
func nearestVariable(name string, known map[string]place) string {
	lead, named := prefix, strings.HasPrefix(name, clusterPart)
	if named {
		lead = clusterPart
	}
	var candidates []string
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if rest := strings.TrimPrefix(k, lead); strings.HasPrefix(k, clusterPart) == named {
			candidates = append(candidates, rest)
		}
	}
	if near := suggest.Nearest(strings.TrimPrefix(name, lead), candidates); near != "" {
		return lead + near
	}
	return ""
}

func (l *loader) listNames() string {
	names := make([]string, len(l.clusters))
	for i, s := range l.clusters {
		names[i] = cmp.Or(s.name, fmt.Sprintf("number %d (without a name)", i+1))
	}
	return strings.Join(names, ", ")
}

// withDefaultEnv adds the variables of a default-env.json that are not set, if such a
// file is named.
func (l *loader) withDefaultEnv(in Input) Input {
	path := given(in.Flags, defaultEnvFlag)
	if !path.chosen {
		path = setting{text: environValue(in.Environ, defaultEnvVariable), source: variableSource(defaultEnvVariable)}
	}
	if path.text == "" {
		return in
	}
	text, err := boundedfile.Read(path.text, maxFile)
	if err != nil {
		err = fmt.Errorf("cannot be read: %w", err)
	} else {
		in.Environ, err = binding.AddDefaultEnv(in.Environ, text)
	}
	if err != nil {
		l.report(Problem{defaultEnvFlag, path.source, brief(path.text), err.Error(), ""})
	}
	return in
}

// environValue returns the value of a variable: of several that are not empty, the
// last.
func environValue(environ []string, name string) (value string) {
	for _, entry := range environ {
		if text, ok := strings.CutPrefix(entry, name+"="); ok && text != "" {
			value = text
		}
	}
	return value
}
