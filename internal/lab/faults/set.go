package faults

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Set is the list of faults of one lab. It is safe for concurrent use. The zero value and nil
// are empty; nothing can be added to a nil Set.
type Set struct {
	mu      sync.Mutex
	last    int
	entries []*entry
	changed chan struct{} // closed at the next change; nil: no waiter
	closed  bool
	timers  sync.WaitGroup

	watchers []func()
	actions  map[Kind][]func(Fault)
}

// entry is a fault in the list.
type entry struct {
	Fault
	hits  int
	timer *time.Timer
}

// used reports whether the fault has happened Count times.
func (e *entry) used() bool { return e.Count > 0 && e.hits >= e.Count }

// OnChange registers fn to be called after each Add, Remove, Clear and expiry,
// before these return. fn must not change the Set.
func (s *Set) OnChange(fn func()) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, fn)
}

// OnNow registers fn for a kind that happens once, when it is added.
func (s *Set) OnNow(kind Kind, fn func(Fault)) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.actions == nil {
		s.actions = make(map[Kind][]func(Fault))
	}
	s.actions[kind] = append(s.actions[kind], fn)
}

// Add checks f, adds it and returns it with its ID and defaults filled in. When Add returns,
// the parts of the lab have applied it.
func (s *Set) Add(f Fault) (Fault, error) {
	if s == nil {
		return f, fmt.Errorf("this lab has no faults")
	}
	info, err := f.check()
	if err != nil {
		return f, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return f, fmt.Errorf("the lab is closed")
	}
	s.last++
	f.ID = "f" + strconv.Itoa(s.last)
	if info.Now {
		actions := slices.Clone(s.actions[f.Kind])
		s.mu.Unlock()
		for _, act := range actions {
			act(f)
		}
		return f, nil
	}
	e := &entry{Fault: f}
	if f.For > 0 {
		s.timers.Add(1)
		e.timer = time.AfterFunc(time.Duration(f.For), func() { s.expire(f.ID) })
	}
	s.entries = append(s.entries, e)
	watchers := s.change()
	s.mu.Unlock()
	call(watchers)
	return f, nil
}

// Remove ends a fault. It reports whether the fault was in the list.
func (s *Set) Remove(id string) bool { return s.remove(func(e *entry) bool { return e.ID == id }) > 0 }

// Clear ends all faults.
func (s *Set) Clear() { s.remove(func(*entry) bool { return true }) }

// RemoveKind ends all faults of a kind and returns how many there were.
func (s *Set) RemoveKind(kind Kind) int {
	return s.remove(func(e *entry) bool { return e.Kind == kind })
}

// remove ends the faults that match and returns their number.
func (s *Set) remove(match func(*entry) bool) int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	n := 0
	s.entries = slices.DeleteFunc(s.entries, func(e *entry) bool {
		if !match(e) {
			return false
		}
		n++
		if e.timer != nil && e.timer.Stop() {
			s.timers.Done()
		}
		return true
	})
	var watchers []func()
	if n > 0 {
		watchers = s.change()
	}
	s.mu.Unlock()
	call(watchers)
	return n
}

// expire is the timer function of a fault with a time.
func (s *Set) expire(id string) {
	defer s.timers.Done()
	s.Remove(id)
}

// List returns the faults in the order in which they were added.
func (s *Set) List() []Active {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Active, 0, len(s.entries))
	for _, e := range s.entries {
		list = append(list, Active{Fault: e.Fault, Hits: e.hits, Used: e.used()})
	}
	return list
}

// Take lets the oldest fault of that kind at that place happen once: it counts the hit and
// returns the fault.
func (s *Set) Take(kind Kind, at Where) (Fault, bool) {
	if s == nil {
		return Fault{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(kind, at)
	if e == nil {
		return Fault{}, false
	}
	e.hits++
	s.wake()
	return e.Fault, true
}

// Active reports whether a fault of that kind is in effect at that place,
// without counting a hit.
func (s *Set) Active(kind Kind, at Where) (Fault, bool) {
	if s == nil {
		return Fault{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(kind, at); e != nil {
		return e.Fault, true
	}
	return Fault{}, false
}

// Attach applies the faults of these kinds to something that lasts, such as a connection: of
// each kind it counts a hit of the oldest fault with a count and returns its ID, for calls of
// [Set.InForce] as long as the thing lasts; it also counts hits of the faults without a count.
func (s *Set) Attach(at Where, kinds ...Kind) (held []string) {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range kinds {
		counted := false
		for _, e := range s.entries {
			if e.Kind != kind || e.used() || !e.Matches(at) || e.Count > 0 && counted {
				continue
			}
			e.hits++
			if e.Count > 0 {
				counted = true
				held = append(held, e.ID)
			}
		}
	}
	s.wake()
	return held
}

// InForce returns the faults of these kinds that apply to something at that place: those in
// held, and those without a count.
func (s *Set) InForce(at Where, held []string, kinds ...Kind) []Fault {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Fault
	for _, e := range s.entries {
		if slices.Contains(kinds, e.Kind) && (e.Count == 0 && e.Matches(at) || slices.Contains(held, e.ID)) {
			list = append(list, e.Fault)
		}
	}
	return list
}

// Has reports whether the fault with that ID is still in the list.
func (s *Set) Has(id string) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.entries, func(e *entry) bool { return e.ID == id })
}

// find returns the oldest fault in effect. The caller holds the lock.
func (s *Set) find(kind Kind, at Where) *entry {
	for _, e := range s.entries {
		if e.Kind == kind && !e.used() && e.Matches(at) {
			return e
		}
	}
	return nil
}

// Changed returns a channel that is closed the next time a fault is added, removed or hit.
func (s *Set) Changed() <-chan struct{} {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// Wait blocks until the fault with that ID has happened at least hits times. It fails if ctx
// ends or if the fault is removed before.
func (s *Set) Wait(ctx context.Context, id string, hits int) error {
	for {
		changed := s.Changed()
		n, there := s.hits(id)
		if n >= hits {
			return nil
		}
		if !there {
			return fmt.Errorf("fault %s was removed", id)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("fault %s happened %d times, not %d: %w", id, n, hits, context.Cause(ctx))
		}
	}
}

// Gone returns when the fault with that ID is no longer in the list, or when ctx ends.
func (s *Set) Gone(ctx context.Context, id string) error {
	for {
		changed := s.Changed()
		if !s.Has(id) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Hold waits for the delay of a fault, or without one until the fault is removed. It returns
// false if ctx has ended before.
func (s *Set) Hold(ctx context.Context, f Fault) bool {
	if f.Delay == 0 {
		return s.Gone(ctx, f.ID) == nil
	}
	timer := time.NewTimer(time.Duration(f.Delay))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// hits returns how often a fault happened and whether it is in the list.
func (s *Set) hits(id string) (int, bool) {
	if s == nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.ID == id {
			return e.hits, true
		}
	}
	return 0, false
}

// Close ends all faults, notifies only waiters, and waits for the timers.
func (s *Set) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.closed = true
	s.watchers, s.actions = nil, nil
	s.mu.Unlock()
	s.Clear()
	s.timers.Wait()
}

// change wakes waiters and returns the watchers to call once the lock, which
// the caller holds, is released.
func (s *Set) change() []func() {
	s.wake()
	return slices.Clone(s.watchers)
}

// wake closes the channel of Changed. The caller holds the lock.
func (s *Set) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// call calls the watchers.
func call(watchers []func()) {
	for _, fn := range watchers {
		fn()
	}
}
