//go:build linux

package trouble

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// OutageOptions are the length of the outage of the Cloud Connector, and whether the log is
// read.
type OutageOptions struct {
	Clients int           // default 100
	Time    time.Duration // default 10 min
	Level   string        // log level, default info
	Unread  bool          // stdout is not read once the tunnel is bound
	Hold    time.Duration // default: the tunnel's
}

// The bars of a log: of a ten-minute outage at level info, and of the log's budget at any
// level.
const (
	outageLog = 64 << 10
	logBurst  = 32 << 10
	logRate   = 4 << 10 // per second
)

// Outage disconnects the Cloud Connector while clients reconnect whenever they are closed.
func Outage(ctx context.Context, binary string, o OutageOptions) (*Report, error) {
	o.Clients = or(o.Clients, 100)
	o.Time = or(o.Time, 10*time.Minute)
	o.Level = or(o.Level, "info")
	r := &Report{Scenario: fmt.Sprintf("outage of %v, %d clients, log level %s", o.Time, o.Clients, o.Level)}
	if o.Unread {
		r.Scenario += ", stdout is not read"
	}
	env := []string{"KAFKA_TUNNEL_LOG_LEVEL=" + o.Level}
	if o.Hold > 0 {
		env = append(env, "KAFKA_TUNNEL_CONNECTIVITY_HOLD="+o.Hold.String())
	}
	s, err := set(ctx, binary, lab.Options{}, tunnelOptions{env: env, smallPipe: o.Unread})
	if err != nil {
		return nil, err
	}
	return s.conclude(r, s.outage(ctx, o, r))
}

func (s *stage) outage(ctx context.Context, o OutageOptions, r *Report) error {
	log := s.tunnel.log
	if o.Unread {
		if err := log.stall(); err != nil {
			return err
		}
	}
	if _, err := s.land.Faults().Add(faults.Fault{Kind: faults.ConnectorAway}); err != nil {
		return err
	}
	clients := startCrowd(ctx, s.tunnel.address, o.Clients)
	defer clients.stop()
	logged, began := log.bytes(), time.Now()
	probes, late, err := s.probeOutage(ctx, o.Time, clients, r)
	if err != nil {
		return err
	}
	elapsed := time.Since(began)
	written := float64(log.bytes() - logged)
	m, err := s.tunnel.metrics(ctx)
	if err != nil {
		return err
	}
	s.land.Faults().Clear()

	switch {
	case o.Unread:
		r.must("stdout is full", log.waiting() >= 4096-64, fmt.Sprintf("%d bytes are in a pipe of 4096", log.waiting()))
	case o.Level == "info":
		r.most("log", written, outageLog, " bytes")
	default:
		r.most("log (bar: a burst of 32 KiB and 4 KiB/s)", written, logBurst+logRate*(elapsed.Seconds()+1), " bytes")
	}
	r.note("log lines read, dropped", "%d, %s", log.lines(), number(m.sum("kafka_tunnel_log_lines_dropped_total")))
	r.must("clients are closed, also in the last third", late > 0, fmt.Sprintf("%d in all, %d then", clients.closed.Load(), late))
	r.must("/livez answered all the time", true, fmt.Sprintf("%d times", probes))
	r.same("clients that could not connect", float64(clients.refused.Load()), 0)
	// Afterwards records pass, and all clients get responses, whether the log is read or not.
	back := time.Now()
	prove, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := lab.Prove(prove, s.tunnel.address); err != nil {
		return fmt.Errorf("a record after the outage: %w", err)
	}
	r.must("a record passes after the outage", true, fmt.Sprintf("after %.1f s", time.Since(back).Seconds()))
	return clients.awaitAnswers(ctx, int64(o.Clients))
}

// probeOutage requests /livez and takes samples during the outage, and returns how many requests it
// sent and how many clients were closed in the last third.
func (s *stage) probeOutage(ctx context.Context, d time.Duration, clients *crowd, r *Report) (probes int, late int64, err error) {
	watched, stop := context.WithTimeout(ctx, d)
	defer stop()
	var wait sync.WaitGroup
	course := s.watch(watched, max(d/200, 100*time.Millisecond), &wait)
	lastThird := time.Now().Add(d * 2 / 3)
	before := int64(-1)
	err = until(watched, max(d/200, 100*time.Millisecond), func() (bool, error) {
		if before < 0 && time.Now().After(lastThird) {
			before = clients.closed.Load()
		}
		if err := s.tunnel.live(ctx); err != nil {
			return true, err
		}
		probes++
		return false, nil
	})
	stop()
	wait.Wait()
	if ctx.Err() != nil || watched.Err() == nil {
		return probes, 0, err
	}
	return probes, clients.closed.Load() - max(before, 0), course.report(r)
}
