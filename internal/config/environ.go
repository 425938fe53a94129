package config

import (
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

// defaultEnvFlag names the file of variables that SAP's tools use on a laptop.
const defaultEnvFlag = "default-env"

func variableSource(name string) string { return "variable " + name }

// clusterVariable is the variable of a key of one of several clusters.
func clusterVariable(cluster string, k Key) string {
	return clusterPart + foldName(cluster) + "_" + strings.TrimPrefix(k.variable(), prefix)
}

// foldName is the form that the name of a cluster has in variables.
func foldName(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// fromKubernetes are the variables that Kubernetes makes of a Service whose name
// is, or begins with, kafka-tunnel.
var fromKubernetes = regexp.MustCompile(
	`^KAFKA_TUNNEL_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=` +
		`|^KAFKA_TUNNEL_([A-Z0-9_]+_)?PORT=(tcp|udp|sctp)://`)

// variables collects the variables of the tunnel that are not empty. Of two with the
// same name the last one counts, as for [os.Getenv] of a child process.
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

// makeScopes takes the clusters from the file or, if it lists none, from the
// variables; there is always one.
func (l *loader) makeScopes(document *yaml.Node, vars map[string]string) {
	var names, folded []string
	var outside, inside []Key
	for _, k := range Keys() {
		if k.is(inCluster) {
			inside = append(inside, k)
		} else {
			outside = append(outside, k)
		}
	}
	if items := yamlfile.Field(document, "clusters"); items.Kind == yaml.SequenceNode && len(items.Content) <= maxClusters {
		for _, item := range items.Content {
			names = append(names, yamlfile.Field(yamlfile.Resolve(item), "name").Value)
		}
	}
	if len(names) == 0 {
		for name := range vars {
			if cluster, _ := clusterOf(name, inside); cluster != "" && !slices.Contains(folded, cluster) {
				folded = append(folded, cluster)
			}
		}
		for _, f := range slices.Sorted(slices.Values(folded)) {
			names = append(names, strings.ToLower(strings.ReplaceAll(f, "_", "-")))
		}
	}
	if len(names) == 0 || len(names) == 1 && names[0] == "" {
		names = []string{"default"}
	}
	l.root = newScope("", "", outside, l.at)
	valid := clusterName()
	for i, name := range names {
		label := "clusters." + name + "."
		if _, err := valid(name); err != nil || slices.Contains(names[:i], name) {
			label = fmt.Sprintf("clusters[%d].", i)
		}
		s := newScope(label, name, inside, l.at)
		if len(folded) > 0 {
			s.variables["name"] = setting{text: name, source: variableSource(clusterPart + foldName(name) + "_...")}
		}
		l.clusters = append(l.clusters, s)
	}
	l.config.Clusters = make([]Cluster, len(names))
}

// clusterOf separates CLUSTERS_<NAME>_<KEY>.
func clusterOf(variable string, keys []Key) (folded string, k Key) {
	rest, _ := strings.CutPrefix(variable, clusterPart)
	for _, k := range keys {
		if folded, ok := strings.CutSuffix(rest, strings.TrimPrefix(k.variable(), strings.TrimSuffix(prefix, "_"))); ok && rest != variable && !k.is(fileOnly) {
			return folded, k
		}
	}
	return "", Key{}
}

// placeVariables gives the variables to the scopes, and reports variables and flags
// that belong to none.
func (l *loader) placeVariables(vars map[string]string) {
	known := map[string]place{fileVariable: {}, defaultEnvVariable: {}}
	for _, s := range append(l.clusters, l.root) {
		for _, k := range s.keys {
			if k.is(fileOnly) {
				continue
			}
			if s == l.root || len(l.clusters) == 1 {
				known[k.variable()] = place{s, k}
			}
			if name := clusterVariable(s.name, k); s != l.root && known[name].scope == nil {
				known[name] = place{s, k}
			}
		}
	}
	inside := l.clusters[0].keys
	for _, k := range inside {
		l.reportCluster(k, l.in.flag(k.Flag()))
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		set := setting{text: strings.TrimSpace(vars[name]), source: variableSource(name), chosen: true}
		problem := Problem{Key: name, Source: set.source}
		folded, _ := clusterOf(name, inside)
		i := slices.IndexFunc(inside, func(k Key) bool { return k.variable() == name })
		switch to, ok := known[name]; {
		case ok:
			l.place(to, set, vars[name])
			continue
		case i >= 0 && inside[i].is(fileOnly):
			problem.Message = "can be given in a file only"
		case i >= 0:
			l.reportCluster(inside[i], set)
			continue
		case folded != "":
			problem.Message, problem.Nearest = "the file lists no such cluster, only "+l.listNames(), nearestVariable(name, known)
		default:
			// The value may be a secret under a misspelt name: it is not shown.
			problem.Message, problem.Nearest = "unknown variable", nearestVariable(name, known)
		}
		l.report(problem)
	}
}

// A place is a key of a scope; the zero place is a variable that has been read before.
type place struct {
	scope *scope
	key   Key
}

// place stores the value of a variable. Only a secret keeps the white space around it.
func (l *loader) place(to place, set setting, whole string) {
	if to.scope == nil {
		return
	}
	if to.key.is(isSecret) {
		set.text = whole
	}
	layer, name := to.scope.variables, to.key.name
	if other, both := layer[name].(setting); both {
		l.report(Problem{to.scope.label + name, other.source, to.key.display(other), "is also given by " + set.source, ""})
	}
	layer[name] = set
}

// reportCluster reports a key of a cluster without the name of the cluster, where there
// are several.
func (l *loader) reportCluster(k Key, set setting) {
	if len(l.clusters) > 1 && set.chosen {
		form := clusterPart + "<NAME>_" + strings.TrimPrefix(k.variable(), prefix)
		l.report(Problem{
			k.name, set.source, k.display(set), "names none of the clusters " + l.listNames() + "; with several clusters its form is " + form,
			clusterVariable(l.clusters[0].name, k),
		})
	}
}

// nearestVariable compares without the common prefix, which would make every name
// look near.
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
		if names[i] = s.name; s.name == "" {
			names[i] = fmt.Sprintf("number %d (without a name)", i+1)
		}
	}
	return strings.Join(names, ", ")
}

// withDefaultEnv adds the variables of a default-env.json, if one is named, that are
// not set.
func (l *loader) withDefaultEnv(in Input) Input {
	path := in.flag(defaultEnvFlag)
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

// environValue returns the value of the first of these variables that is not empty.
func environValue(environ []string, names ...string) string {
	for _, name := range names {
		for _, entry := range slices.Backward(environ) {
			if value, ok := strings.CutPrefix(entry, name+"="); ok && value != "" {
				return value
			}
		}
	}
	return ""
}
