package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A conf is the configuration of a test.
type conf struct {
	args []string // flags
	env  []string
	file string // content; "": no file
	// files are other files, by name.
	files map[string]string
}

// bootstrap is the one variable that is required.
const bootstrap = "KAFKA_TUNNEL_BOOTSTRAP=kafka-1.corp:9092"

func (c conf) load(t testing.TB) (*Effective, error) {
	t.Helper()
	return Load(c.input(t))
}

func (c conf) input(t testing.TB) Input {
	t.Helper()
	in := Input{Environ: c.env, Flags: pflag.NewFlagSet("test", pflag.ContinueOnError)}
	Flags(in.Flags)
	if err := in.Flags.Parse(c.args); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	if c.file != "" {
		writeTo(t, "tunnel.yaml", c.file)
		if err := in.Flags.Set("config", "tunnel.yaml"); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range c.files {
		writeTo(t, name, content)
	}
	return in
}

func writeTo(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c conf) must(t testing.TB) *Effective {
	t.Helper()
	eff, err := c.load(t)
	if err != nil {
		t.Fatal(err)
	}
	return eff
}

// problems returns the problems of an invalid configuration.
func (c conf) problems(t testing.TB) []Problem {
	t.Helper()
	eff, err := c.load(t)
	wrong, ok := errors.AsType[*Error](err)
	if !ok || eff != nil || len(wrong.Problems) == 0 {
		t.Fatalf("Load = %v, %v; want problems", eff, err)
	}
	return wrong.Problems
}

// value returns the value in effect and its source.
func (e *Effective) value(t testing.TB, key string) (value, source string) {
	t.Helper()
	for _, v := range e.Values {
		if v.Key == key {
			return v.Value, v.Source
		}
	}
	t.Fatalf("no key %q in %v", key, e.Values)
	return "", ""
}

// lines joins problems into text for a message.
func lines(problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

func writeFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	writeTo(t, path, content)
	return path
}

// clientPair returns the files of a client certificate.
func clientPair(t testing.TB) map[string]string {
	t.Helper()
	a, err := authority.New("SAP")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Issue(authority.Request{Names: []string{"x"}, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	chain, key, err := authority.Encode(cert)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"c.pem": chain, "k.pem": key}
}
