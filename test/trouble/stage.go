//go:build linux

package trouble

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
)

// A stage is a lab and the tunnel in front of it.
type stage struct {
	land   *lab.Landscape
	tunnel *tunnel
}

// set starts a stage; close ends it.
func set(ctx context.Context, binary string, landscape lab.Options, o tunnelOptions) (*stage, error) {
	land, err := lab.Start(ctx, landscape)
	if err != nil {
		return nil, fmt.Errorf("the lab: %w", err)
	}
	t, err := startTunnel(ctx, binary, land.Env(), o)
	if err != nil {
		return nil, errors.Join(err, land.Close())
	}
	return &stage{land, t}, nil
}

// close stops the tunnel, which must have run until now, and the lab.
func (s *stage) close() error {
	var err error
	if !s.tunnel.alive() {
		err = fmt.Errorf("the tunnel exited by itself: %w\n%s", s.tunnel.endErr, s.tunnel.log.text())
	}
	return errors.Join(err, s.tunnel.stop(), s.land.Close())
}

// conclude adds the final figures of every scenario, and closes the stage.
func (s *stage) conclude(r *Report, failed error) (*Report, error) {
	violations := s.land.Proxy().Violations()
	ended := s.close()
	if failed != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", r.Scenario, failed), ended, fmt.Errorf("the tunnel's log: %s", s.tunnel.log.text()))
	}
	if ended != nil {
		return nil, fmt.Errorf("%s: %w", r.Scenario, ended)
	}
	if len(violations) > 0 {
		return nil, fmt.Errorf("%s: the tunnel violated the protocol: %v", r.Scenario, violations)
	}
	return r, nil
}

// attempts returns the connections at the proxy that began since the given time and were not
// granted, in the order in which they began.
func (s *stage) attempts(since time.Time) []proxy.Connect {
	list := s.land.Proxy().Connects()
	list = slices.DeleteFunc(list, func(c proxy.Connect) bool { return c.Result == proxy.Granted || c.At.Before(since) })
	slices.SortFunc(list, func(a, b proxy.Connect) int { return a.At.Compare(b.At) })
	return list
}

// firstGranted waits for a connection that was granted after the given time and returns when
// that was.
func (s *stage) firstGranted(ctx context.Context, after time.Time) (at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = until(ctx, 2*time.Millisecond, func() (bool, error) {
		for _, c := range s.land.Proxy().Connects() {
			if granted := c.At.Add(c.Took); c.Result == proxy.Granted && granted.After(after) && (at.IsZero() || granted.Before(at)) {
				at = granted
			}
		}
		return !at.IsZero(), nil
	})
	if err != nil {
		err = fmt.Errorf("no connection was granted after the end of the fault: %w", err)
	}
	return at, err
}

// A course has memory and goroutines over time.
type course struct {
	rss        []int64
	goroutines []float64
	err        error
}

// watch takes samples until ctx ends; the caller reads the course when wait returns.
func (s *stage) watch(ctx context.Context, every time.Duration, wait *sync.WaitGroup) *course {
	c := &course{}
	wait.Go(func() {
		err := until(ctx, every, func() (bool, error) {
			rss, err := s.tunnel.rss()
			if err != nil {
				return true, err
			}
			m, err := s.tunnel.metrics(ctx)
			if err != nil {
				return true, err
			}
			c.rss, c.goroutines = append(c.rss, rss), append(c.goroutines, m["go_goroutines"])
			return false, nil
		})
		if ctx.Err() == nil {
			c.err = err
		}
	})
	return c
}

// report adds whether memory and goroutines have grown.
func (c *course) report(r *Report) error {
	if c.err != nil {
		return fmt.Errorf("taking samples: %w", c.err)
	}
	n := len(c.rss) / 2
	if n == 0 {
		return errors.New("too few samples")
	}
	// Garbage makes memory grow between two collections, which are more than a minute apart
	// here; so the halves are only reported, and the bar is the memory of a sidecar.
	r.note("RSS, medians of the two halves", "%.1f MiB, %.1f MiB", mib(median(c.rss[:n])), mib(median(c.rss[n:])))
	r.timedMost("RSS, highest (bar: the sidecar's memory in manifest.yml)", mib(slices.Max(c.rss)), 64, " MiB")
	before, after := slices.Max(c.goroutines[:n]), slices.Max(c.goroutines[n:])
	r.timedMost("goroutines, maximum of the second half (bar: of the first + 10 %)", after, before*1.1, "")
	return nil
}
