package upstream

import (
	"context"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// Health takes the outcomes of attempts, see package health.
type Health interface {
	// Attempt is called with the failure of an attempt that began at a time, or nil.
	// Attempts that teach nothing, because their client left, have no outcome.
	Attempt(target hostport.Target, began time.Time, f *failure.Failure)
}

func (d *Dialer) granted(target hostport.Target, began time.Time) {
	if d.Health != nil {
		d.Health.Attempt(target, began, nil)
	}
}

// failed reports a failure, and then what it means: the cause is logged first.
func (d *Dialer) failed(ctx context.Context, target hostport.Target, began time.Time, f *failure.Failure) {
	if d.Failed != nil {
		d.Failed(ctx, f)
	}
	if d.Health != nil {
		d.Health.Attempt(target, began, f)
	}
}
