package config

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// Input has everything that a configuration is made from. The zero value yields the
// defaults, and the error that no bootstrap address is configured.
type Input struct {
	// Flags were registered with [Flags]; only those that were set count. nil: none.
	Flags *pflag.FlagSet
	// Environ has the form of [os.Environ].
	Environ []string
	// Secrets is the root of SAP's older layout of bindings on Kubernetes; "":
	// /etc/secrets/sapbtp.
	Secrets string
}

// maxFile bounds the configuration file and the files that it names.
const maxFile = 1 << 20

// given returns the setting of a flag. It counts as chosen if the flag was set.
func given(flags *pflag.FlagSet, name string) setting {
	if flags == nil || !flags.Changed(name) {
		return setting{}
	}
	return setting{text: strings.TrimSpace(flags.Lookup(name).Value.String()), source: "flag --" + name, chosen: true}
}

// Load makes the configuration from flags, variables, file and defaults. It does not
// read bindings; [Resolve] does.
//
// The error is an [*Error] that lists every problem.
func Load(in Input) (*Effective, error) {
	l := &loader{}
	l.in = l.withDefaultEnv(in)
	vars := l.variables()
	document := l.document(vars[fileVariable])
	l.makeScopes(document, vars)
	l.placeVariables(vars)
	l.section(document, l.root, "")
	for i, s := range l.clusters {
		l.resolve(s, &l.config.Clusters[i])
	}
	l.resolve(l.root, &l.config)
	l.readFiles()
	l.check()
	return l.finish()
}

// A setting is one value as it was configured, with its source.
type setting struct {
	text   string
	node   *yaml.Node // in the file; else nil
	source string     // for display: "variable KAFKA_TUNNEL_LISTEN"
	chosen bool       // the value is not the default
	shown  string     // the part that may be shown: the text of a valid value
	wrong  bool       // the value is invalid
}

// A scope has the keys of one cluster, of one object of a list, or the keys outside of
// both. A key in effect is named by its scope and its name.
type scope struct {
	label string // before the names of its keys: "clusters.prod."; "" outside of clusters
	name  string // of the cluster, "" if it has none
	keys  []Key
	at    func(*yaml.Node) string // source of a node
	what  string                  // an object with an example; "" for a cluster and outside of clusters
	from  string                  // source of the object
	// The layers between flags and defaults: settings by the names of keys.
	file, variables map[string]any
	settings        map[string]*setting // in effect; nil: there is none
}

func newScope(label, name string, keys []Key, at func(*yaml.Node) string) *scope {
	return &scope{label: label, name: name, keys: keys, at: at, file: map[string]any{}, variables: map[string]any{}, settings: map[string]*setting{}}
}

func (s *scope) key(name string) (Key, bool) {
	i := slices.IndexFunc(s.keys, func(k Key) bool { return k.name == name })
	if i < 0 {
		return Key{}, false
	}
	return s.keys[i], true
}

// ok reports whether the values of all these keys are valid.
func (s *scope) ok(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return s.settings[name] == nil || s.settings[name].wrong })
}

// chosen reports whether the key has a value that is neither a default nor empty.
func (s *scope) chosen(name string) bool {
	set := s.settings[name]
	return set != nil && set.chosen && set.text != ""
}

func (s *scope) source(name string) string { return s.settings[name].source }

// A loader collects the results of one Load.
type loader struct {
	in       Input
	file     string // path, "" if none
	broken   bool   // the file could not be parsed
	root     *scope
	clusters []*scope // at least one
	config   Config

	problems    []Problem
	noBootstrap int // number of problems that are a missing bootstrap address
	warnings    []string
}

func (l *loader) report(p Problem) { l.problems = append(l.problems, p) }

// reject reports a key in effect whose value is invalid.
func (l *loader) reject(s *scope, name, message, nearest string) {
	k, _ := s.key(name)
	set := s.settings[name]
	set.shown, set.wrong = k.display(*set), true
	l.report(Problem{s.label + name, set.source, set.shown, message, nearest})
}

func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

// display returns the text to show for a setting that may be invalid.
func (k Key) display(s setting) string {
	switch {
	case k.is(isSecret) && s.text != "":
		return hidden
	case k.is(isAddress):
		return brief(withoutUserInfo(s.text))
	}
	return brief(s.text)
}

// resolve finds the settings in effect of a scope and stores their values in a struct.
//
// viper decides which layer takes precedence. Variables are merged over the file,
// because viper's BindEnv reads the environment of the process and not [Input.Environ].
// Texts are parsed by the key's own parser, because viper's conversions turn "5x" into
// 0 s. Unmarshal then only finds the fields.
func (l *loader) resolve(s *scope, into any) {
	v, understood := viper.New(), viper.New()
	flags := l.in.Flags
	if s != l.root && len(l.clusters) > 1 {
		flags = nil // no flag names a cluster
	}
	for _, k := range s.keys {
		if !k.is(isField|required) && (!k.is(perCluster) || len(l.clusters) == 1) {
			v.SetDefault(k.name, k.Default)
		}
		if given(flags, k.Flag()).chosen {
			_ = v.BindPFlag(k.name, flags.Lookup(k.Flag())) // fails only for a nil flag
		}
	}
	_ = v.MergeConfigMap(s.file) // never fails
	_ = v.MergeConfigMap(s.variables)
	for _, k := range s.keys {
		var set setting
		switch winner := v.Get(k.name).(type) {
		case nil:
			l.missing(s, k)
			continue
		case setting:
			set = winner
		default:
			if set = given(flags, k.Flag()); !set.chosen {
				set = setting{text: k.Default, source: "default"}
			}
		}
		s.settings[k.name] = &set
		if value, err := l.parse(s.label+k.name, k, &set); err != nil {
			l.reject(s, k.name, err.message, err.nearest)
		} else if !set.wrong {
			understood.Set(k.name, value)
		}
	}
	if err := understood.Unmarshal(into, strict); err != nil {
		l.report(Problem{Key: fileFlag, Message: "the schema does not fit the configuration: " + err.Error()})
	}
}

