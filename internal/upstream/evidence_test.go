package upstream

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// A record keeps outcomes.
type record struct {
	mu       sync.Mutex
	outcomes []attempt
}

type attempt struct {
	target hostport.Target
	began  time.Time
	f      *failure.Failure
}

func (r *record) Attempt(target hostport.Target, began time.Time, f *failure.Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes = append(r.outcomes, attempt{target, began, f})
}

func (r *record) counts() (granted, failed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.outcomes {
		if o.f == nil {
			granted++
		} else {
			failed++
		}
	}
	return granted, failed
}

// TestOutcomes: each finished attempt is reported with its target and its start time,
// after its failure was reported.
func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outcomes := &record{}
		reported := 0
		ends := []error{failure.New(failure.ConnectorAway, nil), failure.New(failure.BrokerUnreachable, nil)}
		d := &Dialer{
			Health: outcomes,
			Failed: func(context.Context, *failure.Failure) {
				if granted, failed := outcomes.counts(); granted+failed != reported {
					t.Error("an outcome was reported before its failure")
				}
				reported++
			},
			connect: func(context.Context, hostport.Target) (net.Conn, error) {
				time.Sleep(time.Second) // synctest
				if len(ends) == 0 {
					return nil, nil
				}
				err := ends[0]
				ends = ends[1:]
				return nil, err
			},
		}
		for range 2 {
			_, _ = d.Dial(t.Context(), target("a"))
			time.Sleep(time.Minute) // synctest
		}
		if granted, failed := outcomes.counts(); granted != 1 || failed != 2 {
			t.Errorf("%d granted, %d failed", granted, failed)
		}
		for i, o := range outcomes.outcomes {
			if o.target != target("a") || !o.began.Before(time.Now()) || i > 0 && !o.began.After(outcomes.outcomes[i-1].began) {
				t.Errorf("outcome %d: %+v", i, o)
			}
		}
	})
}
