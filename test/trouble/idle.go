//go:build linux

package trouble

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
)

// IdleOptions are the traffic before the tunnel is idle, and for how long it is.
type IdleOptions struct {
	Connects int           // short connections before, default 10 000
	Time     time.Duration // of idleness, default 60 s
}

// The bars.
const (
	idleCPU    = 0.1 // % of a core
	idleTokens = 1   // requests per hour
)

// Idle connects many clients briefly, half of which send a request, and then leaves the tunnel
// idle.
func Idle(ctx context.Context, binary string, o IdleOptions) (*Report, error) {
	o.Connects = or(o.Connects, 10_000)
	o.Time = or(o.Time, time.Minute)
	r := &Report{Scenario: fmt.Sprintf("idle for %v after %d connects", o.Time, o.Connects)}
	s, err := set(ctx, binary, lab.Options{}, tunnelOptions{})
	if err != nil {
		return nil, err
	}
	return s.conclude(r, s.idle(ctx, o, r))
}

// A rest is the state of an idle tunnel.
type rest struct {
	goroutines float64
	open       float64 // file descriptors
	rss        int64
}

// rest takes some samples and returns the median of each figure: a query costs the tunnel a
// connection and one or two goroutines, which may still exist when the next sample is taken.
func (s *stage) rest(ctx context.Context) (at rest, err error) {
	const samples = 11
	var goroutines, open []float64
	err = until(ctx, 20*time.Millisecond, func() (bool, error) {
		m, err := s.tunnel.metrics(ctx)
		if err != nil {
			return true, err
		}
		d, err := s.tunnel.descriptors()
		if err != nil {
			return true, err
		}
		goroutines, open = append(goroutines, m["go_goroutines"]), append(open, float64(d.all))
		return len(open) == samples, nil
	})
	if err != nil {
		return at, err
	}
	at.goroutines, at.open = median(goroutines), median(open)
	at.rss, err = s.tunnel.rss()
	return at, err
}

func (s *stage) idle(ctx context.Context, o IdleOptions, r *Report) error {
	// The first client makes the tunnel allocate what it needs only once.
	if err := serves(ctx, s.tunnel.address); err != nil {
		return err
	}
	start, err := s.rest(ctx)
	if err != nil {
		return err
	}
	if err := s.manyConnects(ctx, o.Connects); err != nil {
		return err
	}
	after, err := s.until(ctx, start)
	if err != nil {
		return err
	}
	r.most("goroutines (bar: as at the start)", after.goroutines, start.goroutines, "")
	r.most("descriptors (bar: as at the start)", after.open, start.open, "")
	r.same("connections at the proxy", float64(s.land.Proxy().Open()), 0)

	granted, tokens := s.land.Proxy().Counts(), s.land.Tokens().Stats().Requests
	before, err := s.tunnel.cpu()
	if err != nil {
		return err
	}
	if err := pause(ctx, o.Time); err != nil {
		return err
	}
	spent, err := s.tunnel.cpu()
	if err != nil {
		return err
	}
	spent -= before
	r.timedMost(fmt.Sprintf("processor time, %v in %v (ticks of %v)", spent, o.Time, tick), 100*float64(spent)/float64(o.Time), idleCPU, " % of a core")
	opened := 0
	for result, n := range s.land.Proxy().Counts() {
		opened += n - granted[result]
	}
	r.same("upstream connections opened while idle", float64(opened), 0)
	r.most(fmt.Sprintf("token requests in %v (bar: an hour's)", o.Time), float64(s.land.Tokens().Stats().Requests-tokens), idleTokens, "")
	r.note("token requests since the start", "%d", s.land.Tokens().Stats().Requests)
	end, err := s.rest(ctx)
	if err != nil {
		return err
	}
	r.note("RSS at the start, after the connects, after the idle time", "%.1f MiB, %.1f MiB, %.1f MiB", mib(start.rss), mib(after.rss), mib(end.rss))
	return nil
}

// until waits until the state of the start has returned, and after a minute returns the current
// state.
func (s *stage) until(ctx context.Context, start rest) (at rest, err error) {
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = until(waiting, 100*time.Millisecond, func() (bool, error) {
		now, err := s.rest(ctx)
		at = now
		return at.goroutines <= start.goroutines && at.open <= start.open, err
	})
	if waiting.Err() != nil {
		err = ctx.Err()
	}
	return at, err
}

// manyConnects connects n times, from 16 clients concurrently. Every second connection is a
// port probe: closed without a byte.
func (s *stage) manyConnects(ctx context.Context, n int) error {
	var next atomic.Int64
	errs := make([]error, 16)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() {
			for errs[i] == nil {
				k := next.Add(1)
				if k > int64(n) {
					return
				}
				errs[i] = s.connectOnce(ctx, k%2 == 0)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (s *stage) connectOnce(ctx context.Context, asks bool) error {
	conn, done, err := dial(ctx, s.tunnel.address)
	defer done()
	if err == nil && asks {
		err = ask(conn, apiVersions)
	}
	return err
}
