// Package terminal prevents text from brokers, clients and files from controlling a terminal.
//
//	out := terminal.NewWriter(os.Stdout)   // escapes on a terminal, not for a pipe or a file
//	terminal.Table(out, heading, rows)     // on a terminal it also escapes line breaks in cells
//	terminal.Escape(topic)                 // for one line, for any output
//
// Escapes have the form of Go's strings: \x1b, \u202e, \n. All characters that Unicode calls
// graphic remain: letters, marks, numbers, punctuation, symbols and spaces. Escaped are the
// control characters (C0, DEL, C1), invalid UTF-8, the separators of lines and paragraphs, and
// the format characters: those that change the direction of text and those without a width.
package terminal

import (
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Is reports whether w writes to a terminal. A [Writer] does if it escapes.
func Is(w io.Writer) bool {
	switch w := w.(type) {
	case *Writer:
		return w.escapes
	case *os.File:
		return term.IsTerminal(int(w.Fd()))
	}
	return false
}

// Escape returns text that is safe within one line: it also escapes line breaks and tabs.
func Escape(text string) string {
	if !strings.ContainsFunc(text, hostile) && utf8.ValidString(text) {
		return text
	}
	return string(appendEscaped(nil, []byte(text), ""))
}

// hostile reports whether a character is escaped. The replacement character is not: programs
// print it on purpose, and invalid UTF-8 only decodes to it.
func hostile(r rune) bool { return !unicode.IsGraphic(r) }

// appendEscaped appends text and escapes all hostile characters except those in kept.
func appendEscaped(dst, text []byte, kept string) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			const digits = "0123456789abcdef"
			dst = append(dst, '\\', 'x', digits[text[0]>>4], digits[text[0]&0xf])
		case hostile(r) && !strings.ContainsRune(kept, r):
			quoted := strconv.QuoteRuneToASCII(r) // in single quotes
			dst = append(dst, quoted[1:len(quoted)-1]...)
		default:
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}

// A Writer escapes text for a terminal, except line feeds and tabs. Text for other outputs is
// unchanged. Its methods may be called concurrently.
type Writer struct {
	w       io.Writer
	escapes bool

	mu   sync.Mutex
	rest []byte // guarded by mu: the beginning of a character that the next Write completes
}

// NewWriter returns a Writer that escapes if f is a terminal.
func NewWriter(f *os.File) *Writer { return &Writer{w: f, escapes: Is(f)} }

// NewEscaper returns a Writer that treats w as a terminal.
func NewEscaper(w io.Writer) *Writer { return &Writer{w: w, escapes: true} }

// Write implements [io.Writer].
func (w *Writer) Write(b []byte) (int, error) {
	if !w.escapes {
		return w.w.Write(b)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.rest, b...)
	whole := len(text) - incomplete(text)
	if err := w.write(text[:whole]); err != nil {
		return 0, err
	}
	w.rest = append([]byte(nil), text[whole:]...)
	return len(b), nil
}

// Flush writes the beginning of a character that was not completed. It does not wait for a
// Write in progress: a terminal may be stopped, and the program must end all the same.
func (w *Writer) Flush() error {
	if !w.mu.TryLock() {
		return nil
	}
	defer w.mu.Unlock()
	rest := w.rest
	w.rest = nil
	return w.write(rest)
}

func (w *Writer) write(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	_, err := w.w.Write(appendEscaped(nil, text, "\n\t"))
	return err
}

// incomplete returns how many bytes at the end of text are the beginning of an incomplete
// character.
func incomplete(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if end := text[len(text)-n:]; utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				return 0
			}
			return n
		}
	}
	return 0
}
