package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// exampleFile is absolute, because [conf.input] changes the directory.
var exampleFile, _ = filepath.Abs("../../config.example.yaml")

func readExample(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// uncommented removes the # of every line except prose lines, which begin with a # and
// one blank.
func uncommented(text string) string {
	setting := regexp.MustCompile(`^#(\S|  )`)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if setting.MatchString(line) {
			lines[i] = line[1:]
		}
	}
	return strings.Join(lines, "\n")
}

func TestExampleChangesNothing(t *testing.T) {
	want := conf{env: []string{bootstrap}}.must(t)
	got := conf{env: []string{bootstrap}, file: readExample(t)}.must(t)
	for i, v := range got.Values {
		if v != want.Values[i] {
			t.Errorf("%+v with the example, %+v without", v, want.Values[i])
		}
	}
}

func TestExampleNamesEveryKeyWithItsDefault(t *testing.T) {
	want := conf{env: []string{bootstrap}}.must(t)
	got := conf{file: uncommented(readExample(t))}.must(t)
	if len(got.Values) != len(want.Values) || len(got.Warnings) != 0 {
		t.Fatalf("%d values for %d keys, warnings %q", len(got.Values), len(want.Values), got.Warnings)
	}
	for i, v := range got.Values {
		if !strings.HasPrefix(v.Source, "file ") {
			t.Errorf("the example does not name %s", v.Key)
		}
		if v.Key != "clusters.default.bootstrap" && v.Value != want.Values[i].Value {
			t.Errorf("%s is %q in the example and %q by default", v.Key, v.Value, want.Values[i].Value)
		}
	}
	// The text must match, not only its meaning, so that readers can search for it.
	for _, k := range Keys() {
		if k.name != "bootstrap" && k.Default != "" && !strings.Contains(uncommented(readExample(t)), k.name[strings.LastIndex(k.name, ".")+1:]+": "+k.Default) {
			t.Errorf("the example does not contain %s: %s", k.name, k.Default)
		}
	}
}

func TestSchemaIsSound(t *testing.T) {
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Flags(flags)
	names := map[string]bool{}
	for _, k := range Keys() {
		if names[k.Name()] || k.Meaning == "" || (k.parse == nil) == (k.list == nil) {
			t.Errorf("%s is in the schema twice, or has no description or no parser", k.Name())
		}
		names[k.Name()] = true
		if k.is(isSecret) && k.Flag() != "" {
			t.Errorf("%s is a secret and has a flag", k.Name())
		}
		if k.Flag() == "" {
			continue
		}
		if flag := flags.Lookup(k.Flag()); flag == nil || flag.DefValue != k.Default || flag.Usage == "" {
			t.Errorf("%s: flag %+v", k.Name(), flag)
		}
	}
	for _, name := range []string{"bootstrap", "admin-listen", "broker-ports", "location-id", "advertise", "config", "log-level", "log-format", "listen"} {
		if flags.Lookup(name) == nil {
			t.Errorf("there is no flag --%s", name)
		}
	}
	// If a key's variable ended in that of another key, names of clusters would be
	// ambiguous.
	for _, a := range Keys() {
		for _, b := range Keys() {
			if a.name != b.name && a.is(inCluster) && b.is(inCluster) && strings.HasSuffix(a.variable(), strings.TrimPrefix(b.variable(), "KAFKA_TUNNEL")) && !a.is(fileOnly) && !b.is(fileOnly) {
				t.Errorf("%s ends in %s", a.variable(), b.variable())
			}
		}
	}
}

// TestAKeyWithoutAFieldIsAnError: a key without a field, or with a field of another
// type, is an error.
func TestAKeyWithoutAFieldIsAnError(t *testing.T) {
	for name, k := range map[string]Key{
		"no field":   {name: "connectivity.nonsense", Default: "x", parse: anyText},
		"other type": {name: "connectivity.hold", Default: "x", parse: anyText},
	} {
		l := &loader{}
		l.resolve(newScope("", "", []Key{k}, l.at), &Config{})
		if len(l.problems) != 1 || !strings.Contains(l.problems[0].Message, "the schema does not fit the configuration") {
			t.Errorf("%s: %s", name, lines(l.problems))
		}
	}
}

func TestBooleanFlagsNeedNoValue(t *testing.T) {
	eff := conf{env: []string{bootstrap}, args: []string{"--allow-remote", "--advertise", "x"}}.must(t)
	if c := eff.Config.Clusters[0]; !c.AllowRemote || c.Advertise != "x" {
		t.Errorf("cluster = %+v", c)
	}
}

// FuzzFile: no file makes Load panic or hang.
func FuzzFile(f *testing.F) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uncommented(string(text)))
	f.Add("clusters: [{bootstrap: &a [x:1], address_map: [{from: *a}]}, *a]\n<<: {log: 5}")
	f.Add("a: &a [*a]\nclusters: *a")
	f.Add("? [x]\n: y\nlog: !!binary aGVsbG8=")
	f.Fuzz(func(t *testing.T, file string) {
		eff, err := conf{file: file}.load(t)
		if (eff == nil) == (err == nil) {
			t.Fatalf("Load = %v, %v", eff, err)
		}
	})
}

// FuzzVariables: no variable makes Load panic or hang.
func FuzzVariables(f *testing.F) {
	for _, k := range Keys() {
		f.Add(strings.TrimPrefix(k.variable(), prefix), k.Default)
	}
	f.Add("CLUSTERS_A_LISTEN", "x")
	f.Add("ADDRESS_MAP", "[{from: a, to: b}]")
	f.Fuzz(func(t *testing.T, name, value string) {
		eff, err := conf{env: []string{"KAFKA_TUNNEL_BOOTSTRAP=a:1", prefix + name + "=" + value}}.load(t)
		if (eff == nil) == (err == nil) {
			t.Fatalf("Load = %v, %v", eff, err)
		}
	})
}
