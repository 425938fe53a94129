package set

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestRounds: every member is visited once in each round, from one interval after it
// was added to an empty set until it is removed. No timer runs without members.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		visits := map[int][]time.Duration{}
		r := Rounds[*named]{Every: 2 * time.Second, Visit: func(v *named, now time.Time) {
			visits[v.name] = append(visits[v.name], now.Sub(begin))
		}}
		a, b := &named{name: 1}, &named{name: 2}
		if !r.Add(a) {
			t.Fatal("the first member was refused")
		}
		time.Sleep(3 * time.Second) // synctest
		r.Add(b)
		time.Sleep(2 * time.Second) // synctest
		r.Remove(a)
		r.Remove(a)
		time.Sleep(2 * time.Second) // synctest
		r.Remove(b)
		time.Sleep(time.Hour) // synctest
		r.Add(a)
		time.Sleep(2 * time.Second) // synctest
		synctest.Wait()
		r.Remove(a)
		second := time.Hour + 9*time.Second
		if got, want := visits[1], []time.Duration{2 * time.Second, 4 * time.Second, second}; !slices.Equal(got, want) {
			t.Errorf("visits of 1 at %v, want %v", got, want)
		}
		if got, want := visits[2], []time.Duration{4 * time.Second, 6 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("visits of 2 at %v, want %v", got, want)
		}
	})
}

// TestClosedRounds: closed rounds accept no new members and still visit those that they
// have.
func TestClosedRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		visits := 0
		r := Rounds[*named]{Every: time.Second, Visit: func(*named, time.Time) { visits++ }}
		a := &named{name: 1}
		r.Add(a)
		r.Close()
		if r.Add(&named{name: 2}) {
			t.Error("closed rounds accepted a member")
		}
		var all []int
		r.Each(func(v *named) { all = append(all, v.name) })
		if !slices.Equal(all, []int{1}) {
			t.Errorf("members %v, want 1", all)
		}
		time.Sleep(1500 * time.Millisecond) // synctest
		r.Remove(a)
		if visits != 1 {
			t.Errorf("%d visits, want 1", visits)
		}
	})
}
