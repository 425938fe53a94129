package manifest

import (
	"path"
	"slices"
	"strings"
)

// A command is one simple command of a start command: its words.
type command []string

// split takes a start command apart into simple commands, at ; & | and line
// ends outside of quotes.
func split(line string) []command {
	var all []command
	var words command
	var word strings.Builder
	inWord := false
	quote := rune(0)
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	endCommand := func() {
		endWord()
		if len(words) > 0 {
			all = append(all, words)
		}
		words = nil
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case strings.ContainsRune(";&|\n", r):
			endCommand()
		case r == ' ' || r == '\t':
			endWord()
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	endCommand()
	return all
}

// bare is the command without `exec` and without variables set before it.
func (c command) bare() command {
	for len(c) > 0 && (c[0] == "exec" || strings.Contains(c[0], "=")) {
		c = c[1:]
	}
	return c
}

// isTunnel reports whether the command runs a tunnel: `run`, `exec`, or only flags. `wait`,
// `status` and the others only query one.
func (c command) isTunnel() bool {
	c = c.bare()
	if len(c) == 0 || path.Base(c[0]) != "kafka-tunnel" {
		return false
	}
	return len(c) == 1 || strings.HasPrefix(c[1], "-") || slices.Contains([]string{"run", "exec", "lab"}, c[1])
}

// files are the files of the pushed folder that the command needs: a program
// with a path, and the script of an interpreter.
func (c command) files() []string {
	c = c.bare()
	if len(c) == 0 {
		return nil
	}
	var needed []string
	if strings.HasPrefix(c[0], "./") {
		needed = append(needed, path.Clean(c[0]))
	}
	if script := c.script(); script != "" {
		needed = append(needed, script)
	}
	if c.isTunnel() && len(c) > 1 && c[1] == "exec" {
		if i := slices.Index(c, "--"); i >= 0 {
			needed = append(needed, c[i+1:].files()...)
		}
	}
	return needed
}

// script returns the file that an interpreter runs; empty if there is none.
func (c command) script() string {
	if len(c) < 2 || !slices.Contains([]string{"node", "python", "python3", "ruby", "bash", "sh"}, path.Base(c[0])) {
		return ""
	}
	for _, w := range c[1:] {
		if !strings.HasPrefix(w, "-") {
			return path.Clean(w)
		}
	}
	return ""
}
