package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tunnel"
)

// Times of a run.
const (
	tokenLife = 15 * time.Second // so short that tokens are requested again and again
	startup   = time.Minute      // until every workload has made progress
	finish    = 3 * time.Minute  // until every workload has finished after the faults
	leftover  = time.Minute      // until the last connection is closed after all clients have disconnected
)

// Options describe a run.
type Options struct {
	Seed   uint64
	Time   time.Duration // of faults
	Direct bool          // without the tunnel
	TLS    bool          // to the brokers
	// TunnelLog receives the tunnel's log at debug level; it may be nil.
	TunnelLog io.Writer
	// Note is called with each event of the run; it may be nil. It is called by one goroutine
	// at a time.
	Note func(text string)
}

// A Report has the results of a run.
type Report struct {
	Schedule Schedule
	Direct   bool
	Problems []string
	// FirstAt is when the first problem was seen, since the start of the faults; the schedule's
	// length for problems that only the end shows.
	FirstAt   time.Duration
	Workloads []Figures
	Injected  map[string]int // faults by kind
	Errors    map[string]map[Class]ErrorCount
	Dials     int64          // of all clients
	Failed    int64          // dials
	Broken    int64          // connections that ended before their client closed them
	Read      int64          // bytes that clients read
	Connects  map[string]int // at the proxy, by result
	Took      time.Duration
}

// Figures are the results of one workload.
type Figures struct {
	Name string
	Counts
}

// A run is a run in progress.
type run struct {
	opts     Options
	schedule Schedule
	land     *lab.Landscape
	seeds    []string
	witness  *witness
	errs     Errors
	broken   counter
	stop     chan struct{} // closed when producers must finish

	mu       sync.Mutex
	began    time.Time // start of the faults, zero before
	problems []string
	firstAt  time.Duration
	injected map[string]int
}

// Run runs a schedule. An error means that the run was not possible; the results of the run are
// in the report.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	land, err := lab.Start(ctx, lab.Options{TokenLife: tokenLife, TLS: o.TLS})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, land.Close()) }()
	r := &run{
		opts: o, land: land, schedule: Generate(o.Seed, o.Time, land.Bootstrap(), o.TLS),
		stop: make(chan struct{}), injected: map[string]int{}, firstAt: o.Time,
	}
	if o.Direct {
		err = r.goDirect()
	} else {
		var t *tunnel.Tunnel
		if t, err = r.goThroughTunnel(ctx); err == nil {
			defer t.Close()
		}
	}
	if err != nil {
		return nil, err
	}
	start := time.Now()
	loads, err := r.work(ctx)
	if err != nil {
		return nil, err
	}
	return r.report(loads, time.Since(start)), nil
}

// goDirect makes the clients of this run connect without the tunnel.
func (r *run) goDirect() error {
	d, err := newDirect(r.land.Env())
	if err != nil {
		return err
	}
	if r.opts.TLS {
		d.secure = r.land.Secure
	}
	r.seeds = r.land.Bootstrap()
	r.witness = &witness{dialer: d.dial, report: r.problem}
	return nil
}

