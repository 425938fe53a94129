package traffic

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// The latency classes: four for each power of two, from 64 µs to over a minute. Their width
// limits the error of a percentile to a tenth.
const (
	perOctave = 4
	octaves   = 21
	classes   = 1 + perOctave*octaves
	firstBits = 6 // 64 µs
)

// A histogram counts latencies. It only grows; the counts of an interval are the difference of
// two samples.
type histogram struct {
	class [classes]atomic.Uint32
	other atomic.Uint32 // answered requests that have no latency of their own
}

func (h *histogram) add(d time.Duration) { h.class[classOf(d)].Add(1) }

func (h *histogram) uncounted() { h.other.Add(1) }

// classOf returns the class of a latency.
func classOf(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	octave := bits.Len64(us) - 1 - firstBits
	if octave < 0 {
		return 0
	}
	quarter := int(us>>(octave+firstBits-2)) & (perOctave - 1)
	return min(1+octave*perOctave+quarter, classes-1)
}

// middle returns a latency in the middle of a class.
func middle(class int) time.Duration {
	if class == 0 {
		return (1 << firstBits) / 2 * time.Microsecond
	}
	octave, quarter := (class-1)/perOctave, (class-1)%perOctave
	low := math.Ldexp(1+float64(quarter)/perOctave, octave+firstBits)
	high := math.Ldexp(1+float64(quarter+1)/perOctave, octave+firstBits)
	return time.Duration((low + high) / 2 * float64(time.Microsecond))
}

// A sample is a histogram, and the resets, at one time.
type sample struct {
	at     time.Time
	class  [classes]uint32
	other  uint32
	resets uint64
}

func (n *Node) sample(now time.Time) sample {
	s := sample{at: now, other: n.latency.other.Load(), resets: n.resets.Load()}
	for i := range s.class {
		s.class[i] = n.latency.class[i].Load()
	}
	return s
}

// counts are the answers of an interval by class.
type counts struct {
	class    [classes]uint32
	measured int
}

// since returns the answers between an earlier sample and s.
func (s *sample) since(before *sample) counts {
	var c counts
	for i := range c.class {
		c.class[i] = s.class[i] - before.class[i] // correct even after an overflow
		c.measured += int(c.class[i])
	}
	return c
}

func (c *counts) add(other *counts) {
	for i := range c.class {
		c.class[i] += other.class[i]
	}
	c.measured += other.measured
}

// percentile returns the latency below which the given share of the answers is.
func (c *counts) percentile(part float64) time.Duration {
	if c.measured == 0 {
		return 0
	}
	left := int(math.Ceil(part * float64(c.measured)))
	for i, count := range c.class {
		if left -= int(count); left <= 0 {
			return middle(i)
		}
	}
	return middle(classes - 1)
}
