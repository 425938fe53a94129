package faults

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// add adds a fault that is good.
func add(t *testing.T, s *Set, f Fault) Fault {
	t.Helper()
	f, err := s.Add(f)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestKindsTable(t *testing.T) {
	fields := map[string]bool{}
	typ := reflect.TypeFor[Fault]()
	for i := range typ.NumField() {
		var name string
		for _, r := range typ.Field(i).Tag.Get("json") {
			if r == ',' {
				break
			}
			name += string(r)
		}
		fields[name] = true
	}
	seen := map[Kind]bool{}
	for _, k := range Kinds() {
		if seen[k.Kind] || k.Text == "" {
			t.Errorf("%s: twice, or without text", k.Kind)
		}
		seen[k.Kind] = true
		for _, f := range k.Takes {
			if !fields[f] {
				t.Errorf("%s takes %q, which is no field", k.Kind, f)
			}
		}
		if k.Needs != "" && !slices.Contains(k.Takes, k.Needs) {
			t.Errorf("%s needs %q and does not take it", k.Kind, k.Needs)
		}
		if (len(k.Modes) > 0) != slices.Contains(k.Takes, "mode") {
			t.Errorf("%s: modes and mode", k.Kind)
		}
		if k.Now && slices.Contains(k.Takes, "count") {
			t.Errorf("%s happens once and takes a count", k.Kind)
		}
	}
}

func TestWhere(t *testing.T) {
	none, loc := "", "LOC1"
	tests := []struct {
		fault Fault
		at    Where
		want  bool
	}{
		{Fault{}, Where{Target: "a:1", LocationID: "x"}, true},
		{Fault{Target: "A:1"}, Where{Target: "a:1"}, true},
		{Fault{Target: "a:2"}, Where{Target: "a:1"}, false},
		{Fault{Target: "2"}, Where{Target: "a:1", Node: "2"}, true},
		{Fault{LocationID: &loc}, Where{LocationID: "LOC1"}, true},
		{Fault{LocationID: &loc}, Where{LocationID: "loc1"}, false},
		{Fault{LocationID: &none}, Where{LocationID: "LOC1"}, false},
		{Fault{LocationID: &none}, Where{}, true},
	}
	for _, tt := range tests {
		if got := tt.fault.Matches(tt.at); got != tt.want {
			t.Errorf("%+v at %+v: %v", tt.fault, tt.at, got)
		}
	}
}

func TestCounts(t *testing.T) {
	var s Set
	defer s.Close()
	f := add(t, &s, Fault{Kind: ConnectReply, Reply: 3, Count: 2})
	g := add(t, &s, Fault{Kind: ConnectReply, Reply: 4})
	var replies []int
	for range 4 {
		got, ok := s.Take(ConnectReply, Where{})
		if !ok {
			t.Fatal("no fault")
		}
		replies = append(replies, got.Reply)
	}
	if !slices.Equal(replies, []int{3, 3, 4, 4}) {
		t.Errorf("replies %v", replies)
	}
	list := s.List()
	if len(list) != 2 || list[0].Hits != 2 || !list[0].Used || list[1].Hits != 2 || list[1].Used {
		t.Errorf("%+v", list)
	}
	if !s.Remove(f.ID) || s.Remove(f.ID) || s.RemoveKind(ConnectReply) != 1 || s.Has(g.ID) {
		t.Error("removal")
	}
	if _, ok := s.Active(ConnectReply, Where{}); ok {
		t.Error("still in effect")
	}
}

// TestTakeIsExact: however many ask at once, a fault happens Count times.
func TestTakeIsExact(t *testing.T) {
	var s Set
	defer s.Close()
	add(t, &s, Fault{Kind: TokenEmpty, Count: 37})
	var hits atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 20 {
				if _, ok := s.Take(TokenEmpty, Where{}); ok {
					hits.Add(1)
				}
			}
		})
	}
	workers.Wait()
	if hits.Load() != 37 {
		t.Errorf("%d hits", hits.Load())
	}
}

func TestAttach(t *testing.T) {
	var s Set
	defer s.Close()
	once := add(t, &s, Fault{Kind: Stall, Count: 1})
	add(t, &s, Fault{Kind: Stall, Count: 1})
	always := add(t, &s, Fault{Kind: Latency, Delay: 1})
	ids := func(list []Fault) (ids []string) {
		for _, f := range list {
			ids = append(ids, f.ID)
		}
		return ids
	}
	held := s.Attach(Where{}, Stall, Latency)
	if !slices.Equal(held, []string{once.ID}) {
		t.Errorf("held by %v", held)
	}
	if got := ids(s.InForce(Where{}, held, Stall, Latency)); !slices.Equal(got, []string{once.ID, always.ID}) {
		t.Errorf("in force %v", got)
	}
	if got := ids(s.InForce(Where{}, nil, Stall, Latency)); !slices.Equal(got, []string{always.ID}) {
		t.Errorf("in force for others %v", got)
	}
	s.Remove(once.ID)
	if got := ids(s.InForce(Where{}, held, Stall)); len(got) != 0 {
		t.Errorf("in force after the removal %v", got)
	}
}

func TestForExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Set
		defer s.Close()
		changes := 0
		s.OnChange(func() { changes++ })
		f := add(t, &s, Fault{Kind: ConnectorFailover})
		if f.For.String() != "5s" {
			t.Errorf("for %s", f.For)
		}
		began := time.Now()
		if err := s.Gone(t.Context(), f.ID); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("gone after %v", took)
		}
		synctest.Wait()
		if changes != 2 {
			t.Errorf("%d changes", changes)
		}
		g := add(t, &s, Fault{Kind: Stall, For: Duration(time.Hour)})
		s.Remove(g.ID)
		add(t, &s, Fault{Kind: Stall, For: Duration(time.Hour)}) // ended by Close
	})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Set
		defer s.Close()
		f := add(t, &s, Fault{Kind: TokenEmpty})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Wait(ctx, f.ID, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		done := make(chan error)
		for range 2 {
			go func() { done <- s.Wait(t.Context(), f.ID, 2) }()
		}
		synctest.Wait()
		s.Take(TokenEmpty, Where{})
		s.Take(TokenEmpty, Where{})
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		go func() { done <- s.Wait(t.Context(), f.ID, 3) }()
		synctest.Wait()
		s.Clear()
		if err := <-done; err == nil {
			t.Error("waited for a fault that was removed")
		}
	})
}

func TestNow(t *testing.T) {
	var s Set
	happened := 0
	s.OnNow(TokenRevoked, func(Fault) { happened++ })
	add(t, &s, Fault{Kind: TokenRevoked})
	if happened != 1 || len(s.List()) != 0 {
		t.Errorf("happened %d times, list %v", happened, s.List())
	}
	s.Close()
	if _, err := s.Add(Fault{Kind: TokenRevoked}); err == nil {
		t.Error("added after Close")
	}
}

func TestNilSet(t *testing.T) {
	var s *Set
	s.OnChange(nil)
	s.OnNow(TokenRevoked, nil)
	s.Clear()
	s.Close()
	if _, ok := s.Take(Stall, Where{}); ok || s.Has("f1") || s.List() != nil || s.Attach(Where{}, Stall) != nil || s.InForce(Where{}, nil, Stall) != nil {
		t.Error("a nil set has faults")
	}
	if _, err := s.Add(Fault{Kind: Stall}); err == nil {
		t.Error("added to nil")
	}
}

// TestJSON: a valid fault is unchanged after encoding and decoding.
func TestJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		info := rapid.SampledFrom(Kinds()).Draw(t, "kind")
		f := Fault{Kind: info.Kind}
		has := func(field string) bool { return slices.Contains(info.Takes, field) }
		duration := rapid.Map(rapid.Int64Range(1, 1<<40), func(n int64) Duration { return Duration(n) })
		if has("target") {
			f.Target = rapid.SampledFrom([]string{"", "a:1"}).Draw(t, "target")
		}
		if has("location_id") && rapid.Bool().Draw(t, "located") {
			id := rapid.SampledFrom([]string{"", "LOC1"}).Draw(t, "location")
			f.LocationID = &id
		}
		if has("count") {
			f.Count = rapid.IntRange(0, 9).Draw(t, "count")
		}
		if has("delay") {
			f.Delay = duration.Draw(t, "delay")
		}
		if has("rate") {
			f.Rate = rapid.Int64Range(1, 1<<40).Draw(t, "rate")
		}
		if has("bytes") {
			f.Bytes = rapid.Int64Range(1, 1<<40).Draw(t, "bytes")
		}
		if has("limit") {
			f.Limit = rapid.IntRange(1, 1<<20).Draw(t, "limit")
		}
		if has("status") {
			f.Status = rapid.IntRange(100, 599).Draw(t, "status")
		}
		if has("reply") {
			f.Reply = rapid.IntRange(1, 255).Draw(t, "reply")
		}
		if !info.Now {
			f.For = duration.Draw(t, "for")
		}
		if _, err := f.check(); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var back Fault
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(f, back) {
			t.Fatalf("%s: %+v, %v", b, back, err)
		}
	})
}
