package manifest

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// pages lists for each page of docs/getting-started its example, the file with
// the client, and the files that the page's commands build before the push.
var pages = map[string]struct {
	folder, client string
	built          []string
}{
	"node.md":             {"examples/node", "hello.mjs", []string{"kafka-tunnel"}},
	"java-spring-boot.md": {"examples/spring-boot", "src/main/java/hello/Hello.java", []string{"target/hello.jar/kafka-tunnel"}},
	"python.md":           {"examples/python", "hello.py", []string{"kafka-tunnel"}},
	"go.md":               {"examples/go", "main.go", []string{"kafka-tunnel", "hello"}},
	"cap.md":              {"examples/cap", "server.js", []string{"kafka-tunnel"}},
}

// TestPages checks the manifest of each getting-started page by the rules, and
// compares what the page shows with the files.
func TestPages(t *testing.T) {
	index, err := fs.ReadFile(root(), "docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(root(), "docs/getting-started/*.md")
	if err != nil || len(names) != len(pages) {
		t.Fatalf("docs/getting-started has %q, want %d pages (%v)", names, len(pages), err)
	}
	for _, name := range names {
		t.Run(path.Base(name), func(t *testing.T) {
			page, known := pages[path.Base(name)]
			if !known {
				t.Fatal("the table of this test does not have the page")
			}
			if !strings.Contains(string(index), "(getting-started/"+path.Base(name)+")") {
				t.Error("docs/README.md has no link to the page")
			}
			var built []string
			for _, b := range page.built {
				built = append(built, path.Join(page.folder, b))
			}
			manifest := path.Join(page.folder, "manifest.yml")
			for _, p := range Check(root(), manifest, built) {
				t.Errorf("%s: %v", manifest, p)
			}
			shown := shownFiles(t, name)
			for _, must := range []string{manifest, path.Join(page.folder, page.client)} {
				if !shown[must] {
					t.Errorf("the page does not show %s", must)
				}
			}
		})
	}
}

// block is a fenced block of a page, with the line before it. A block that shows
// a file follows a link to the file and a colon.
var (
	block = regexp.MustCompile("(?s)\n([^\n]*)\n\n```([a-z]+)\n(.*?\n)```\n")
	link  = regexp.MustCompile(`^\[[^]]+\]\(([^)]+)\):$`)
)

// shownFiles returns the files that a page shows. Each block must be commands or
// equal the file that it shows.
func shownFiles(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := fs.ReadFile(root(), page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := block.FindAllStringSubmatch(string(text), -1)
	if fences := strings.Count("\n"+string(text), "\n```"); fences != 2*len(blocks) {
		t.Errorf("%d lines open or close a block, but %d blocks follow an empty line and name a language", fences, len(blocks))
	}
	shown := map[string]bool{}
	for _, b := range blocks {
		before, language, content := b[1], b[2], b[3]
		if language == "sh" {
			continue
		}
		to := link.FindStringSubmatch(before)
		if to == nil {
			t.Errorf("a block of %s follows %q, want a link to the file and a colon", language, before)
			continue
		}
		name := path.Join(path.Dir(page), to[1])
		file, err := fs.ReadFile(root(), name)
		if err != nil {
			t.Error(err)
		} else if content != string(file) {
			t.Errorf("%s as the page shows it:\n%s\nand as it is:\n%s", name, content, file)
		}
		shown[name] = true
	}
	return shown
}
