//go:build linux

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A bar is what a figure of the tunnel must keep to: a value, or a ratio to the
// cheapest of others.
type bar struct {
	workload, metric string
	against          []string // nothing: the value itself
	limit            float64
}

func bars() []bar {
	relays := []string{relaySplice, relayCopy}
	one := []string{relayCopy}
	return []bar{
		{"consume, responses of 1 MiB", "CPU s per GB", relays, 1.10},
		{"consume, responses of 1 MiB", "CPU s per GB", []string{"kafka-proxy"}, 0.5},
		{"consume, responses of 50 MiB", "CPU s per GB", relays, 1.10},
		{"produce, requests of 1 MB", "CPU s per GB", relays, 1.10},
		{"produce, requests of 1 MB", "CPU s per GB", []string{"kafka-proxy"}, 0.5},
		{"consume, responses of 50 MiB", "peak RSS, MB", nil, 40},
		{"one small request at a time", "p50 µs", one, 1.10},
		{"one small request at a time", "successful data calls per request", one, 1},
		{"64 small requests in flight", "CPU µs per request", one, 1.15},
		{"many busy connections", "growth", one, 1.10},
		{"idle connections", "RSS KiB each, after 1m5s", nil, 10},
		{"start", "to the first answer, ms", nil, 50},
		{"start", "RSS at rest, MiB", nil, 20},
	}
}

// held returns how a bar was kept.
func (b bar) held(r *result) spread {
	if len(b.against) > 0 {
		return r.ratio(b.workload, b.metric, "tunnel", b.against...)
	}
	var values []float64
	for _, v := range r.values(b.workload, "tunnel", b.metric) {
		values = append(values, v)
	}
	return spreadOf(values)
}

// markdown renders the result: a table of figures, one of bars.
func (r *result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Started %s, took %v, load average %s before and %s after.\n", r.Machine, r.Started.UTC().Format(time.DateTime), r.Took.Round(time.Second), r.Load[0], r.Load[1])
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "%s\n", note)
	}
	names := r.candidates()
	fmt.Fprintf(&b, "\nMedians (minimum to maximum).\n\n| | | %s |\n|---|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	last := ""
	for _, f := range r.figures() {
		title := f.workload
		if title == last {
			title = ""
		}
		last = f.workload
		fmt.Fprintf(&b, "| %s | %s |", title, f.metric)
		for _, name := range names {
			var values []float64
			for _, v := range r.values(f.workload, name, f.metric) {
				values = append(values, v)
			}
			fmt.Fprintf(&b, " %s |", spreadOf(values))
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprint(&b, "\nThe tunnel against the cheapest of the others, ratios of each round.\n\n| | | against | ratio or value | rounds | bar | |\n|---|---|---|---|---|---|---|\n")
	for _, bar := range bars() {
		s := bar.held(r)
		if s.n == 0 {
			continue
		}
		kept := "kept"
		if s.median > bar.limit {
			kept = fmt.Sprintf("**missed** by %.0f %%", 100*(s.median/bar.limit-1))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %s | %s |\n", bar.workload, bar.metric, strings.Join(bar.against, ", "), s, s.n, figure(bar.limit), kept)
	}
	return b.String()
}

// candidates returns their names as columns: the tunnel first.
func (r *result) candidates() []string {
	var names []string
	for _, s := range r.Samples {
		if !slices.Contains(names, s.Candidate) {
			names = append(names, s.Candidate)
		}
	}
	rank := func(name string) int {
		return slices.Index([]string{"tunnel", "tunnel-proxy", relaySplice, relayCopy, "direct"}, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(uint(rank(a)), uint(rank(b))), cmp.Compare(a, b))
	})
	return names
}
