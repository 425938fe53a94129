//go:build linux

// Command bench measures the tunnel beside a bare relay, on this machine and over
// loopback only, and prints the figures of docs/performance.md as Markdown.
//
//	go run ./bench [-pairs 5] [-gb 2] [-idle 2000]
//
// It builds the tunnel, runs it as a child with `via: direct` in front of a broker
// of its own (a loop that answers Fetch with canned frames), and reads the
// child's processor time and memory from /proc. The relay is this program again,
// as a child: accept, dial, io.Copy both ways. Both are measured in turns, so that
// what else the machine does hits both.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "relay" {
		relay(os.Args[2])
		return
	}
	pairs := flag.Int("pairs", 5, "measurements of each candidate, in turns")
	gb := flag.Int("gb", 2, "GB to consume in each measurement")
	idle := flag.Int("idle", 2000, "idle connections")
	flag.Parse()
	if err := measure(context.Background(), *pairs, *gb, *idle); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, pairs, gb, idle int) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "kafka-tunnel-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "kafka-tunnel")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/kafka-tunnel")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the tunnel: %w", err)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	broker, err := startBroker()
	if err != nil {
		return err
	}
	defer broker.close()

	candidates := []candidate{
		{"tunnel", func() (*child, error) { return startTunnel(ctx, binary, broker.address()) }},
		{"relay (io.Copy)", func() (*child, error) { return startRelay(ctx, broker.address()) }},
	}
	results := make([]result, len(candidates))
	for range pairs {
		for i, c := range candidates {
			if err := c.run(&results[i], gb, idle); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	fmt.Printf("binary: %.1f MiB (static, stripped)\n\n", float64(info.Size())/(1<<20))
	report(candidates, results)
	return nil
}
