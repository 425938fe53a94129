//go:build conformance

package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// leaderTimes are the delays of one client by moves: without the tunnel, and through it.
type leaderTimes struct {
	timedClient
	first [2][]time.Duration // at brokers at which the client had not produced or consumed before
	held  [2][]time.Duration
}

// ratio returns the ratio of the medians, with the range in which nine of ten repetitions of
// the run are expected: medians of times drawn again from the measured ones.
func (l leaderTimes) ratio() (ratio, low, high float64) {
	of := func(direct, tunnel []time.Duration) float64 {
		return float64(quantile(tunnel, 0.5)) / float64(quantile(direct, 0.5))
	}
	chance := rand.New(rand.NewPCG(1, 2)) // the same figures give the same range
	draw := func(from []time.Duration) []time.Duration {
		drawn := make([]time.Duration, len(from))
		for i := range drawn {
			drawn[i] = from[chance.IntN(len(from))]
		}
		return drawn
	}
	ratios := make([]float64, 2000)
	for i := range ratios {
		ratios[i] = of(draw(l.held[0]), draw(l.held[1]))
	}
	slices.Sort(ratios)
	return of(l.held[0], l.held[1]), ratios[len(ratios)/20], ratios[len(ratios)*19/20]
}

// quantile interpolates between the two nearest values.
func quantile(values []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + time.Duration((at-float64(i))*float64(sorted[i+1]-sorted[i]))
}

// leaderTable returns the Markdown of all clients.
func leaderTable(all []leaderTimes) string {
	var b strings.Builder
	b.WriteString("| client | API | moves | direct, ms | tunnel, ms | ratio |\n|---|---|---|---|---|---|\n")
	spread := func(pauses []time.Duration) string {
		ms := func(q float64) string { return fmt.Sprintf("%.0f", quantile(pauses, q).Seconds()*1000) }
		return fmt.Sprintf("**%s** (%s; %s-%s; %s)", ms(0.5), ms(0), ms(0.25), ms(0.75), ms(1))
	}
	for _, l := range all {
		ratio, low, high := l.ratio()
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | **%.2f** (%.2f-%.2f) |\n", l.name, l.api, len(l.held[0]), spread(l.held[0]), spread(l.held[1]), ratio, low, high)
	}
	return b.String()
}

// firstVisits describes the moves to brokers to which a connection may have to be opened.
func firstVisits(all []leaderTimes) string {
	var first [2][]time.Duration
	for _, l := range all {
		for i := range first {
			first[i] = append(first[i], l.first[i]...)
		}
	}
	return fmt.Sprintf("The table excludes the first move to each broker, to which the client may have had no connection: medians of %d moves of all clients %v without the tunnel, %v through it.",
		len(first[0]), quantile(first[0], 0.5).Round(time.Millisecond), quantile(first[1], 0.5).Round(time.Millisecond))
}
