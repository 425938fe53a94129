//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// A candidate is something that relays.
type candidate struct {
	name  string
	start func() (*child, error)
}

// result collects the figures of one candidate.
type result struct {
	start, rest, perIdle, cpuPerGB, cpuPerRequest []float64
}

// requests is how many small requests are sent one after the other.
const requests = 20_000

// run measures a fresh process.
func (c candidate) run(r *result, gb, idle int) error {
	p, err := c.start()
	if err != nil {
		return err
	}
	defer p.stop()
	r.start = append(r.start, p.started.Seconds()*1e3)
	rest, err := p.rss()
	if err != nil {
		return err
	}
	r.rest = append(r.rest, rest/(1<<20))

	perGB, err := p.cost(func() error { return consume(p.address, gb) })
	if err != nil {
		return err
	}
	r.cpuPerGB = append(r.cpuPerGB, perGB.Seconds()/float64(gb))
	small, err := p.cost(func() error { return exchange(p.address, requests) })
	if err != nil {
		return err
	}
	r.cpuPerRequest = append(r.cpuPerRequest, small.Seconds()*1e6/requests)
	perConn, err := idleCost(p, idle)
	if err != nil {
		return err
	}
	r.perIdle = append(r.perIdle, perConn/1024)
	return nil
}

// cost returns the processor time that the child spends on work.
func (c *child) cost(work func() error) (time.Duration, error) {
	before, err := c.cpu()
	if err != nil {
		return 0, err
	}
	if err := work(); err != nil {
		return 0, err
	}
	after, err := c.cpu()
	return after - before, err
}

// consume fetches gb GB in frames of 1 MiB, one request at a time.
func consume(address string, gb int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	buf := make([]byte, 4+frameSize)
	for range gb * 1000 * 1000 * 1000 / frameSize {
		if _, err := conn.Write(fetch); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends n small requests, one at a time.
func exchange(address string, n int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for range n {
		if err := one(conn); err != nil {
			return err
		}
	}
	return nil
}

func one(conn net.Conn) error {
	if _, err := conn.Write(heartbeat); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 14))
	return err
}

// idleCost opens n connections, uses each once and returns what each costs in
// resident memory.
func idleCost(c *child, n int) (float64, error) {
	before, err := c.rss()
	if err != nil {
		return 0, err
	}
	for range n {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			return 0, err
		}
		defer func() { _ = conn.Close() }()
		if err := one(conn); err != nil {
			return 0, err
		}
	}
	after, err := c.rss()
	return (after - before) / float64(n), err
}

// report prints the medians and their spread as a Markdown table.
func report(candidates []candidate, results []result) {
	fmt.Print("| |")
	for _, c := range candidates {
		fmt.Printf(" %s |", c.name)
	}
	fmt.Print(" ratio |\n|---|")
	for range candidates {
		fmt.Print("---|")
	}
	fmt.Println("---|")
	row("start to first answer, ms", results, func(r result) []float64 { return r.start })
	row("RSS at rest, MiB", results, func(r result) []float64 { return r.rest })
	row("CPU s per GB, 1 MiB fetches", results, func(r result) []float64 { return r.cpuPerGB })
	row("CPU µs per small request", results, func(r result) []float64 { return r.cpuPerRequest })
	row("RSS per idle connection, KiB", results, func(r result) []float64 { return r.perIdle })
}

func row(name string, results []result, pick func(result) []float64) {
	fmt.Printf("| %s |", name)
	var medians []float64
	for _, r := range results {
		values := slices.Sorted(slices.Values(pick(r)))
		median := values[len(values)/2]
		medians = append(medians, median)
		fmt.Printf(" %.2f (%.2f to %.2f) |", median, values[0], values[len(values)-1])
	}
	fmt.Printf(" %.2f |\n", medians[0]/medians[1])
}
