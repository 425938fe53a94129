//go:build linux

package trouble

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
)

// A Way is what the landscape does to a storm.
type Way int

// The ways.
const (
	Reply03 Way = iota // the Cloud Connector is away
	Reply05            // every token is refused, by reply 05
	Silence            // the proxy accepts and says nothing
)

// String returns the way's name in tables.
func (w Way) String() string {
	return [...]string{"reply 03", "reply 05 for every token", "a silent proxy"}[w]
}

func (w Way) fault() faults.Fault {
	return [...]faults.Fault{
		{Kind: faults.ConnectorAway},
		{Kind: faults.AuthRefused, Mode: faults.ModeReply},
		{Kind: faults.ProxySilent, Mode: faults.ModeAccept},
	}[w]
}

// StormOptions say how hard it blows.
type StormOptions struct {
	Way     Way
	Clients int           // default 500
	Time    time.Duration // of the outage, default 59 s: the pauses are longer in one over a minute
	Hold    time.Duration // default: the tunnel's
}

// The bars of a storm.
const (
	pace          = 250 * time.Millisecond // between two attempts at one gate
	tokenRequests = 3
	comeback      = 2 * time.Second // from the landscape's return to the first granted CONNECT
)

// Storm lets many clients reconnect as fast as they can while everything works, takes
// the landscape away, and brings it back.
func Storm(ctx context.Context, binary string, o StormOptions) (*Report, error) {
	o.Clients = or(o.Clients, 500)
	o.Time = or(o.Time, 59*time.Second)
	r := &Report{Scenario: fmt.Sprintf("storm of %d clients, %v, %s", o.Clients, o.Time, o.Way)}
	var env []string
	if o.Hold > 0 {
		env = append(env, "KAFKA_TUNNEL_CONNECTIVITY_HOLD="+o.Hold.String())
	}
	s, err := set(ctx, binary, lab.Options{}, tunnelOptions{env: env})
	if err != nil {
		return nil, err
	}
	return s.conclude(r, s.storm(ctx, o, r))
}

func (s *stage) storm(ctx context.Context, o StormOptions, r *Report) error {
	clients := startCrowd(ctx, s.tunnel.address, o.Clients)
	defer clients.stop()
	if err := clients.awaitAnswers(ctx, int64(2*o.Clients)); err != nil {
		return err
	}

	tokens, closed, refused := s.land.Tokens().Stats().Requests, clients.closed.Load(), s.refusals()
	began := time.Now()
	if _, err := s.land.Faults().Add(o.Way.fault()); err != nil {
		return err
	}
	if err := s.endure(ctx, o.Time, r); err != nil {
		return err
	}
	attempts, total := s.attempts(began), s.refusals()-refused
	fetched := s.land.Tokens().Stats().Requests - tokens
	r.note("connections that clients lost meanwhile", "%d", clients.closed.Load()-closed)
	back := time.Now()
	s.land.Faults().Clear()
	elapsed := back.Sub(began)

	if len(attempts) == 0 {
		return fmt.Errorf("nothing was attempted in %v", elapsed)
	}
	reportAttempts(r, o, attempts, total, elapsed)
	// The token at hand when it began is one more; it was there before the storm.
	r.most("token requests, the first one of all included", float64(fetched+tokens), tokenRequests, "")
	if o.Way == Silence {
		var err error
		if back, err = s.silenceEnds(ctx); err != nil {
			return err
		}
	}
	granted, err := s.firstGranted(ctx, back)
	if err != nil {
		return err
	}
	from := "the landscape's return"
	if o.Way == Silence {
		from = "the end of the attempt in flight"
	}
	r.timedMost("first granted CONNECT after "+from, granted.Sub(back).Seconds(), comeback.Seconds(), " s")
	// Then everybody is served again.
	if err := clients.awaitAnswers(ctx, int64(2*o.Clients)); err != nil {
		return fmt.Errorf("after the outage: %w", err)
	}
	r.must("all clients are served afterwards", true, "")
	r.note("log", "%d bytes", s.tunnel.log.bytes())
	return nil
}

// endure takes samples while the outage lasts.
func (s *stage) endure(ctx context.Context, d time.Duration, r *Report) error {
	watched, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer stop()
	// At full length every client has been held twice by then: what the tunnel needs for
	// them it has taken.
	if err := pause(ctx, d/3); err != nil {
		return err
	}
	course := s.watch(watched, max(d/100, 100*time.Millisecond), &wait)
	if err := pause(ctx, d-d/3); err != nil {
		return err
	}
	stop()
	wait.Wait()
	return course.report(r)
}

// window is how many attempts can be under way while the gate is open, and a few:
// the failure of one that had begun before the last connection was granted tells the
// gate nothing.
const window = 2 * 64

// reportAttempts says how many attempts there were, and how many of them were under
// way before the gate could shut.
func reportAttempts(r *Report, o StormOptions, attempts []proxy.Connect, total int, elapsed time.Duration) {
	failed := attempts[0].At.Add(attempts[0].Took)
	for _, a := range attempts {
		if end := a.At.Add(a.Took); end.Before(failed) {
			failed = end
		}
	}
	shut := failed.Add(pace) // no paced attempt can begin before
	after := 0
	gap := time.Duration(0)
	var last time.Time
	for _, a := range attempts {
		if a.At.Before(shut) {
			continue
		}
		after++
		if d := a.At.Sub(last); !last.IsZero() && (gap == 0 || d < gap) {
			gap = d
		}
		last = a.At
	}
	paced := int(elapsed/pace) + 1
	switch o.Way {
	case Reply03:
		r.note("attempts that were under way when the first one failed", "%d", total-after)
		r.timedMost("attempts after these (bar: one per 0.25 s)", float64(after), float64(paced), "")
		r.note("shortest time between two of them", "%.3f s", gap.Seconds())
		r.most("attempts in all (bar: the same, and a window)", float64(total), float64(paced+window), "")
		r.timedMost("attempts in all (bar: one per 0.25 s)", float64(total), float64(paced), "")
	case Reply05: // two connections an attempt: one more try with a new token
		r.most("connections at the proxy in all (bar: two for each attempt that reply 03 may see)", float64(total), float64(2*(paced+window)), "")
	case Silence: // no client knows of a failure until its hold time is over
		r.note("connections at the proxy", "%d", total)
	}
}

// refusals returns how many connections at the proxy were not granted.
func (s *stage) refusals() int {
	n := 0
	for result, count := range s.land.Proxy().Counts() {
		if result != proxy.Granted {
			n += count
		}
	}
	return n
}

// silenceEnds waits until the proxy has no open connection, which is when the
// attempts have ended that were in flight when the fault was removed, and returns
// when that was.
func (s *stage) silenceEnds(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// An attempt that begins after the fault was removed is granted and open as well:
	// the first sight of either ends the wait.
	granted := s.land.Proxy().Counts()[proxy.Granted]
	begin := time.Now()
	err := until(ctx, time.Millisecond, func() (bool, error) {
		return s.land.Proxy().Open() == 0 || s.land.Proxy().Counts()[proxy.Granted] > granted, nil
	})
	if err != nil {
		return begin, fmt.Errorf("waiting for the end of the attempt in flight: %w", err)
	}
	if s.land.Proxy().Counts()[proxy.Granted] > granted {
		return begin, nil
	}
	return time.Now(), nil
}

// or returns v unless it is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
