//go:build linux

package trouble

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Report has the results of one scenario.
type Report struct {
	Scenario string
	Figures  []Figure
}

// A Figure is one row of the table.
type Figure struct {
	Name     string
	Measured string
	Bar      string // "": none
	Missed   bool
	// Timed figures depend on the speed of the machine, or on the length of the run. The tests
	// do not check them.
	Timed bool
}

// Missed returns the figures that have missed their bar; timed ones only if requested.
func (r *Report) Missed(timed bool) []Figure {
	var missed []Figure
	for _, f := range r.Figures {
		if f.Missed && (timed || !f.Timed) {
			missed = append(missed, f)
		}
	}
	return missed
}

// note adds a figure without a bar.
func (r *Report) note(name, format string, args ...any) {
	r.Figures = append(r.Figures, Figure{Name: name, Measured: fmt.Sprintf(format, args...)})
}

// most adds a figure with an upper limit.
func (r *Report) most(name string, value, bar float64, unit string) {
	r.Figures = append(r.Figures, Figure{
		Name: name, Measured: number(value) + unit, Bar: "at most " + number(bar) + unit, Missed: !(value <= bar),
	})
}

// timedMost is most for a figure that is checked only at full length.
func (r *Report) timedMost(name string, value, bar float64, unit string) {
	r.most(name, value, bar, unit)
	r.Figures[len(r.Figures)-1].Timed = true
}

// same adds a count that must equal want.
func (r *Report) same(name string, value, want float64) {
	r.Figures = append(r.Figures, Figure{Name: name, Measured: number(value), Bar: number(want), Missed: value != want})
}

// must adds a condition that must hold. detail may be empty.
func (r *Report) must(name string, so bool, detail string) {
	measured := "no"
	if so {
		measured = "yes"
	}
	if detail != "" {
		measured += ", " + detail
	}
	r.Figures = append(r.Figures, Figure{Name: name, Measured: measured, Bar: "yes", Missed: !so})
}

// Markdown returns the reports as one table.
func Markdown(reports ...*Report) string {
	var b strings.Builder
	b.WriteString("| scenario | figure | measured | bar | |\n|---|---|---|---|---|\n")
	for _, r := range reports {
		name := r.Scenario
		for _, f := range r.Figures {
			verdict := ""
			switch {
			case f.Missed:
				verdict = "**missed**"
			case f.Bar != "":
				verdict = "ok"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, cell(f.Name), cell(f.Measured), cell(f.Bar), verdict)
			name = ""
		}
	}
	return b.String()
}

// cell makes text safe for a table cell.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
}

// number formats a figure with its significant digits.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "unknown"
	case v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) < 0.1:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// mib converts bytes to MiB.
func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
