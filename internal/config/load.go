package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// Input is everything that a configuration is made from. The zero value yields
// the defaults (and the error that no bootstrap address is configured).
type Input struct {
	// Flags were registered with [Flags]; only those that were set count. nil: none.
	Flags *pflag.FlagSet
	// Environ has the form of [os.Environ].
	Environ []string
	// File is the path of the file, if neither the flag --config nor
	// KAFKA_TUNNEL_CONFIG names one; "": none.
	File string
	// ReadFile reads the configuration file and the file of a secret; nil: from the
	// file system.
	ReadFile func(path string) ([]byte, error)
	// Secrets is the root of SAP's older layout of bindings on Kubernetes; "":
	// /etc/secrets/sapbtp.
	Secrets string
}

// Load makes the configuration from flags, variables, file and defaults. It does
// not look at bindings; [Resolve] does.
//
// The error is an [*Error] that lists every problem.
func Load(in Input) (*Effective, error) {
	l := &loader{
		keys: schema(), readFile: in.ReadFile,
		settings: settings{}, bad: map[string]bool{},
		ownPort: environValue(in.Environ, "PORT", "VCAP_APP_PORT"),
	}
	if l.readFile == nil {
		l.readFile = readFile
	}
	in, wrong := in.withDefaultEnv()
	if wrong != nil {
		l.report(*wrong)
	}
	env := parseEnvironment(in.Environ, l.keys, l.report)
	doc := l.document(in, env.file)
	variables, flags := l.place(doc, env, flagSettings(in.Flags, l.keys))
	l.read(newLayers(l.defaults(), doc.values, variables, flags))
	l.readIdentity()
	l.readSecretFiles()
	l.readAuthorities()
	l.readCertificate()
	l.check()
	return l.finish()
}

// A loader collects what one Load finds.
type loader struct {
	keys     []key
	readFile func(string) ([]byte, error)
	ownPort  string // $PORT of the application, "" if unknown

	file     string // path, "" if none
	fromFile string // who named it
	broken   bool   // the file could not be understood as a whole

	names    []string // of clusters; "" where a cluster has none
	clusters int
	config   Config

	settings settings        // the winning settings by id
	bad      map[string]bool // ids whose setting was not understood

	problems    []Problem
	noBootstrap int // how many of problems are a missing bootstrap address
	warnings    []string
}

func (l *loader) report(p Problem) { l.problems = append(l.problems, p) }

// document finds and reads the file.
func (l *loader) document(in Input, fromEnvironment string) document {
	l.file, l.fromFile = in.File, "file "+in.File
	if fromEnvironment != "" {
		l.file, l.fromFile = fromEnvironment, variableSource(fileVariable)
	}
	if in.Flags != nil {
		if flag := in.Flags.Lookup(fileFlag); flag != nil && flag.Changed {
			l.file, l.fromFile = flag.Value.String(), "flag --"+fileFlag
		}
	}
	if l.file == "" {
		return document{values: settings{}}
	}
	data, err := l.readFile(l.file)
	if err != nil {
		l.broken = true
		l.report(Problem{Key: fileFlag, Source: l.fromFile, Value: brief(l.file), Message: "cannot be read: " + boundedfile.Cause(err).Error()})
		return document{values: settings{}}
	}
	doc := parseFile(l.file, data, l.keys, l.report)
	l.broken = doc.broken
	return doc
}

// place finds out which clusters there are and gives the keys of clusters in
// variables and flags their ids.
func (l *loader) place(doc document, env environment, given settings) (variables, flags settings) {
	l.countClusters(doc, env)
	variables, flags = maps.Clone(env.other), settings{}
	l.placeNamed(env, doc.clusters == 0, variables)
	for _, k := range l.keys {
		s, isFlag := given[k.name]
		v, isVariable := env.single[k.name]
		switch {
		case !k.cluster && isFlag:
			flags[k.name] = s
		case !k.cluster:
		case l.clusters == 1:
			id := clusterID(0) + "." + k.name
			if isFlag {
				flags[id] = s
			}
			if isVariable {
				if other, both := variables[id]; both {
					l.report(Problem{Key: id, Source: v.source, Value: k.display(v), Message: "is also given by " + other.source})
				}
				variables[id] = v
			}
		default:
			for _, s := range []setting{s, v} {
				if s.chosen {
					l.report(Problem{
						Key: k.name, Source: s.source, Value: k.display(s),
						Message: fmt.Sprintf("does not say for which of the clusters %s; with several clusters its form is %s%s<NAME>_%s",
							l.listNames(), prefix, clusterPart, k.variableName()),
						Nearest: prefix + clusterPart + foldName(l.names[0]) + "_" + k.variableName(),
					})
				}
			}
		}
	}
	for id, v := range variables {
		if k := l.keyOf(id); k.shape == isRules {
			var ok bool
			if v.rules, ok = parseRules(v.text, id, v.source, l.keys, l.report); !ok {
				l.bad[id] = true
			}
			variables[id] = v
		} else if k.shape == isForwards {
			var ok bool
			if v.forwards, ok = parseForwards(v.text, id, v.source, l.keys, l.report); !ok {
				l.bad[id] = true
			}
			variables[id] = v
		}
	}
	return variables, flags
}

// countClusters takes the clusters from the file or, if it lists none, from the
// variables; there is always one.
func (l *loader) countClusters(doc document, env environment) {
	switch {
	case doc.clusters > 0:
		for i := range doc.clusters {
			l.names = append(l.names, doc.values[clusterID(i)+".name"].text)
		}
	case len(env.named) > 0:
		for _, folded := range slices.Sorted(maps.Keys(env.named)) {
			l.names = append(l.names, unfoldName(folded))
		}
	default:
		l.names = []string{""}
	}
	l.clusters = len(l.names)
	if l.clusters == 1 && l.names[0] == "" {
		l.names[0] = "default"
	}
	l.config.Clusters = make([]Cluster, l.clusters)
}

