package boundedfile

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]string{4: "it is larger than 4 bytes", 5: "", 6: "", 1 << 20: ""} {
		got, err := Read(path, limit)
		switch {
		case want == "" && (err != nil || string(got) != "12345"):
			t.Errorf("limit %d: %q, %v", limit, got, err)
		case want != "" && (err == nil || err.Error() != want || got != nil):
			t.Errorf("limit %d: %q, %v, want %s", limit, got, err, want)
		}
	}
	for _, wrong := range []string{path + ".gone", filepath.Dir(path)} {
		if _, err := Read(wrong, 10); err == nil || strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// endless is a file without an end; reads counts the bytes that were read from it.
type endless struct{ reads int }

func (e *endless) Read(b []byte) (int, error) {
	e.reads += len(b)
	return len(b), nil
}

func TestFromStopsAtTheLimit(t *testing.T) {
	const limit = 1 << 20
	e := &endless{}
	if _, err := From(e, limit); err == nil || err.Error() != "it is larger than 1 MiB" {
		t.Errorf("err = %v", err)
	}
	if e.reads > limit+1 {
		t.Errorf("%d bytes read of an endless file, limit %d", e.reads, limit)
	}
	if got, err := From(io.LimitReader(e, limit), limit); err != nil || len(got) != limit {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestLine(t *testing.T) {
	for content, want := range map[string]string{"s3cr3t!|\r\n": "", "s3cr3t!|": "", "": "the file is empty", "\n": "the file is empty", "a\nb\n": "the file has more than one line"} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Line(path, 100)
		if want == "" && (err != nil || got != "s3cr3t!|") || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
}
