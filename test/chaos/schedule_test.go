package chaos

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

var testTargets = []string{"kafka-1.onprem.invalid:9092", "kafka-2.onprem.invalid:9092", "kafka-3.onprem.invalid:9092"}

func TestSameSeedSameSchedule(t *testing.T) {
	for _, total := range []time.Duration{20 * time.Second, 3 * time.Minute} {
		a, b := Generate(7, total, testTargets, true), Generate(7, total, testTargets, true)
		if !reflect.DeepEqual(a, b) || a.String() != b.String() || len(a.Steps) < 5 {
			t.Errorf("%s\n%s", a, b)
		}
		if other := Generate(8, total, testTargets, true); reflect.DeepEqual(a.Steps, other.Steps) {
			t.Error("another seed gives the same schedule")
		}
	}
}

// TestEveryFaultEnds: within the schedule's time, with a calm second at the end,
// and the lab takes every one of them.
func TestEveryFaultEnds(t *testing.T) {
	for seed := range uint64(200) {
		for _, total := range []time.Duration{5 * time.Second, 20 * time.Second, 3 * time.Minute} {
			s := Generate(seed, total, testTargets, true)
			var last time.Duration
			for _, step := range s.Steps {
				if step.At < last || step.At < calm || step.End() > total-calm {
					t.Fatalf("seed %d: %s is out of order or time", seed, step)
				}
				if happensOnce(step.Fault.Kind) != (step.For == 0) {
					t.Fatalf("seed %d: %s", seed, step)
				}
				last = step.At
			}
			set := &faults.Set{}
			var ids []string
			for _, c := range s.changes() {
				step := s.Steps[c.step]
				if len(ids) == 0 {
					ids = make([]string, len(s.Steps))
				}
				if !c.add {
					set.Remove(ids[c.step])
					continue
				}
				f, err := set.Add(step.Fault)
				if err != nil {
					t.Fatalf("seed %d: %s: %v", seed, step, err)
				}
				ids[c.step] = f.ID
			}
			if left := set.List(); len(left) > 0 {
				t.Fatalf("seed %d: left over: %v", seed, left)
			}
			set.Close()
		}
	}
}

// elsewhere are the kinds that this landscape cannot meet: it has neither certificates
// nor subscribers, Identity Authentication nor destinations. A destination that was
// once read serves on whatever happens to its service.
var elsewhere = []faults.Kind{
	faults.CertificateRefused, faults.TenantRefused, faults.ResourceRefused,
	faults.DestinationDown, faults.DestinationSlow, faults.DestinationStatus, faults.DestinationHTML, faults.DestinationMissing,
}

// TestAllKindsOccur: all kinds of the lab with all their modes, and the replies
// and statuses that mean something.
func TestAllKindsOccur(t *testing.T) {
	seen := map[string]bool{}
	quiet := 0
	for seed := range uint64(20) {
		s := Generate(seed, 3*time.Minute, testTargets, true)
		kinds := map[faults.Kind]bool{}
		for i, step := range s.Steps {
			seen[string(step.Fault.Kind)] = true
			seen[label(step.Fault)] = true
			kinds[step.Fault.Kind] = true
			if i > 0 && step.At > s.Steps[i-1].End() {
				quiet++
			}
		}
		if len(kinds) < 25 {
			t.Errorf("seed %d has %d kinds in three minutes", seed, len(kinds))
		}
	}
	var want []string
	for _, k := range faults.Kinds() {
		if slices.Contains(elsewhere, k.Kind) {
			continue
		}
		want = append(want, string(k.Kind))
		for _, mode := range k.Modes {
			want = append(want, string(k.Kind)+" "+mode)
		}
	}
	want = append(want, "connect_reply 1", "connect_reply 2", "connect_reply 3", "connect_reply 4",
		"token_status 401", "token_status 403", "token_status 429", "token_status 500", "token_status 503")
	for _, w := range slices.Sorted(slices.Values(want)) {
		if !seen[w] {
			t.Errorf("%s never occurs", w)
		}
	}
	if quiet < 20*10 {
		t.Errorf("only %d pauses between faults", quiet)
	}
}

// TestShortSchedulesHaveNoLongOutages: a run of seconds ends in seconds.
func TestShortSchedulesHaveNoLongOutages(t *testing.T) {
	for seed := range uint64(100) {
		for _, step := range Generate(seed, 20*time.Second, testTargets, true).Steps {
			if step.For > 3*time.Second || step.Fault.Status == 401 {
				t.Errorf("seed %d: %s", seed, step)
			}
		}
	}
}

func TestChangesEndBeforeTheyBegin(t *testing.T) {
	s := Schedule{Time: time.Minute, Steps: []Step{{At: 1, For: 4}, {At: 2}, {At: 5, For: 1}}}
	want := []change{{1, 0, true}, {2, 1, true}, {5, 0, false}, {5, 2, true}, {6, 2, false}}
	if got := s.changes(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestEndingsAreAlone: where the landscape ends young connections, nothing else
// keeps their first answers back.
func TestEndingsAreAlone(t *testing.T) {
	for seed := range uint64(200) {
		steps := Generate(seed, 3*time.Minute, testTargets, true).Steps
		for i, ending := range steps {
			if k := ending.Fault.Kind; k != faults.IdleCut && k != faults.LifetimeCut {
				continue
			}
			for j, other := range steps {
				if i != j && other.At <= ending.End() && ending.At <= other.End() {
					t.Errorf("seed %d: %s and %s overlap", seed, ending, other)
				}
			}
		}
	}
}
