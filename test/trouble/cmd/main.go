//go:build linux

// Command cmd runs the scenarios of package trouble at full length and prints a table of the
// results, with the bar of each figure, for docs/performance.md. It exits with 1 if a bar is
// missed and with 2 if a scenario could not run.
//
//	go run ./test/trouble/cmd [-short] [-only storm,idle]
//
// Package trouble explains how to prevent the scenario stalled from filling the machine's TCP
// memory. The ten-minute outages run concurrently with the other scenarios: they cost next to
// nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/trouble"
)

func main() {
	short := flag.Bool("short", false, "run everything in about a minute; times are then of little significance")
	only := flag.String("only", "", "run only these: storm, outage, stalled, descriptors, idle, memory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	reports, err := play(ctx, *short, *only)
	stop()
	fmt.Printf("%d processors, %s\n\n%s", runtime.NumCPU(), runtime.Version(), trouble.Markdown(reports...))
	missed := 0
	for _, r := range reports {
		missed += len(r.Missed(!*short))
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "trouble:", err)
		os.Exit(2)
	case missed > 0:
		fmt.Fprintf(os.Stderr, "trouble: %d bars are missed\n", missed)
		os.Exit(1)
	}
}

// A scenario is one scenario with its options.
type scenario struct {
	name       string
	concurrent bool // runs concurrently with the others
	play       func(ctx context.Context, binary string) (*trouble.Report, error)
}

// scenarios returns all of them in the order of the table.
func scenarios(short bool) []scenario {
	// length is the short length, or zero for the full one.
	length := func(d time.Duration) time.Duration {
		if short {
			return d
		}
		return 0
	}
	count := func(n int) int {
		if short {
			return n
		}
		return 0
	}
	var list []scenario
	for _, way := range []trouble.Cause{trouble.Reply03, trouble.Reply05, trouble.Silence} {
		o := trouble.StormOptions{Cause: way, Time: length(12 * time.Second)}
		list = append(list, scenario{"storm", false, func(ctx context.Context, binary string) (*trouble.Report, error) {
			return trouble.Storm(ctx, binary, o)
		}})
	}
	for _, o := range []trouble.OutageOptions{{}, {Level: "debug"}, {Unread: true}, {Level: "debug", Unread: true}} {
		o.Time = length(30 * time.Second)
		list = append(list, scenario{"outage", true, func(ctx context.Context, binary string) (*trouble.Report, error) {
			return trouble.Outage(ctx, binary, o)
		}})
	}
	for _, o := range memoryMatrix(short) {
		list = append(list, scenario{"memory", false, func(ctx context.Context, binary string) (*trouble.Report, error) {
			return trouble.Memory(ctx, binary, o)
		}})
	}
	return append(list,
		scenario{"stalled", false, func(ctx context.Context, binary string) (*trouble.Report, error) {
			return trouble.Stalled(ctx, binary, trouble.StalledOptions{Consumers: count(20), Stop: length(5 * time.Second)})
		}},
		scenario{"stalled", false, func(ctx context.Context, binary string) (*trouble.Report, error) {
			o := trouble.StalledOptions{Consumers: or(count(10), 50), Stop: or(length(5*time.Second), 15*time.Second), Tuned: true}
			return trouble.Stalled(ctx, binary, o)
		}},
		scenario{"descriptors", false, func(ctx context.Context, binary string) (*trouble.Report, error) {
			return trouble.Descriptors(ctx, binary, trouble.DescriptorsOptions{Time: length(3 * time.Second)})
		}},
		scenario{"idle", false, func(ctx context.Context, binary string) (*trouble.Report, error) {
			return trouble.Idle(ctx, binary, trouble.IdleOptions{Connects: count(1000), Time: length(5 * time.Second)})
		}},
	)
}

// memoryMatrix returns every large response, number of connections and kind of peer.
func memoryMatrix(short bool) (all []trouble.MemoryOptions) {
	counts := []int{1, 50, 200}
	if short {
		counts = counts[:1]
	}
	for _, response := range trouble.Larges() {
		for _, n := range counts {
			for _, peer := range []trouble.Peer{trouble.Reads, trouble.Ignores, trouble.Trickles} {
				o := trouble.MemoryOptions{Response: response, Connections: n, Peer: peer}
				if short {
					o.Time = 2 * time.Second
				}
				all = append(all, o)
			}
		}
	}
	return all
}

// or returns v unless it is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// play runs the selected scenarios and returns the reports of all that could run.
func play(ctx context.Context, short bool, only string) ([]*trouble.Report, error) {
	dir, err := os.MkdirTemp("", "kafka-tunnel-trouble-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, err := trouble.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	all := chosen(scenarios(short), only)
	if len(all) == 0 {
		return nil, fmt.Errorf("-only %s: unknown scenario", only)
	}
	reports := make([]*trouble.Report, len(all))
	errs := make([]error, len(all))
	one := func(i int) {
		begin := time.Now()
		reports[i], errs[i] = all[i].play(ctx, binary)
		fmt.Fprintf(os.Stderr, "%s: %v\n", all[i].name, time.Since(begin).Round(time.Second))
	}
	var concurrent sync.WaitGroup
	for i, s := range all {
		if s.concurrent {
			concurrent.Go(func() { one(i) })
		}
	}
	for i, s := range all {
		if !s.concurrent {
			one(i)
		}
	}
	concurrent.Wait()
	return played(reports, errs)
}

// chosen returns the scenarios with these names, or all.
func chosen(all []scenario, only string) []scenario {
	if only == "" {
		return all
	}
	var list []scenario
	for _, s := range all {
		for name := range strings.SplitSeq(only, ",") {
			if s.name == name {
				list = append(list, s)
			}
		}
	}
	return list
}

// played returns the reports there are, and the errors of the others as one.
func played(reports []*trouble.Report, errs []error) (done []*trouble.Report, err error) {
	for i, r := range reports {
		if r != nil {
			done = append(done, r)
		}
		if errs[i] != nil && err == nil {
			err = errs[i]
		} else if errs[i] != nil {
			err = fmt.Errorf("%w\n%w", err, errs[i])
		}
	}
	return done, err
}
