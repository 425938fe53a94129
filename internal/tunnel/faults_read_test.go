package tunnel

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// logLines returns the attributes of the log's lines that report a failure.
func (bed *testbed) logLines(t *testing.T) (lines []map[string]string) {
	t.Helper()
	for line := range strings.Lines(bed.log.String()) {
		attrs, err := parseLogLine(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if attrs["code"] != "" && attrs["hop"] != "" && attrs["level"] != "DEBUG" {
			lines = append(lines, attrs)
		}
	}
	return lines
}

// parseLogLine reads a line of slog's text format.
func parseLogLine(line string) (map[string]string, error) {
	attrs := map[string]string{}
	for line != "" {
		key, rest, _ := strings.Cut(line, "=")
		value, after, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, err
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return nil, err
			}
			after = strings.TrimPrefix(rest[len(quoted):], " ")
		}
		attrs[key] = value
		line = after
	}
	return attrs, nil
}

// counter returns the values of a counter by one of its labels, summed over the others
// and without zeroes.
func (bed *testbed) counter(t *testing.T, name, label string) map[string]int {
	t.Helper()
	families, err := bed.Metrics().Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]int{}
	for _, family := range families {
		if family.GetName() != "kafka_tunnel_"+name {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if n := int(m.GetCounter().GetValue()); l.GetName() == label && n > 0 {
					values[l.GetValue()] += n
				}
			}
		}
	}
	return values
}

// connects returns how many connections the proxy has seen.
func (bed *testbed) connects() int {
	n := 0
	for _, count := range bed.lab.State().Connects {
		n += count
	}
	return n
}

// await polls until good returns true. A closed giveUp ends it early.
func await(t *testing.T, what string, good func() bool, giveUp <-chan struct{}) bool {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := hangTimeout()
	for !good() {
		select {
		case <-tick.C:
		case <-giveUp:
			return good()
		case <-limit:
			t.Fatalf("%s: timed out waiting", what)
		}
	}
	return true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
