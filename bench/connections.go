//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// idle opens connections, uses each once, leaves them idle for a while, and closes them.
func idle(m *measurement) error {
	n := m.size.connections
	before, err := m.own()
	if err != nil {
		return err
	}
	files, err := m.descriptors()
	if err != nil {
		return err
	}
	all, err := clients(m.address, n, 256)
	if err != nil {
		return err
	}
	defer func() { closeAll(all) }()
	atOnce, err := m.own()
	if err != nil {
		return err
	}
	open, err := m.descriptors()
	if err != nil {
		return err
	}
	m.wait(m.size.settle)
	later, err := m.own()
	if err != nil {
		return err
	}
	m.put("own KiB each, at once", (atOnce-before)/1024/float64(n))
	m.put(fmt.Sprintf("own KiB each, after %v", m.size.settle), (later-before)/1024/float64(n))
	m.put("descriptors each", (open-files)/float64(n))
	closeAll(all)
	all = nil
	m.wait(m.size.settle)
	after, err := m.own()
	m.put(fmt.Sprintf("own memory above the start %v after they closed, MiB", m.size.settle), (after-before)/(1<<20))
	return err
}

// stalled makes readers stop in the middle of large responses, and measures the effect on other
// clients.
func stalled(m *measurement) error {
	before, err := m.own()
	if err != nil {
		return err
	}
	var all []*client
	defer func() { closeAll(all) }()
	buf := make([]byte, 1<<20)
	for range m.size.stalled {
		c, err := dial(m.address, 256)
		if err != nil {
			return err
		}
		all = append(all, c)
		if _, err := c.conn.Write(request(keyFetch, fetchVersion, 50, 10)); err != nil {
			return err
		}
		if _, err := io.ReadFull(c.conn, buf); err != nil {
			return err
		}
	}
	m.wait(2 * time.Second) // until no bytes move any more
	after, err := m.own()
	if err != nil {
		return err
	}
	m.put(fmt.Sprintf("own MiB for %d of them", m.size.stalled), (after-before)/(1<<20))
	other, err := dial(m.address, 4096)
	if err != nil {
		return err
	}
	defer other.close()
	took := make([]float64, 1000)
	for i := range took {
		begin := time.Now()
		if _, err := other.ask(small()); err != nil {
			return err
		}
		took[i] = float64(time.Since(begin).Nanoseconds()) / 1e3
	}
	slices.Sort(took)
	m.put("p50 µs of another client's small request", took[len(took)/2])
	return nil
}

// capacity is how many connections must be possible with so many file descriptors.
type capacity struct {
	connections int
	nofile      uint64
}

// most opens as many connections as a limit of file descriptors must allow.
func most(m *measurement) error {
	for _, c := range m.size.capacity {
		var own unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
			return err
		}
		if own.Max < max(c.nofile, 2*uint64(c.connections)+100) { // this process runs the clients and the broker
			m.note(fmt.Sprintf("%d connections with nofile %d are left out: this machine allows %d descriptors.", c.connections, c.nofile, own.Max))
			continue
		}
		if err := m.restart(c.nofile); err != nil {
			return err
		}
		all, err := clients(m.address, c.connections, 256)
		if err != nil {
			return err
		}
		rss, err := m.rss()
		closeAll(all)
		if err != nil {
			return err
		}
		m.put(fmt.Sprintf("RSS MiB, %d connections, nofile %d, MEMORY_LIMIT=256m", c.connections, c.nofile), rss/(1<<20))
	}
	return nil
}
