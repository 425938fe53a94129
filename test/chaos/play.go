package chaos

import (
	"context"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// A change adds a fault of the schedule, or removes it.
type change struct {
	at   time.Duration
	step int
	add  bool
}

// changes returns the changes of a schedule in order. At the same time faults end before others
// begin.
func (s Schedule) changes() []change {
	var list []change
	for i, step := range s.Steps {
		list = append(list, change{at: step.At, step: i, add: true})
		if step.For > 0 {
			list = append(list, change{at: step.End(), step: i})
		}
	}
	slices.SortStableFunc(list, func(a, b change) int {
		switch {
		case a.at != b.at:
			return int(a.at - b.at)
		case a.add != b.add && b.add:
			return -1
		case a.add != b.add:
			return 1
		}
		return a.step - b.step
	})
	return list
}

// play adds the faults at their times, and removes all of them.
func (r *run) play(ctx context.Context) error {
	set := r.land.Faults()
	defer set.Clear()
	r.mu.Lock()
	r.began = time.Now()
	r.mu.Unlock()
	ids := make([]string, len(r.schedule.Steps))
	for _, c := range r.schedule.changes() {
		if err := pause(ctx, time.Until(r.began.Add(c.at))); err != nil {
			return err
		}
		step := r.schedule.Steps[c.step]
		if !c.add {
			set.Remove(ids[c.step])
			r.note("ends  " + step.String())
			continue
		}
		f, err := set.Add(step.Fault)
		if err != nil {
			return err
		}
		ids[c.step] = f.ID
		r.note("fault " + step.String())
		r.mu.Lock()
		r.injected[label(f)]++
		r.mu.Unlock()
	}
	return pause(ctx, time.Until(r.began.Add(r.schedule.Time)))
}

// label names a fault in the figures: its kind and its variant.
func label(f faults.Fault) string {
	name := string(f.Kind)
	switch {
	case f.Mode != "":
		name += " " + f.Mode
	case f.Status != 0:
		name += " " + itoa(f.Status)
	case f.Reply != 0:
		name += " " + itoa(f.Reply)
	}
	return name
}
