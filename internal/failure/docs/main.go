// Command docs writes docs/failures.md from the catalogue.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

const head = `<!-- Written by go generate ./internal/failure. Change internal/failure/catalogue.go instead. -->

# Failures

Every failure that a user can meet has a code. Log lines, ` + "`kafka-tunnel status`, `/status` and `/readyz`" + ` show it with the same words. The hops are in the order in which a connection passes them.

What "again" means: *gate*: attempts are paced together, one at a time while the trouble lasts, and clients are held meanwhile; *address*: the trouble is one address, others are not affected; *credentials*: again after 30 seconds or when the credentials change; *never*: not before somebody changes something.
`

func main() {
	var b strings.Builder
	b.WriteString(head)
	var hop failure.Hop
	for _, e := range failure.All() {
		if e.Hop != hop {
			hop = e.Hop
			fmt.Fprintf(&b, "\n## Hop: %s\n", hop)
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n\n%s\n\n- The client's connection: %s.\n- It heals: %s.\n- Again: %s.\n",
			e.Code, capital(generic(e.Summary)), generic(e.Advice), e.Client, e.Heals, e.Retry)
	}
	if err := os.WriteFile(os.Args[1], []byte(b.String()), 0o644); err != nil { //nolint:gosec // a document
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// generic shows what is filled in at run time as a placeholder.
func generic(s string) string {
	return strings.NewReplacer("{target}", "ADDRESS", "{host}", "HOST", "{port}", "PORT", "{location}", "with Location ID X").Replace(s)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
