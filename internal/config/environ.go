package config

import (
	"regexp"
	"slices"
	"strings"
)

// The names of variables.
const (
	prefix       = "KAFKA_TUNNEL_"
	fileVariable = prefix + "CONFIG"
	clusterPart  = "CLUSTERS_"
)

func variableSource(name string) string { return "variable " + name }

// fromKubernetes are the variables that Kubernetes makes of a Service whose name
// is, or begins with, kafka-tunnel.
var fromKubernetes = regexp.MustCompile(
	`^KAFKA_TUNNEL_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// portOfKubernetes is the value of the one variable among them whose name alone
// does not tell: KAFKA_TUNNEL_PORT=tcp://10.0.0.1:9092.
var portOfKubernetes = regexp.MustCompile(`^(tcp|udp|sctp)://`)

func madeByKubernetes(name, value string) bool {
	return fromKubernetes.MatchString(name) || strings.HasSuffix(name, "_PORT") && portOfKubernetes.MatchString(value)
}

// An environment is what the variables say.
type environment struct {
	file  string   // KAFKA_TUNNEL_CONFIG
	other settings // keys outside clusters, by id
	// single are keys of the only cluster; named are those of a named one, by the
	// name as it stands in the variable and the key's name.
	single settings
	named  map[string]settings
}

// variables collects the variables of the tunnel that are not empty. Where a
// name stands twice the last one counts, as for [os.Getenv] of a child process.
func variables(environ []string) map[string]string {
	vars := map[string]string{}
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		if delete(vars, name); strings.TrimSpace(value) != "" {
			vars[name] = value
		}
	}
	return vars
}

// parseEnvironment sorts the variables and reports those that nobody reads.
func parseEnvironment(environ []string, keys []key, report func(Problem)) environment {
	env := environment{other: settings{}, single: settings{}, named: map[string]settings{}}
	byVariable, inFile := map[string]key{}, map[string]bool{}
	var known []string
	for _, k := range keys {
		if k.fileOnly {
			inFile[k.variableName()] = true
		} else {
			byVariable[k.variableName()] = k
			known = append(known, prefix+k.variableName())
		}
	}
	vars := variables(environ)
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, rest := vars[name], strings.TrimPrefix(name, prefix)
		if name == fileVariable {
			env.file = strings.TrimSpace(value)
			continue
		}
		if name == defaultEnvVariable || madeByKubernetes(name, value) {
			continue
		}
		if k, ok := byVariable[rest]; ok {
			if k.cluster {
				env.single[k.name] = k.fromVariable(name, value)
			} else {
				env.other[k.name] = k.fromVariable(name, value)
			}
			continue
		}
		if cluster, k, ok := splitClusterVariable(rest, keys); ok {
			if env.named[cluster] == nil {
				env.named[cluster] = settings{}
			}
			env.named[cluster][k.name] = k.fromVariable(name, value)
			continue
		}
		if inFile[rest] {
			report(Problem{Key: name, Source: variableSource(name), Message: "can be given in a file only"})
			continue
		}
		// The value may be a secret under a misspelt name: it is not shown.
		report(Problem{Key: name, Source: variableSource(name), Message: "unknown variable", Nearest: nearestVariable(name, known, keys)})
	}
	return env
}

// splitClusterVariable separates CLUSTERS_<NAME>_<KEY>.
func splitClusterVariable(rest string, keys []key) (cluster string, k key, ok bool) {
	rest, ok = strings.CutPrefix(rest, clusterPart)
	if !ok {
		return "", key{}, false
	}
	for _, k := range keys {
		if !k.cluster || k.fileOnly {
			continue
		}
		if name, ok := strings.CutSuffix(rest, "_"+k.variableName()); ok && name != "" {
			return name, k, true
		}
	}
	return "", key{}, false
}

// nearestVariable looks among the plain names and, for the variables of named
// clusters, among the keys that may follow the name.
func nearestVariable(name string, known []string, keys []key) string {
	rest := strings.TrimPrefix(name, prefix)
	if after, ok := strings.CutPrefix(rest, clusterPart); ok {
		var candidates []string
		for i, r := range after {
			if r != '_' || i == 0 {
				continue
			}
			for _, k := range keys {
				if k.cluster && !k.fileOnly {
					candidates = append(candidates, after[:i+1]+k.variableName())
				}
			}
		}
		if near := nearest(after, candidates); near != "" {
			return prefix + clusterPart + near
		}
		return ""
	}
	// The common prefix would make every name look near.
	bare := []string{strings.TrimPrefix(fileVariable, prefix), strings.TrimPrefix(defaultEnvVariable, prefix)}
	for _, k := range known {
		bare = append(bare, strings.TrimPrefix(k, prefix))
	}
	if near := nearest(rest, bare); near != "" {
		return prefix + near
	}
	return ""
}

// fromVariable makes a setting of a variable's value. Only a secret keeps the
// white space around it.
func (k key) fromVariable(name, value string) setting {
	if !k.secret {
		value = strings.TrimSpace(value)
	}
	s := given(value, variableSource(name))
	if k.shape == isList {
		s.items = splitList(value)
	}
	return s
}

// foldName is how the name of a cluster stands in variables.
func foldName(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// unfoldName is the name of a cluster that only variables make.
func unfoldName(folded string) string { return strings.ToLower(strings.ReplaceAll(folded, "_", "-")) }
