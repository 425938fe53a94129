package set

import (
	"sync"
	"time"
)

// Rounds visit the members of a set again and again, with one timer for all of them. The
// timer runs only while the set has a member.
//
//	rounds := set.Rounds[*conn]{Every: time.Second, Visit: (*conn).inspect}
//	rounds.Add(c)
//	...
//	rounds.Remove(c)
//
// Set the fields before the first Add.
type Rounds[T element] struct {
	// Every is the time between two rounds.
	Every time.Duration
	// Visit is called for each member in each round. It must not block, nor call a method of
	// the rounds.
	Visit func(v T, now time.Time)

	mu      sync.Mutex // guards what follows; held during a round
	members Set[T]
	timer   *time.Timer // of the next round
	closed  bool
}

// Add adds a member that is in no set; false: the rounds are closed.
func (r *Rounds[T]) Add(v T) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.members.Add(v)
	switch {
	case r.members.Len() > 1:
	case r.timer == nil:
		r.timer = time.AfterFunc(r.Every, r.round)
	default:
		r.timer.Reset(r.Every)
	}
	return true
}

// Remove removes a member; it is not visited any more when Remove returns. It does nothing
// for one that is not in the set.
func (r *Rounds[T]) Remove(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members.Remove(v) && r.members.Len() == 0 {
		r.timer.Stop()
	}
}

// Close lets Add refuse others. The members are visited until they are removed.
func (r *Rounds[T]) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// Each calls f for each member, under the conditions of Visit.
func (r *Rounds[T]) Each(f func(T)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.members.All() {
		f(v)
	}
}

// round visits all members and sets the timer for the next round.
func (r *Rounds[T]) round() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members.Len() == 0 {
		return
	}
	r.timer.Reset(r.Every)
	now := time.Now()
	for _, v := range r.members.All() {
		r.Visit(v, now)
	}
}
