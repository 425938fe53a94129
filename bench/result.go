//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A sample is one measured value.
type sample struct {
	Workload  string  `json:"workload"`
	Candidate string  `json:"candidate"`
	Metric    string  `json:"metric"` // with its unit
	Round     int     `json:"round"`  // samples of one round were taken at about the same time
	Value     float64 `json:"value"`
}

// A result has all measurements of a run.
type result struct {
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took"`
	Machine string        `json:"machine"`
	Load    [2]string     `json:"load"` // before and after
	Notes   []string      `json:"notes"`
	Samples []sample      `json:"samples"`
}

func newResult() *result {
	return &result{Started: time.Now(), Machine: machine(), Load: [2]string{load(), ""}}
}

func (r *result) finish() { r.Took, r.Load[1] = time.Since(r.Started), load() }

func (r *result) add(s sample) { r.Samples = append(r.Samples, s) }

// values returns the samples of one figure by round.
func (r *result) values(workload, candidate, metric string) map[int]float64 {
	values := map[int]float64{}
	for _, s := range r.Samples {
		if s.Workload == workload && s.Candidate == candidate && s.Metric == metric {
			values[s.Round] = s.Value
		}
	}
	return values
}

// spread is a median with minimum and maximum.
type spread struct {
	n                int
	median, min, max float64
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{n, (sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

func (s spread) String() string {
	if s.n == 0 {
		return ""
	}
	if s.n == 1 {
		return figure(s.median)
	}
	return fmt.Sprintf("%s (%s to %s)", figure(s.median), figure(s.min), figure(s.max))
}

// figure rounds to three digits.
func figure(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1 || v <= -1 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// ratio compares a candidate with the cheapest of others, round by round: this is more precise
// than a comparison of medians over different rounds.
func (r *result) ratio(workload, metric, candidate string, others ...string) spread {
	var ratios []float64
	for round, value := range r.values(workload, candidate, metric) {
		cheapest := 0.0
		for _, other := range others {
			if v, ok := r.values(workload, other, metric)[round]; ok && v > 0 && (cheapest == 0 || v < cheapest) {
				cheapest = v
			}
		}
		if cheapest > 0 {
			ratios = append(ratios, value/cheapest)
		}
	}
	return spreadOf(ratios)
}

// write writes everything to a folder.
func (r *result) write(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "plots"), 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	files := map[string]string{"results.json": string(text) + "\n", "results.md": r.markdown()}
	for _, f := range r.figures() {
		files[filepath.Join("plots", slug(f.workload+" "+f.metric)+".svg")] = r.plot(f)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// A figureOf is one row of the tables.
type figureOf struct{ workload, metric string }

// figures returns all figures in the order in which they were first measured.
func (r *result) figures() []figureOf {
	var all []figureOf
	for _, w := range workloads() {
		for _, s := range r.Samples {
			if f := (figureOf{s.Workload, s.Metric}); s.Workload == w.name && !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	return strings.Join(words, "-")
}

// machine describes the machine.
func machine() string {
	model, memory, kernel := "", "", ""
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := strings.Cut(string(text), "model name")
		line, _, _ := strings.Cut(rest, "\n")
		model = strings.TrimLeft(line, "\t: ")
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			memory = fields[1] + " KiB"
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("%d processors (%s), %s, Linux %s, %s", runtime.NumCPU(), model, memory, kernel, runtime.Version())
}

// load returns the load average of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
