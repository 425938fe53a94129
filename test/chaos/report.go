package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// String returns the figures of a run, for people.
func (r *Report) String() string {
	var b strings.Builder
	route := "through the tunnel"
	if r.Direct {
		route = "direct"
	}
	fmt.Fprintf(&b, "%s: seed %d, %s of faults, %s in all\n", route, r.Schedule.Seed, r.Schedule.Time, r.Took.Truncate(grid))
	fmt.Fprintf(&b, "clients: %d dials, %d failed, %d connections ended, %d MB read\n", r.Dials, r.Failed, r.Broken, r.Read>>20)
	fmt.Fprintf(&b, "proxy: %s\n", figures(r.Connects))
	fmt.Fprintf(&b, "faults: %s\n", figures(r.Injected))
	for _, w := range r.Workloads {
		fmt.Fprintf(&b, "%-14s %s\n", w.Name, w.Counts)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		for _, class := range slices.Sorted(maps.Keys(r.Errors[kind])) {
			c := r.Errors[kind][class]
			fmt.Fprintf(&b, "errors: %s, %s: %d, first: %s\n", kind, class, c.Count, c.First)
		}
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "PROBLEM: %s\n", p)
	}
	return b.String()
}

// String returns the figures that are not zero.
func (c Counts) String() string {
	var list []string
	for _, f := range []struct {
		name  string
		value int
	}{
		{"sent", c.Sent}, {"acknowledged", c.Acked}, {"failed", c.Failed}, {"unsettled", c.Unsettled},
		{"read", c.Read}, {"lost", c.Lost}, {"duplicates", c.Duplicates}, {"redelivered", c.Redelivered},
		{"committed transactions", c.Committed}, {"aborted", c.Aborted}, {"unconfirmed", c.Unknown},
	} {
		if f.value != 0 {
			list = append(list, fmt.Sprintf("%s %d", f.name, f.value))
		}
	}
	return strings.Join(list, ", ")
}

// figures formats a map of counts.
func figures(m map[string]int) string {
	list := make([]string, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%s %d", name, m[name]))
	}
	return strings.Join(list, ", ")
}
