package manifest

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// root is the repository.
func root() fs.FS { return os.DirFS(filepath.Join("..", "..")) }

func TestRepository(t *testing.T) {
	built, err := Built(root())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"manifest.yml", "manifest-standalone.yml"} {
		for _, p := range Check(root(), name, built) {
			t.Errorf("%s: %v", name, p)
		}
	}
}

// TestBuilt looks at what `make dist` has made: nothing needs to be there, but
// what is there must start on the platform. With KAFKA_TUNNEL_DIST=1 (CI) all
// of it must be there.
func TestBuilt(t *testing.T) {
	built, err := Built(root())
	if err != nil {
		t.Fatal(err)
	}
	procfile, err := fs.ReadFile(root(), "Procfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range built {
		b, err := fs.ReadFile(root(), name)
		switch {
		case err != nil && os.Getenv("KAFKA_TUNNEL_DIST") == "":
			t.Logf("%s is not built", name)
		case err != nil:
			t.Errorf("`make dist` did not make it: %v", err)
		case strings.HasSuffix(name, "Procfile"):
			if !bytes.Equal(b, procfile) {
				t.Errorf("%s differs from Procfile", name)
			}
		default:
			checkBinary(t, name, b)
		}
	}
}

// checkBinary checks that a binary is static, for Linux, and for the processor
// that its name says (amd64 if it says none).
func checkBinary(t *testing.T, name string, b []byte) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Errorf("%s is no Linux binary: %v", name, err)
		return
	}
	want := elf.EM_X86_64
	if strings.HasSuffix(name, "arm64") {
		want = elf.EM_AARCH64
	}
	if f.Machine != want {
		t.Errorf("%s is for %v, want %v", name, f.Machine, want)
	}
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Errorf("%s is not static: it asks for a dynamic loader", name)
	}
}

// TestReadme holds the manifest that the README shows to the same rules.
func TestReadme(t *testing.T) {
	readme, err := fs.ReadFile(root(), "README.md")
	if err != nil {
		t.Skip("no README.md")
	}
	found := 0
	for _, block := range strings.Split(string(readme), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(block, "applications:") {
			continue
		}
		found++
		fsys := fstest.MapFS{
			"manifest.yml": {Data: []byte(block)},
			"server.js":    {Data: []byte("listen(process.env.PORT)")},
			"kafka-tunnel": {},
		}
		for _, p := range Check(fsys, "manifest.yml", nil) {
			t.Errorf("README.md: %v", p)
		}
	}
	if found == 0 {
		t.Error("README.md shows no manifest")
	}
}

// TestFixtures proves that each rule fires. The first line of a fixture lists
// the rules that it breaks, each as often as it is broken; a line `built:` in
// the comment lists files that a build would make.
func TestFixtures(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	fired := map[Rule]bool{}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fsys := fstest.MapFS{}
			for _, f := range a.Files {
				fsys[f.Name] = &fstest.MapFile{Data: f.Data}
			}
			var got []string
			for _, p := range Check(fsys, "manifest.yml", comment(a, "built:")) {
				t.Log(p)
				got = append(got, string(p.Rule))
				fired[p.Rule] = true
			}
			want := comment(a, "breaks:")
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("breaks %q, want %q", got, want)
			}
		})
	}
	for _, r := range Rules() {
		if !fired[r] {
			t.Errorf("no fixture breaks the rule %s", r)
		}
	}
}

// comment returns the words after a key in the comment of a fixture.
func comment(a *txtar.Archive, key string) []string {
	for line := range strings.Lines(string(a.Comment)) {
		if value, ok := strings.CutPrefix(line, key); ok {
			return strings.Fields(value)
		}
	}
	return nil
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		line   string
		want   string // commands separated by " / "
		tunnel bool
	}{
		{"exec ./kafka-tunnel run", "exec ./kafka-tunnel run", true},
		{"./kafka-tunnel", "./kafka-tunnel", true},
		{"./kafka-tunnel --log-level debug", "./kafka-tunnel --log-level debug", true},
		{"KEY=1 exec ./kafka-tunnel run", "KEY=1 exec ./kafka-tunnel run", true},
		{"./kafka-tunnel wait --max 30s && exec node server.js", "./kafka-tunnel wait --max 30s / exec node server.js", false},
		{"./kafka-tunnel status; exec node 'a;b.js'", "./kafka-tunnel status / exec node a;b.js", false},
		{"./kafka-tunnel run & exec node server.js", "./kafka-tunnel run / exec node server.js", true},
		{"exec ./kafka-tunnel exec -- npm start", "exec ./kafka-tunnel exec -- npm start", true},
		{"", "", false},
	} {
		var got []string
		for _, c := range split(tt.line) {
			got = append(got, strings.Join(c, " "))
		}
		if s := strings.Join(got, " / "); s != tt.want {
			t.Errorf("split(%q) = %q, want %q", tt.line, s, tt.want)
		}
		if got := runsTunnel(tt.line); got != tt.tunnel {
			t.Errorf("runsTunnel(%q) = %v", tt.line, got)
		}
	}
}

func TestMebibytes(t *testing.T) {
	for s, want := range map[string]int{"64M": 64, "64MB": 64, "1G": 1024, "2gb": 2048, "64": 0, "-1M": 0, "": 0, "M": 0} {
		if got, err := mebibytes(s); got != want || (err == nil) != (want > 0) {
			t.Errorf("mebibytes(%q) = %d, %v; want %d", s, got, err, want)
		}
	}
}

func TestIgnored(t *testing.T) {
	for _, tt := range []struct {
		lines, name string
		want        bool
	}{
		{"*.log", "a/b.log", true},
		{"node_modules/", "node_modules/x/y.js", true},
		{"*\n!/kafka-tunnel", "kafka-tunnel", false},
		{"*\n!/kafka-tunnel", "a/kafka-tunnel", true},
		{"/kafka-tunnel", "kafka-tunnel", true},
		{"/kafka-tunnel", "a/kafka-tunnel", false},
		{"", "kafka-tunnel", false},
	} {
		fsys := fstest.MapFS{".cfignore": {Data: []byte(tt.lines)}}
		if got := openFolder(fsys, ".", nil).ignored(tt.name); got != tt.want {
			t.Errorf(".cfignore %q leaves out %q: %v, want %v", tt.lines, tt.name, got, tt.want)
		}
	}
}