// strict makes mapstructure store values unchanged, in fields named like their keys:
// ConnectTimeout for connect_timeout. A key without a field is an error.
func strict(c *mapstructure.DecoderConfig) {
	c.DecodeHook, c.WeaklyTypedInput, c.ErrorUnused = nil, false, true
	c.MatchName = func(key, field string) bool { return strings.EqualFold(strings.ReplaceAll(key, "_", ""), field) }
}

// parse returns the value of a setting. path names it in problems within a list.
func (l *loader) parse(path string, k Key, set *setting) (value any, err *valueError) {
	switch {
	case k.list != nil:
		return k.list(l, path, set)
	case k.is(isAddress) && strings.Contains(set.text, "@"):
		return nil, wrong("must not contain a user name or a password (@)")
	case set.text == "" && k.Default == "" && !k.is(isList|required):
		return "", nil
	}
	if value, err = k.parse(set.text); err == nil {
		set.shown = show(value)
	}
	return value, err
}

// ParseClusterKey parses a text as the value of a key of clusters. It returns the error
// under a name that the caller chooses.
func ParseClusterKey(name, text, shownAs string) (any, []Problem) {
	keys, l := Keys(), &loader{}
	i := slices.IndexFunc(keys, func(k Key) bool { return k.name == name && k.is(inCluster) })
	value, err := l.parse(shownAs, keys[i], &setting{text: text})
	if err != nil {
		l.report(Problem{Key: shownAs, Message: err.message, Nearest: err.nearest})
	}
	return value, l.problems
}

// missing reports a key without a value.
func (l *loader) missing(s *scope, k Key) {
	p := Problem{Key: s.label + k.name, Source: cmp.Or(s.from, "default"), Message: "has no default with several clusters"}
	switch {
	case k.is(required):
		p.Message = "is missing"
	case k.is(isField):
		return
	case k.is(fileOnly):
		p.Message = "every cluster needs a name when there are several"
	case s.name != "":
		p.Message += "; set " + clusterVariable(s.name, k)
	}
	l.report(p)
}

// readFiles reads the files that keys name.
func (l *loader) readFiles() {
	t, c := &l.config.Token, &l.config.Connectivity
	l.secretFile("token.client_secret", t.ClientSecretFile, &t.ClientSecret)
	l.secretFile("connectivity.password", c.PasswordFile, &c.Password)
	for i, s := range l.clusters {
		tls := &l.config.Clusters[i].TLS
		tls.Roots = l.authorities(s, "tls.ca_file", tls.CAFile)
	}
	t.Roots = l.authorities(l.root, "token.ca_file", t.CAFile)
	if t.Resource != "" && t.URL != "" {
		// The token URL of the Identity Authentication service has another path.
		t.URL, _ = token.IdentityEndpointURL(l.root.settings["token.url"].text) // valid except for its path
		l.root.settings["token.url"].shown = t.URL
	}
	chain, private := l.contents(l.root, "token.certificate_file", t.CertificateFile), l.contents(l.root, "token.key_file", t.KeyFile)
	if chain != nil && private != nil {
		var err error
		if t.Certificate, err = token.ParseCertificate(string(chain), string(private)); err != nil {
			l.reject(l.root, "token.certificate_file", "with token.key_file: "+err.Error(), "")
		}
	}
}

// secretFile reads a secret from the file that the key name_file names.
func (l *loader) secretFile(name, path string, into *Secret) {
	file := name + "_file"
	if path == "" || !l.root.ok(name) {
		return
	}
	if *into != "" {
		l.reject(l.root, file, "contradicts "+name+" ("+l.root.source(name)+"); only one of them can be set", "")
		return
	}
	text, err := boundedfile.Line(path, maxFile)
	if err != nil {
		l.reject(l.root, file, "cannot be read: "+err.Error(), "")
		return
	}
	*into = Secret(text)
	l.root.settings[name] = &setting{text: text, shown: hidden, source: "file " + path, chosen: true}
}

func (l *loader) authorities(s *scope, name, path string) (roots *x509.CertPool) {
	if data := l.contents(s, name, path); data != nil {
		var err error
		if roots, err = secure.ParseRoots(data); err != nil {
			l.reject(s, name, err.Error(), "")
		}
	}
	return roots
}

// contents returns the content of the file that a key names; nil: there is none.
func (l *loader) contents(s *scope, name, path string) []byte {
	if path == "" || !s.ok(name) {
		return nil
	}
	data, err := boundedfile.Read(path, maxFile)
	if err != nil {
		l.reject(s, name, "cannot be read: "+err.Error(), "")
		return nil
	}
	return data
}

// finish makes the result.
func (l *loader) finish() (*Effective, error) {
	var values []Value
	for _, s := range append(l.clusters, l.root) {
		for _, k := range s.keys {
			if set := s.settings[k.name]; set != nil {
				values = append(values, Value{s.label + k.name, set.shown, set.source})
			}
		}
	}
	switch len(l.problems) {
	case 0:
		return &Effective{Config: l.config, Values: values, Warnings: l.warnings, File: l.file}, nil
	case l.noBootstrap:
		return nil, &Error{l.problems, values, failure.New(failure.BootstrapMissing, nil)}
	}
	return nil, &Error{l.problems, values, failure.New(failure.ConfigInvalid, nil)}
}
