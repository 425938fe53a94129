package health

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// TestSteadyAlert samples as an alert does: `state="down" for 1m` during a steady outage.
func TestSteadyAlert(t *testing.T) {
	for open, want := range map[int]State{0: Down, 1: Degraded} {
		synctest.Test(t, func(t *testing.T) {
			d := ready(t, open, a, b, c)
			var since time.Time
			fired := false
			d.during(5*time.Minute, func() {
				if open > 0 {
					d.Answered()
				}
				d.fail(a, failure.ConnectorAway)
				switch d.State() {
				case want:
					fired = fired || !since.IsZero() && time.Since(since) >= time.Minute
					if since.IsZero() {
						since = time.Now()
					}
				default:
					since = time.Time{}
				}
			})
			if !fired || len(d.changes) != 1 {
				t.Errorf("%d open: no minute of %v on end: %q", open, want, d.changes)
			}
		})
	}
}

// TestNoFlapping: whatever the outcomes, a steady fault of one kind makes at most two
// changes, and the state is one that the definitions allow.
func TestNoFlapping(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		targets := []hostport.Target{a, b, c}[:rapid.IntRange(1, 3).Draw(r, "targets")]
		bad := rapid.IntRange(1, len(targets)).Draw(r, "failing")
		code := rapid.SampledFrom([]failure.Code{failure.ConnectorAway, failure.ProxyUnreachable, failure.AccessNotAllowed, failure.BrokerUnreachable, failure.TLSExpired, failure.TokenTimeout}).Draw(r, "code")
		open := rapid.IntRange(0, 2).Draw(r, "open")
		answers := rapid.Bool().Draw(r, "answers") && open > 0
		cut := rapid.Bool().Draw(r, "cut")
		steps := rapid.SliceOfN(rapid.IntRange(0, len(targets)), 100, 200).Draw(r, "steps")
		if failure.Lookup(code).Retry == failure.RetryGate {
			bad = len(targets)
		}
		synctest.Test(t, func(t *testing.T) {
			d := ready(t, open, targets...)
			for i, s := range steps {
				if answers {
					d.Answered()
				}
				if s < len(targets) {
					if s < bad {
						d.fail(targets[s], code)
					} else {
						d.grant(targets[s])
					}
				}
				if cut && i == 0 {
					answers = false
					for range open {
						d.Disconnected()
					}
				}
				time.Sleep(500 * time.Millisecond) // synctest
				d.State()
			}
			failed := slices.ContainsFunc(steps, func(s int) bool { return s < bad })
			// Clients that try one of several after long may find it down a second time.
			if failed && (bad == len(targets) || !cut && answers) && len(d.changes) != 1 {
				r.Errorf("during the fault: %s", strings.Join(d.changes, ", "))
			}
			for _, to := range targets {
				d.grant(to)
			}
			d.is(Ready)
			if len(d.changes) > 2 && answers {
				r.Errorf("%s", strings.Join(d.changes, ", "))
			}
		})
	})
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	h := New(nil)
	if n := testing.AllocsPerRun(100, h.Answered); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAnswered(b *testing.B) {
	h := New(nil)
	for b.Loop() {
		h.Answered()
	}
}
