package terminal

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"":                    ``,
		"orders, größer 注文 🙂": "orders, größer 注文 🙂",
		"a\u00a0b \ufffd":     "a\u00a0b \ufffd",
		"\x1b[2J":             `\x1b[2J`,
		"\x1b]0;title\a":      `\x1b]0;title\a`,
		"\u009b31m":           `\u009b31m`,
		"a\x9b31m\xff":        `a\x9b31m\xff`,
		"a\x7f\r\n\tb":        `a\x7f\r\n\tb`,
		"a\u202eb\u2066c":     `a\u202eb\u2066c`,
		"a\u200e\u200f\u200b": `a\u200e\u200f\u200b`,
		"a\u2028b\u2029c":     `a\u2028b\u2029c`,
		"\ufeffa\u2060b":      `\ufeffa\u2060b`,
		"\U000e0041":          `\U000e0041`,
		"\x00":                `\x00`,
	} {
		if got := Escape(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestNothingReachesTheTerminal: whatever is written, in whatever chunks, the terminal gets
// graphic characters, line feeds and tabs, and all of the text.
func TestNothingReachesTheTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := append(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"), rapid.String().Draw(t, "text")...)
		var whole, chunked bytes.Buffer
		one := NewEscaper(&whole)
		write(t, one, text)
		parts := NewEscaper(&chunked)
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
			write(t, parts, rest[:n])
			rest = rest[n:]
		}
		if one.Flush() != nil || parts.Flush() != nil {
			t.Fatal("Flush failed")
		}
		if whole.String() != chunked.String() {
			t.Fatalf("in chunks %q, at once %q", &chunked, &whole)
		}
		for _, r := range whole.String() {
			if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
				t.Fatalf("%q of %q reaches the terminal", r, text)
			}
		}
		if bytes.IndexByte(text, '\\') < 0 && bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '"') < 0 && utf8.Valid(text) {
			if back, err := strconv.Unquote(`"` + whole.String() + `"`); err != nil || back != string(text) {
				t.Fatalf("%q became %q: %v", text, back, err)
			}
		}
	})
}

func write(t *rapid.T, w *Writer, b []byte) {
	if n, err := w.Write(b); n != len(b) || err != nil {
		t.Fatalf("%d %v", n, err)
	}
}

// TestAPipeGetsTheBytes: and so does a file, and the null device, which is a character device.
func TestAPipeGetsTheBytes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := NewWriter(w)
	if _, err := out.Write([]byte("\x1b\xe2\x80")); err != nil {
		t.Fatal(err)
	}
	if err := Table(out, []string{"a", "\n\x1b"}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil || got.String() != "\x1b\xe2\x80a  \n\x1b\n" {
		t.Errorf("%q %v", &got, err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if Is(null) || Is(out) || Is(&got) || !Is(NewEscaper(&got)) {
		t.Error("what is a terminal is wrong")
	}
}

// TestAStoppedTerminalDoesNotKeepTheProgram.
func TestAStoppedTerminalDoesNotKeepTheProgram(t *testing.T) {
	r, stopped := io.Pipe()
	w := NewEscaper(stopped)
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = w.Write([]byte("log line\n"))
	}()
	one := make([]byte, 1)
	if _, err := r.Read(one); err != nil { // Write is in progress
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
	r.Close()
	<-written
}

func TestTable(t *testing.T) {
	rows := [][]string{{"NAME", "N", "TEXT"}, {"größer", "1", ""}, {"a\nb", "22", "x y "}, {}}
	for _, c := range []struct {
		terminal bool
		want     string
	}{
		{false, "NAME    N   TEXT|größer  1|a\nb     22  x y ||"},
		{true, `NAME    N   TEXT|größer  1|a\nb    22  x y ||`},
	} {
		var b bytes.Buffer
		var err error
		if c.terminal {
			err = Table(NewEscaper(&b), rows...)
		} else {
			err = Table(&b, rows...)
		}
		want := strings.ReplaceAll(strings.ReplaceAll(c.want, "a\nb", "\x00"), "|", "\n")
		if got := strings.ReplaceAll(b.String(), "a\nb", "\x00"); err != nil || got != want {
			t.Errorf("terminal %t: %q, want %q, %v", c.terminal, got, want, err)
		}
	}
}
