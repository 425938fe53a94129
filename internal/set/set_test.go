package set

import (
	"testing"

	"pgregory.net/rapid"
)

type named struct {
	Member
	name int
}

// TestAgainstAMap: random additions and removals have the same results as with a map,
// also for members that are not in the set.
func TestAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Set[*named]
		want := map[*named]bool{}
		all := make([]*named, 300)
		for i := range all {
			all[i] = &named{name: i}
		}
		for range rapid.IntRange(0, 1000).Draw(t, "steps") {
			v := all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
			switch {
			case rapid.Bool().Draw(t, "remove"):
				if s.Remove(v) != want[v] {
					t.Fatalf("Remove(%d) != %v", v.name, want[v])
				}
				delete(want, v)
			case !want[v]:
				s.Add(v)
				want[v] = true
			}
		}
		if s.Len() != len(want) {
			t.Fatalf("%d members, want %d", s.Len(), len(want))
		}
		for _, v := range s.All() {
			if !want[v] {
				t.Fatalf("%d must not be a member", v.name)
			}
		}
	})
}

// TestMemoryIsReleased: a set that was large once releases its memory.
func TestMemoryIsReleased(t *testing.T) {
	var s Set[*named]
	all := make([]*named, 10_000)
	for i := range all {
		all[i] = &named{}
		s.Add(all[i])
	}
	for _, v := range all[100:] {
		s.Remove(v)
	}
	if s.Len() != 100 || cap(s.all) > 1000 {
		t.Errorf("%d members, room for %d", s.Len(), cap(s.all))
	}
}

func BenchmarkAddRemove(b *testing.B) {
	var s Set[*named]
	v := &named{}
	b.ReportAllocs()
	for b.Loop() {
		s.Add(v)
		s.Remove(v)
	}
}
