//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// plot draws one figure: a strip for each candidate, a dot for each round, and the median as a
// bar from zero.
func (r *result) plot(f figureOf) string {
	const left, width, row, top = 110, 560, 26, 34
	var names []string
	high := 0.0
	for _, name := range r.candidates() {
		values := r.values(f.workload, name, f.metric)
		if len(values) == 0 {
			continue
		}
		names = append(names, name)
		for _, v := range values {
			high = max(high, v)
		}
	}
	step := roundStep(high / 4)
	end := max(step, math.Ceil(high/step)*step) // all values may be zero
	x := func(v float64) float64 { return left + v/end*(width-left-20) }
	height := top + row*len(names) + 26
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	b.WriteString("<style>text{fill:#333}.m{fill:#4878a8}.d{fill:#d1701f}.g{stroke:#999;stroke-opacity:.4}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>\n")
	fmt.Fprintf(&b, `<text x="8" y="18" font-weight="bold">%s: %s</text>`+"\n", html.EscapeString(f.workload), html.EscapeString(f.metric))
	for v := 0.0; v <= end*1.001; v += step {
		fmt.Fprintf(&b, `<line class="g" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x(v), top-6, x(v), height-20, x(v), height-6, figure(v))
	}
	for i, name := range names {
		y := float64(top + row*i + row/2)
		var values []float64
		for _, v := range r.values(f.workload, name, f.metric) {
			values = append(values, v)
		}
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%s</text><rect class="m" x="%d" y="%.1f" width="%.1f" height="10"/>`+"\n",
			left-8, y+4, html.EscapeString(name), left, y-5, max(0, x(spreadOf(values).median)-left))
		for _, v := range values {
			fmt.Fprintf(&b, `<circle class="d" cx="%.1f" cy="%.1f" r="2.5"/>`, max(left, x(v)), y)
		}
		b.WriteByte('\n')
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// roundStep returns the next of 1, 2 and 5 times a power of ten.
func roundStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= v {
			return factor * power
		}
	}
	return 10 * power
}
