package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// A Step is one fault of a schedule.
type Step struct {
	At    time.Duration // from the beginning
	For   time.Duration // how long; 0: it happens once
	Fault faults.Fault
}

// End returns when the fault ends.
func (s Step) End() time.Duration { return s.At + s.For }

// String returns the step in one line.
func (s Step) String() string {
	fields, err := json.Marshal(s.Fault)
	if err != nil {
		fields = []byte(err.Error())
	}
	lasts := "once"
	if s.For > 0 {
		lasts = s.For.String()
	}
	return fmt.Sprintf("%8s %8s %s", s.At, lasts, fields)
}

// A Schedule is a list of faults with their times. Steps are in the order of their times; none
// lasts beyond Time.
type Schedule struct {
	Seed  uint64
	Time  time.Duration
	Steps []Step
}

// String returns the schedule, one step per line.
func (s Schedule) String() string { return s.Until(s.Time) }

// Until returns the steps that begin before a time.
func (s Schedule) Until(t time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %s of faults\n", s.Seed, s.Time)
	for _, step := range s.Steps {
		if step.At <= t {
			fmt.Fprintln(&b, step)
		}
	}
	return b.String()
}

// Times of a schedule.
const (
	calm = time.Second      // at the beginning and at the end
	grid = time.Millisecond // precision of times
)

// Generate returns the schedule of a seed, with faults for the given time. targets are the
// brokers' virtual addresses; tls means that they require TLS. Recipes are drawn like cards
// from a shuffled deck: each has its turn before one is repeated. Most faults are followed by a
// time without faults, some overlap with the next one; recipes that must be alone do not.
func Generate(seed uint64, total time.Duration, targets []string, tls bool) Schedule {
	d := &draw{Rand: rand.New(rand.NewPCG(seed, 0x6b61666b61)), targets: targets, tls: tls, long: total >= time.Minute}
	s := Schedule{Seed: seed, Time: total}
	at, over := calm, calm // when the next one begins, when all previous ones have ended
	for {
		recipe := d.recipe()
		lasts := d.lasts()
		if recipe.alone {
			at = max(at, over+d.pause())
		}
		if at+lasts+calm > total {
			return s
		}
		for _, f := range recipe.make(d, lasts) {
			step := Step{At: at, For: lasts, Fault: f}
			if happensOnce(f.Kind) {
				step.For = 0
			}
			s.Steps = append(s.Steps, step)
		}
		over = max(over, at+lasts)
		switch {
		case recipe.alone:
			at = over + d.pause()
		case d.IntN(5) == 0 && recipe.rest == 0:
			at += d.between(lasts/4, lasts)
		default:
			at += lasts + d.pause() + recipe.rest
		}
	}
}

// happensOnce reports whether a kind has no duration.
func happensOnce(kind faults.Kind) bool {
	for _, k := range faults.Kinds() {
		if k.Kind == kind {
			return k.Now
		}
	}
	return false
}

// A draw is the source of randomness.
type draw struct {
	*rand.Rand
	targets []string
	tls     bool // brokers want it
	long    bool // there is time for outages that are longer than any hold time
	deck    []recipe
}

// recipe returns the next card.
func (d *draw) recipe() recipe {
	if len(d.deck) == 0 {
		cards := recipes()
		if d.tls {
			cards = append(cards, tlsRecipes()...)
		}
		for _, r := range cards {
			if d.long || r.rest == 0 {
				d.deck = append(d.deck, r)
			}
		}
		d.Shuffle(len(d.deck), func(i, j int) { d.deck[i], d.deck[j] = d.deck[j], d.deck[i] })
	}
	next := d.deck[0]
	d.deck = d.deck[1:]
	return next
}

// lasts returns the duration of a fault.
func (d *draw) lasts() time.Duration {
	switch n := d.IntN(20); {
	case d.long && n == 0:
		return d.between(10*time.Second, 13*time.Second) // longer than the tunnel holds a client
	case d.long && n < 5:
		return d.between(2500*time.Millisecond, 6*time.Second)
	}
	return d.between(200*time.Millisecond, 2500*time.Millisecond)
}

// pause returns the length of a time without faults.
func (d *draw) pause() time.Duration { return d.between(300*time.Millisecond, 2*time.Second) }

// between returns a time of the range.
func (d *draw) between(low, high time.Duration) time.Duration {
	return (low + time.Duration(d.Int64N(int64(high-low)+1))).Truncate(grid)
}

// pick returns one of them.
func pick[T any](d *draw, of ...T) T { return of[d.IntN(len(of))] }

// target returns a broker's address, or "" for all.
func (d *draw) target() string {
	if d.IntN(3) == 0 {
		return ""
	}
	return pick(d, d.targets...)
}

// direction returns a direction, or "" for both.
func (d *draw) direction() string { return pick(d, "", faults.Up, faults.Down) }
