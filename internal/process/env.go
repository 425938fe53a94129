package process

import (
	"runtime"
	"slices"
	"strings"
)

// BootstrapServers is the environment variable in which many applications expect the addresses
// of Kafka.
const BootstrapServers = "KAFKA_BOOTSTRAP_SERVERS"

// WithDefault returns the environment (KEY=VALUE) with key set to value unless
// it is set already. An empty value counts as unset, as in the configuration.
// environ itself is not changed.
func WithDefault(environ []string, key, value string) []string {
	without := make([]string, 0, len(environ)+1)
	for _, line := range environ {
		name, have, _ := strings.Cut(line, "=")
		switch {
		case !sameKey(name, key):
			without = append(without, line)
		case have != "":
			return slices.Clone(environ)
		}
	}
	return append(without, key+"="+value)
}

// sameKey compares names of variables like the operating system.
func sameKey(a, b string) bool {
	if runtime.GOOS == "windows" {
		return strings.EqualFold(a, b)
	}
	return a == b
}
