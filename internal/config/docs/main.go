// Command docs writes docs/configuration.md from the schema.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
)

const head = `<!-- Written by go generate ./internal/config. Change the table in internal/config/schema.go instead. -->

# Configuration

One variable is enough on Cloud Foundry: ` + "`KAFKA_TUNNEL_BOOTSTRAP`" + `. Everything else has a default or comes from the bound connectivity service. ` + "`kafka-tunnel config`" + ` shows every value in effect and its source; [config.example.yaml](../config.example.yaml) is a file with every key.

The first of these that has a value wins:

1. flags: ` + "`--bootstrap`" + `
2. environment variables: ` + "`KAFKA_TUNNEL_BOOTSTRAP`" + `; an empty variable counts as unset
3. the YAML file that ` + "`--config` or `KAFKA_TUNNEL_CONFIG`" + ` names
4. the destination that a cluster names, and service bindings
5. defaults

A list from a higher place replaces the whole list of a lower one. Lists of addresses are comma-separated in variables and flags; lists of objects (` + "`address_map`, `forwards`" + `) are YAML in variables, such as ` + "`[{from: \"kafka-*.corp:9092\", to: \"vkafka-*:9092\"}]`" + `, and have no flag. Secrets have no flag either.

Variables and flags are for the only cluster. With two or more clusters the variables are ` + "`KAFKA_TUNNEL_CLUSTERS_<NAME>_<KEY>`" + ` (the name in upper case, ` + "`-` as `_`" + `), and neither ` + "`listen` nor `broker_ports`" + ` has a default. If the file lists no clusters, such variables create them.

On a laptop, ` + "`--default-env default-env.json` or `KAFKA_TUNNEL_DEFAULT_ENV`" + ` names a file with variables that are not set.
`

func main() {
	if err := os.WriteFile(os.Args[1], []byte(page()), 0o644); err != nil { //nolint:gosec // a document
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// page returns the document.
func page() string {
	var b strings.Builder
	b.WriteString(head)
	last := ""
	for _, k := range config.Keys() {
		if section, _, _ := strings.Cut(k.Name(), "."); section != last {
			last = section
			fmt.Fprintf(&b, "\n## %s\n\n| key | default | meaning | variable, flag |\n|---|---|---|---|\n", strings.TrimSuffix(section, "[]"))
		}
		ways := []string{"file only"}
		if v := k.Variable(); v != "" {
			ways[0] = "`" + v + "`"
		}
		if f := k.Flag(); f != "" {
			ways = append(ways, "`--"+f+"`")
		}
		value := "empty"
		if k.Default != "" {
			value = "`" + k.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name(), value, strings.ReplaceAll(k.Meaning, "|", `\|`), strings.Join(ways, ", "))
	}
	return b.String()
}
