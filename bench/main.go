//go:build linux

// Command bench measures the tunnel, bare relays and, if installed, its peers, on this
// machine and over loopback only.
//
//	go run ./bench [-pairs 10] [-only "idle,produce"] [-candidates tunnel,relay-copy] [-short] [-out bench/out]
//
// Every candidate is a separate process in front of a broker that is this program: a loop that
// answers Fetch v18 with prepared frames of 1 and 50 MiB and everything else with ten bytes.
// The processor time, memory and file descriptors of a candidate are read from /proc. In each
// round every workload runs with every candidate in turn, so other load of the machine affects
// all of them; ratios are computed within a round.
//
//	direct        the broker itself: latency, and the cost of the load alone
//	relay-splice  accepts, dials, io.Copy between bare TCP connections
//	relay-copy    the same with a loop of 32 KiB
//	tunnel        via: direct
//	tunnel-tap    the same with admin.tap, without a viewer
//	tunnel-watched  the same with a viewer (kafka-tunnel tap --json)
//	tunnel-before  an earlier version, if TUNNEL_BEFORE names its binary
//	tunnel-tls    the same with TLS to the broker
//	relay-tls     relay-copy with TLS to the broker
//	tunnel-proxy  through the lab's connectivity proxy and Cloud Connector
//	kafka-proxy   grepplabs kafka-proxy, if PEER_KAFKA_PROXY names its binary
//	kroxylicious  if PEER_KROXYLICIOUS names a script that starts it; the script gets
//	              the broker's host:port and the one to listen on, and execs
//	haproxy       TCP mode, two threads, if it is installed
//
// The result is Markdown on stdout; -out writes it to a folder as well, with every sample as
// JSON and a plot of each figure as SVG. When interrupted, it reports what it has. Data system
// calls are counted if strace is installed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) == 4 && strings.HasPrefix(os.Args[1], "relay-") {
		if err := relay(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	o := options{size: full}
	flag.IntVar(&o.pairs, "pairs", 10, "rounds: measurements of each workload and candidate")
	flag.StringVar(&o.only, "only", "", "workloads whose names contain one of these, separated by commas")
	flag.StringVar(&o.candidates, "candidates", "", "only these candidates, separated by commas")
	short := flag.Bool("short", false, "little work and one round, to check that everything runs")
	out := flag.String("out", filepath.Join("bench", "out"), "folder for results.md, results.json and plots")
	flag.Parse()
	if *short {
		o.size, o.pairs = brief, 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	r, err := measure(ctx, o)
	stop()
	if len(r.Samples) > 0 {
		fmt.Print(r.markdown())
		err = errors.Join(err, r.write(*out))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options select the measurements.
type options struct {
	pairs            int
	only, candidates string
	size             size
	binary           string // of the tunnel; "": build it
}

// measure runs all rounds. The result includes the measurements before an error.
func measure(ctx context.Context, o options) (*result, error) {
	r := newResult()
	dir, err := os.MkdirTemp("", "kafka-tunnel-bench")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if o.binary == "" {
		o.binary = filepath.Join(dir, "kafka-tunnel")
		if err := build(ctx, o.binary); err != nil {
			return r, err
		}
	}
	if info, err := os.Stat(o.binary); err == nil {
		r.Notes = append(r.Notes, fmt.Sprintf("The binary is %.1f MiB, static and stripped.", float64(info.Size())/(1<<20)))
	}
	raiseDescriptors()
	broker, err := startBroker()
	if err != nil {
		return r, err
	}
	defer broker.close()
	all, err := candidates(o, broker, dir, r)
	if err != nil {
		return r, err
	}
	for round := range o.pairs {
		for _, w := range workloads() {
			if !chosen(o.only, w.name) || w.rounds > 0 && round >= w.rounds {
				continue
			}
			for i := range all {
				c := all[(i+round)%len(all)]
				if ctx.Err() != nil {
					r.Notes = append(r.Notes, "The run was interrupted.")
					return r, nil
				}
				if w.alone && c.restart == nil || w.of != "" && c.name != w.of || w.process && c.name == "direct" || c.tls && !w.tls || c.tap && !w.tap {
					continue
				}
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, %s\n", round+1, o.pairs, w.name, c.name)
				if err := one(ctx, w, c, o.size, round, r); err != nil && ctx.Err() == nil {
					return r, fmt.Errorf("%s, %s: %w", w.name, c.name, err)
				}
			}
		}
	}
	r.finish()
	return r, nil
}

// one measures one workload against a fresh process.
func one(ctx context.Context, w workload, c candidate, s size, round int, r *result) error {
	p, err := c.start(ctx)
	if err != nil {
		return err
	}
	m := &measurement{child: p, size: s, done: ctx.Done(), note: func(text string) { r.Notes = append(r.Notes, text) }, put: func(metric string, value float64) {
		if c.name == "direct" && !strings.HasPrefix(metric, "p50") && !strings.HasPrefix(metric, "p99") && metric != "GB/s" {
			return // the broker is this process, not a candidate
		}
		r.add(sample{Workload: w.name, Candidate: c.name, Metric: metric, Round: round, Value: value})
	}}
	m.restart = func(nofile uint64) error {
		m.stop()
		m.child, err = c.restart(ctx, nofile)
		return err
	}
	defer func() { m.stop() }()
	return w.run(m)
}

func chosen(list, name string) bool {
	if list == "" {
		return true
	}
	for word := range strings.SplitSeq(list, ",") {
		if strings.Contains(name, strings.TrimSpace(word)) {
			return true
		}
	}
	return false
}

func build(ctx context.Context, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "github.com/kafka-tunnel/kafka-tunnel/cmd/kafka-tunnel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the tunnel: %w", err)
	}
	return nil
}

// raiseDescriptors raises the limit of file descriptors of this process, which runs the
// clients and the broker, to what it needs or may have.
func raiseDescriptors() {
	const enough = 1 << 17
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: enough, Max: enough}) == nil {
		return // the user has the rights
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
}
