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

// A Cause is the fault during a storm.
type Cause int

// The faults.
const (
	Reply03 Cause = iota // the Cloud Connector is not connected
	Reply05              // every token is refused by reply 05
	Silence              // the proxy accepts and does not answer
)

// String returns the name in tables.
func (c Cause) String() string {
	return [...]string{"reply 03", "reply 05 for every token", "a silent proxy"}[c]
}

func (c Cause) fault() faults.Fault {
	return [...]faults.Fault{
		{Kind: faults.ConnectorAway},
		{Kind: faults.AuthRefused, Mode: faults.ModeReply},
		{Kind: faults.ProxySilent, Mode: faults.ModeAccept},
	}[c]
}

// StormOptions are the size and the length of a storm.
type StormOptions struct {
	Cause   Cause
	Clients int           // default 500
	Time    time.Duration // of the outage, default 59 s: after a minute the pauses are longer
	Hold    time.Duration // default: the tunnel's
}

// The bars of a storm.
const (
	pace          = 250 * time.Millisecond // between two attempts at a gate
	tokenRequests = 3
	comeback      = 2 * time.Second // from the end of the fault to the first granted CONNECT
)

// Storm makes many clients reconnect as fast as they can while everything works, starts the
// fault, and ends it.
func Storm(ctx context.Context, binary string, o StormOptions) (*Report, error) {
	o.Clients = or(o.Clients, 500)
	o.Time = or(o.Time, 59*time.Second)
	r := &Report{Scenario: fmt.Sprintf("storm of %d clients, %v, %s", o.Clients, o.Time, o.Cause)}
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
	if _, err := s.land.Faults().Add(o.Cause.fault()); err != nil {
		return err
	}
	if err := s.sampleOutage(ctx, o.Time, r); err != nil {
		return err
	}
	attempts, total := s.attempts(began), s.refusals()-refused
	fetched := s.land.Tokens().Stats().Requests - tokens
	r.note("connections that clients lost during the outage", "%d", clients.closed.Load()-closed)
	back := time.Now()
	s.land.Faults().Clear()
	elapsed := back.Sub(began)

	if len(attempts) == 0 {
		return fmt.Errorf("nothing was attempted in %v", elapsed)
	}
	reportAttempts(r, o, attempts, total, elapsed)
	// The token that was cached at the start is one more.
	r.most("token requests, including the first one", float64(fetched+tokens), tokenRequests, "")
	if o.Cause == Silence {
		var err error
		if back, err = s.silenceEnds(ctx); err != nil {
			return err
		}
	}
	granted, err := s.firstGranted(ctx, back)
	if err != nil {
		return err
	}
	from := "the end of the fault"
	if o.Cause == Silence {
		from = "the end of the attempt in flight"
	}
	r.timedMost("first granted CONNECT after "+from, granted.Sub(back).Seconds(), comeback.Seconds(), " s")
	// All clients are then served again.
	if err := clients.awaitAnswers(ctx, int64(2*o.Clients)); err != nil {
		return fmt.Errorf("after the outage: %w", err)
	}
	r.must("all clients are served afterwards", true, "")
	r.note("log", "%d bytes", s.tunnel.log.bytes())
	return nil
}

// sampleOutage takes samples during the outage.
func (s *stage) sampleOutage(ctx context.Context, d time.Duration, r *Report) error {
	watched, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer stop()
	// At full length every client has been held twice by then: the tunnel has allocated all
	// memory for them.
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

// window limits the attempts that can be in progress while the gate is open, with a margin: the
// gate ignores the failure of an attempt that began before the last connection was granted.
const window = 2 * 64

// reportAttempts adds the number of attempts, and how many of them were in progress before the
// gate could shut.
func reportAttempts(r *Report, o StormOptions, attempts []proxy.Connect, total int, elapsed time.Duration) {
	failed := attempts[0].At.Add(attempts[0].Took)
	for _, a := range attempts {
		if end := a.At.Add(a.Took); end.Before(failed) {
			failed = end
		}
	}
	shut := failed.Add(pace) // no paced attempt can begin earlier
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
	switch o.Cause {
	case Reply03:
		r.note("attempts in progress when the first one failed", "%d", total-after)
		r.timedMost("attempts after these (bar: one per 0.25 s)", float64(after), float64(paced), "")
		r.note("shortest time between two of them", "%.3f s", gap.Seconds())
		r.most("all attempts (bar: the same, and a window)", float64(total), float64(paced+window), "")
		r.timedMost("all attempts (bar: one per 0.25 s)", float64(total), float64(paced), "")
	case Reply05: // two connections per attempt: one retry with a new token
		r.most("all connections at the proxy (bar: two for each attempt with reply 03)", float64(total), float64(2*(paced+window)), "")
	case Silence: // no client sees a failure before its hold time ends
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

// silenceEnds waits until the proxy has no open connection, which means that the attempts in
// flight at the end of the fault have ended, and returns when that was.
func (s *stage) silenceEnds(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// An attempt that begins after the end of the fault is granted and open as well: whichever
	// is seen first ends the wait.
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
