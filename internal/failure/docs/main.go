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

Every failure that a user can see has a code. Log lines, ` + "`kafka-tunnel status`, `/status` and `/readyz`" + ` use the same texts as this page. The hops are in the order in which a connection passes them.

The retry classes: *gate*: all attempts through the same proxy wait for each other, one attempt at a time during the failure, and clients are held; *address*: the failure concerns one address, others are not affected; *credentials*: the tunnel tries again after 30 seconds or when the credentials change; *never*: the tunnel does not try again by itself.
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
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n\n%s\n\n- The client's connection: %s.\n- Recovers: %s.\n- Retry: %s.\n",
			e.Code, capital(generic(e.Summary)), generic(e.Advice), e.Client, e.Recovery, e.Retry)
	}
	if err := os.WriteFile(os.Args[1], []byte(b.String()), 0o644); err != nil { //nolint:gosec // a document
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// generic replaces the placeholders of the catalogue with words in capitals.
func generic(s string) string {
	return strings.NewReplacer("{target}", "ADDRESS", "{host}", "HOST", "{port}", "PORT", "{location}", "with Location ID X").Replace(s)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
