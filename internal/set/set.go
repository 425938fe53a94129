// Package set holds sets whose members know their place, so that adding and removing
// one costs neither a search nor an allocation of its own.
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

// A Member is embedded in what is to be in a Set. It can be in one set at a time.
type Member struct {
	place int // 1 is the first one; 0: in no set
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

// Add adds one that is in no set.
func (s *Set[T]) Add(v T) {
	s.all = append(s.all, v)
	v.member().place = len(s.all)
}

// Remove removes one, and reports whether it was in the set.
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
	if last < cap(s.all)/4 && last >= smallest { // what many have needed is not kept for few
		s.all = append(make([]T, 0, 2*last), s.all...)
	}
	return true
}

// smallest is from which size on a set gives memory back.
const smallest = 64

// Len returns how many there are.
func (s *Set[T]) Len() int { return len(s.all) }

// All returns the members in no particular order, valid until the next Add or Remove.
func (s *Set[T]) All() []T { return s.all }
