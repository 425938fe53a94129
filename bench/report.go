//go:build linux

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A bar is a limit for a figure of the tunnel: for the value, or for its ratio to the cheapest
// of others.
type bar struct {
	workload, metric string
	of               string   // the candidate; "": the tunnel
	against          []string // nil: the value itself
	limit            float64
}

func bars() []bar {
	const (
		small, large = "consume, responses of 1 MiB", "consume, responses of 50 MiB"
		sent, idle   = "produce, requests of 1 MB", "idle connections"
		alone, rest  = "one small request at a time", "own KiB each, after 1m5s"
		flight       = "64 small requests in flight"
		perGB        = "CPU s per GB"
	)
	relays, loop, peer, secured, off := []string{relaySplice, relayCopy}, []string{relayCopy}, []string{"kafka-proxy"}, []string{relayTLS}, []string{tunnelDirect}
	return []bar{
		{small, perGB, "", relays, 1.10},
		{small, perGB, "", peer, 0.5},
		{large, perGB, "", relays, 1.10},
		{sent, perGB, "", relays, 1.10},
		{sent, perGB, "", peer, 0.5},
		{large, "peak RSS, MB", "", nil, 40},
		{alone, "p50 µs", "", loop, 1.10},
		{alone, "successful data calls per request", "", loop, 1},
		{flight, "CPU µs per request", "", loop, 1.15},
		{"many busy connections", "growth", "", loop, 1.10},
		{idle, rest, "", nil, 10},
		{"start", "time to the first response, ms", "", nil, 50},
		{"start", "RSS at rest, MiB", "", nil, 20},
		{dialsName, dialsShare, tunnelProxy, nil, 2},
		{small, perGB, tunnelTLS, secured, 1.10},
		{large, perGB, tunnelTLS, secured, 1.10},
		{sent, perGB, tunnelTLS, secured, 1.10},
		{idle, rest, tunnelTLS, nil, 48},
		{small, perGB, tunnelTap, off, 1.05},
		{sent, perGB, tunnelTap, off, 1.05},
		{alone, "successful data calls per request", tunnelTap, off, 1},
		{flight, "CPU µs per request", tunnelTap, off, 1.05},
		{small, perGB, tunnelWatched, off, 1.5},
		{sent, perGB, tunnelWatched, off, 1.5},
	}
}

// held returns whether a bar was kept, and by how much it was missed.
func (b bar) held(r *result) spread {
	of := cmp.Or(b.of, tunnelDirect)
	if len(b.against) > 0 {
		return r.ratio(b.workload, b.metric, of, b.against...)
	}
	var values []float64
	for _, v := range r.values(b.workload, of, b.metric) {
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
	fmt.Fprint(&b, "\nThe tunnel against the cheapest of the others, ratios of each round.\n\n| | | of | against | ratio or value | rounds | bar | |\n|---|---|---|---|---|---|---|---|\n")
	for _, bar := range bars() {
		s := bar.held(r)
		if s.n == 0 {
			continue
		}
		kept := "kept"
		if s.median > bar.limit {
			kept = fmt.Sprintf("**missed** by %.0f %%", 100*(s.median/bar.limit-1))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %d | %s | %s |\n", bar.workload, bar.metric, cmp.Or(bar.of, tunnelDirect), strings.Join(bar.against, ", "), s, s.n, figure(bar.limit), kept)
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
		return slices.Index([]string{tunnelDirect, tunnelProxy, relaySplice, relayCopy, "direct", tunnelTap, tunnelWatched, tunnelTLS, relayTLS}, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(uint(rank(a)), uint(rank(b))), cmp.Compare(a, b))
	})
	return names
}