// placeNamed gives the variables of named clusters their ids. create: the
// variables themselves make the clusters.
func (l *loader) placeNamed(env environment, create bool, variables settings) {
	index := map[string]int{}
	for i, name := range l.names {
		if _, clash := index[foldName(name)]; !clash { // a clash is reported with the names
			index[foldName(name)] = i
		}
	}
	for _, folded := range slices.Sorted(maps.Keys(env.named)) {
		i, known := index[folded]
		for _, name := range slices.Sorted(maps.Keys(env.named[folded])) {
			s := env.named[folded][name]
			if !known {
				l.report(Problem{
					Key: strings.TrimPrefix(s.source, variableSource("")), Source: s.source,
					Message: "the file lists no such cluster, only " + l.listNames(),
					Nearest: l.nearestCluster(folded, name),
				})
				continue
			}
			id := clusterID(i)
			variables[id+"."+name] = s
			if create {
				// Once the variables make the cluster its name comes from them too.
				variables[id+".name"] = setting{text: l.names[i], source: s.source}
			}
		}
	}
}

func (l *loader) nearestCluster(folded, name string) string {
	var known []string
	for _, n := range l.names {
		if n != "" {
			known = append(known, foldName(n))
		}
	}
	near := nearest(folded, known)
	if near == "" {
		return ""
	}
	return prefix + clusterPart + near + "_" + strings.ToUpper(name)
}

func (l *loader) listNames() string {
	var known []string
	for i, n := range l.names {
		if n == "" {
			n = fmt.Sprintf("number %d (without a name)", i+1)
		}
		known = append(known, n)
	}
	return strings.Join(known, ", ")
}

// keyOf returns the row of the schema for an id.
func (l *loader) keyOf(id string) key {
	name, inCluster := id, strings.HasPrefix(id, "clusters[")
	if inCluster {
		_, name, _ = strings.Cut(id, "].")
	}
	for _, k := range l.keys {
		if k.name == name && k.cluster == inCluster {
			return k
		}
	}
	return key{}
}

// defaults returns the lowest layer.
func (l *loader) defaults() settings {
	out := settings{}
	for _, k := range l.keys {
		s := setting{text: k.def, source: "default"}
		switch {
		case !k.cluster:
			out[k.name] = s
		case l.clusters > 1 && (k.perCluster || k.name == "name"):
		default:
			for i := range l.clusters {
				out[clusterID(i)+"."+k.name] = s
			}
		}
	}
	return out
}

// each calls f for all keys, those of each cluster first.
func (l *loader) each(f func(id string, k key, t target)) {
	for i := range l.config.Clusters {
		for _, k := range l.keys {
			if k.cluster {
				f(clusterID(i)+"."+k.name, k, target{&l.config, &l.config.Clusters[i]})
			}
		}
	}
	for _, k := range l.keys {
		if !k.cluster {
			f(k.name, k, target{&l.config, nil})
		}
	}
}

// read understands the winning settings.
func (l *loader) read(stack layers) {
	l.each(func(id string, k key, t target) {
		s, ok := stack.get(id)
		if !ok {
			l.missing(id, k)
			return
		}
		l.settings[id] = s
		if l.bad[id] {
			return
		}
		var wrong *fault
		if k.address && strings.Contains(s.text, "@") {
			wrong = wants("must not hold a user or a password (@)")
		} else {
			wrong = k.read(t, s)
		}
		if wrong != nil {
			l.bad[id] = true
			l.report(Problem{Key: id, Source: s.source, Value: k.display(s), Message: wrong.message, Nearest: wrong.nearest})
		}
	})
}

// missing reports a key that has no default among several clusters.
func (l *loader) missing(id string, k key) {
	l.bad[id] = true
	message := "has no default when there are several clusters"
	near := ""
	if k.name == "name" {
		message = "every cluster needs a name when there are several"
	} else if name := l.names[l.indexOf(id)]; name != "" {
		message += fmt.Sprintf("; set %s%s%s_%s", prefix, clusterPart, foldName(name), k.variableName())
	}
	l.report(Problem{Key: id, Source: "default", Message: message, Nearest: near})
}

// indexOf returns the number of the cluster in an id.
func (l *loader) indexOf(id string) int {
	for i := range l.names {
		if strings.HasPrefix(id, clusterID(i)+".") {
			return i
		}
	}
	return 0
}

// display is what is shown of a setting that may be wrong.
func (k key) display(s setting) string {
	switch {
	case k.secret && s.text != "":
		return hidden
	case k.address:
		return brief(withoutUserInfo(s.text))
	default:
		return brief(s.text)
	}
}

// readIdentity completes the URL of the Identity Authentication service, whose path is
// another one.
func (l *loader) readIdentity() {
	const url = "token.url"
	t, s := &l.config.Token, l.settings["token.url"]
	if t.Resource == "" || t.URL == "" || !l.understood(url, "token.resource") {
		return
	}
	t.URL, _ = token.IdentityEndpointURL(s.text) // only its path differs from what was understood
}

func environValue(environ []string, names ...string) string {
	value := ""
	for _, name := range slices.Backward(names) {
		for _, entry := range environ {
			if v, ok := strings.CutPrefix(entry, name+"="); ok && v != "" {
				value = v
			}
		}
	}
	return value
}
