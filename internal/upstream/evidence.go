package upstream

import (
	"context"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// Evidence is what was last seen of the way to the brokers.
type Evidence struct {
	Granted time.Time        // when a connection was last granted or a broker answered
	Failed  time.Time        // when an attempt last met a failure of the landscape
	Failure *failure.Failure // that failure, nil when a connection was granted since
	Last    *failure.Failure // the last failure of any kind
	LastAt  time.Time
}

// Evidence returns what was last seen.
func (d *Dialer) Evidence() Evidence {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.evidence
	if at := time.Unix(0, d.alive.Load()); at.Unix() > 0 && at.After(e.Granted) {
		e.Granted = at
		if e.Granted.After(e.Failed) {
			e.Failure = nil
		}
	}
	return e
}

// Alive notes that a broker has answered on an open connection. It is called for
// every response and therefore takes no lock and writes at most once a second.
func (d *Dialer) Alive() {
	now := time.Now().UnixNano()
	if now-d.alive.Load() > int64(time.Second) {
		d.alive.Store(now)
	}
}

func (d *Dialer) granted() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.evidence.Granted = time.Now()
	d.evidence.Failure = nil
}

func (d *Dialer) failed(ctx context.Context, f *failure.Failure) {
	d.mu.Lock()
	now := time.Now()
	d.evidence.Last, d.evidence.LastAt = f, now
	if r := f.Entry().Retry; r == failure.RetryGate || r == failure.RetryCredentials {
		d.evidence.Failure, d.evidence.Failed = f, now
	}
	d.mu.Unlock()
	if d.Failed != nil {
		d.Failed(ctx, f)
	}
}