// work starts the workloads, runs the schedule, waits for the workloads and checks the results.
func (r *run) work(ctx context.Context) ([]workload, error) {
	loads, err := r.workloads(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var working sync.WaitGroup
	for _, l := range loads {
		working.Go(func() {
			if err := l.run(ctx); err != nil {
				r.problem(fmt.Sprintf("%s: %v", l.name(), err))
			}
		})
	}
	if err := r.await(ctx, startup, loads, workload.started); err != nil {
		cancel(err)
		working.Wait()
		return nil, fmt.Errorf("before the first fault: %w", err)
	}
	r.note("all workloads have begun")
	if err := r.play(ctx); err != nil {
		cancel(err)
		working.Wait()
		return nil, err
	}
	close(r.stop)
	if err := r.await(ctx, finish, loads, workload.finished); err != nil {
		r.problem("after the last fault: " + err.Error())
	}
	cancel(errFinished)
	working.Wait()
	r.note("all workloads have ended")
	r.checkUpstreams(ctx)
	// The workloads' own context has ended; the checks get a new one.
	ctx, cancelCheck := context.WithTimeout(context.WithoutCancel(ctx), finish)
	defer cancelCheck()
	for _, l := range loads {
		problems, err := l.check(ctx)
		if err != nil {
			return nil, fmt.Errorf("checking %s: %w", l.name(), err)
		}
		for _, p := range prefix(l.name(), problems) {
			r.problem(p)
		}
	}
	return loads, nil
}

// checkUpstreams checks what clients would not notice: connections that are still open, a
// handshake that violates the protocol, requests that no client sends.
func (r *run) checkUpstreams(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leftover)
	defer cancel()
	for r.land.State().Open > 0 && pause(ctx, 20*time.Millisecond) == nil {
		// Until the last connections have gone.
	}
	state := r.land.State()
	if state.Open > 0 {
		r.problem(fmt.Sprintf("%d connections at the proxy are still open %s after the last client has disconnected", state.Open, leftover))
	}
	for _, v := range state.Violations {
		r.problem("protocol violation at the proxy: " + v)
	}
	if state.Refused > 0 {
		r.problem(fmt.Sprintf("the brokers received %d requests that no client sends", state.Refused))
	}
}

// errFinished ends the workloads.
var errFinished = errors.New("the run has ended")

// await waits until all workloads satisfy a condition, and names those that do not.
func (r *run) await(ctx context.Context, longest time.Duration, loads []workload, there func(workload) bool) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for {
		var missing []string
		for _, l := range loads {
			if !there(l) {
				missing = append(missing, l.name())
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%v have made no progress within %s", missing, longest)
		}
	}
}

// problem records a problem.
func (r *run) problem(text string) {
	r.mu.Lock()
	if len(r.problems) == 0 && !r.began.IsZero() {
		r.firstAt = min(time.Since(r.began), r.opts.Time)
	}
	if len(r.problems) < 100 {
		r.problems = append(r.problems, text)
	}
	r.mu.Unlock()
	r.note("PROBLEM " + text)
}

// note passes an event on.
func (r *run) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opts.Note == nil {
		return
	}
	at := "before"
	if !r.began.IsZero() {
		at = time.Since(r.began).Truncate(grid).String()
	}
	way := "tunnel"
	if r.opts.Direct {
		way = "direct"
	}
	r.opts.Note(fmt.Sprintf("%s %9s %s", way, at, text))
}

// report collects the figures.
func (r *run) report(loads []workload, took time.Duration) *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := &Report{
		Schedule: r.schedule, Direct: r.opts.Direct, Problems: r.problems, FirstAt: r.firstAt,
		Injected: r.injected, Errors: r.errs.All(),
		Dials: r.witness.dials.Load(), Failed: r.witness.failed.Load(), Broken: r.broken.Load(), Read: r.witness.read.Load(),
		Connects: r.land.State().Connects, Took: took,
	}
	for _, l := range loads {
		report.Workloads = append(report.Workloads, Figures{l.name(), l.counts()})
	}
	return report
}

// goThroughTunnel starts a tunnel with only the environment of the platform.
func (r *run) goThroughTunnel(ctx context.Context) (*tunnel.Tunnel, error) {
	environ := append(r.land.Env(), "KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_BROKER_PORTS=0", "KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:0")
	effective, err := config.Resolve(config.Input{Environ: environ})
	if err != nil {
		return nil, err
	}
	var logger *slog.Logger
	if r.opts.TunnelLog != nil {
		logger = slog.New(slog.NewTextHandler(r.opts.TunnelLog, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	t, err := tunnel.Start(context.WithoutCancel(ctx), tunnel.Options{Config: effective.Config, Source: effective.Binding.Name, Version: "chaos", Logger: logger})
	if err != nil {
		return nil, err
	}
	r.seeds = []string{t.Address("")}
	names := make([][]byte, 0, 3)
	for _, name := range r.land.RealNames() {
		names = append(names, []byte(name))
	}
	r.witness = &witness{dialer: dialTCP, names: names, loopback: true, report: r.problem}
	return t, nil
}
