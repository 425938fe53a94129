// Package set implements sets whose members know their position: adding and removing a member
// needs neither a search nor an allocation.
//
//	type conn struct {
//		set.Member
//		...
//	}
//	var open set.Set[*conn]
//	open.Add(c)
//	for _, c := range open.All() { ... }
//	open.Remove(c)
//
// The caller guards a Set and its members with a lock of its own. [Rounds] have a lock, and
// visit their members at an interval.
package set

// A Member is embedded in the members of a Set. It can be in one set at a time.
type Member struct {
	place int // position, from 1; 0: in no set
}

func (m *Member) member() *Member { return m }

// An element is a pointer to a struct that embeds [Member].
type element interface {
	comparable
	member() *Member
}

// A Set is a set of pointers to structs that embed [Member]. The zero value is empty.
type Set[T element] struct {
	all []T
}

// Add adds a member that is in no set.
func (s *Set[T]) Add(v T) {
	s.all = append(s.all, v)
	v.member().place = len(s.all)
}

// Remove removes a member, and reports whether it was in the set.
func (s *Set[T]) Remove(v T) bool {
	place := v.member().place
	if place == 0 || place > len(s.all) || s.all[place-1] != v {
		return false
	}
	last := len(s.all) - 1
	moved := s.all[last]
	s.all[place-1] = moved
	moved.member().place = place
	v.member().place = 0
	var none T
	s.all[last] = none
	s.all = s.all[:last]
	if last < cap(s.all)/4 && last >= smallest { // do not keep the memory of many members for few
		s.all = append(make([]T, 0, 2*last), s.all...)
	}
	return true
}

// smallest is the capacity up to which a set does not release memory.
const smallest = 64

// Len returns the number of members.
func (s *Set[T]) Len() int { return len(s.all) }

// All returns the members in no particular order, valid until the next Add or Remove.
func (s *Set[T]) All() []T { return s.all }
