//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A workload is one kind of load. It runs against a fresh process and records its measurements.
type workload struct {
	name    string
	alone   bool   // only for the tunnel: there is nothing to compare
	of      string // the only candidate for which it runs; "": all
	tls     bool   // run with TLS to the broker as well
	tap     bool   // run with frames that may be watched as well
	process bool   // it measures a process, so it does not run for the broker itself
	rounds  int    // maximum of rounds; 0: unlimited
	run     func(m *measurement) error
}

// A measurement is one run of a workload against one candidate.
type measurement struct {
	*child
	size size
	// restart starts the candidate again with a limit of file descriptors.
	restart func(nofile uint64) error
	put     func(metric string, value float64)
	note    func(text string)
	done    <-chan struct{} // closed when the run is interrupted
}

// wait lets time pass.
func (m *measurement) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-m.done:
	}
}

// size is how much work is done.
type size struct {
	gigabytes   int // of bulk data
	large       int // responses of 50 MiB
	requests    int // small requests
	connections int // idle and busy connections
	dials       int // new connections through the tunnel, 200 per second
	stalled     int // readers that stop
	settle      time.Duration
	rest        time.Duration // after its start a tunnel releases the memory that only the start used
	capacity    []capacity
}

var (
	full  = size{gigabytes: 3, large: 60, requests: 40_000, connections: 2000, dials: 4000, stalled: 50, settle: 65 * time.Second, rest: 3 * time.Second, capacity: []capacity{{7500, 16384}, {9500, 20_000}, {10_000, 65536}}}
	brief = size{gigabytes: 1, large: 3, requests: 2000, connections: 100, dials: 200, stalled: 5, settle: time.Second, capacity: []capacity{{200, 1024}}}
)

// gib is the size of one GB of bulk data: 1 000 responses of 1 MiB.
const gib = 1.048576

func workloads() []workload {
	return []workload{
		{name: "start", process: true, run: start},
		{name: "consume, responses of 1 MiB", tls: true, tap: true, run: consume},
		{name: "consume, responses of 50 MiB", tls: true, run: consumeLarge},
		{name: "produce, requests of 1 MB", tls: true, tap: true, run: produce},
		{name: "one small request at a time", tls: true, tap: true, run: oneByOne},
		{name: "64 small requests in flight", tap: true, run: inFlight},
		{name: "many busy connections", run: growth},
		{name: "connect and disconnect", tls: true, run: connectAndDisconnect},
		{name: dialsName, of: tunnelProxy, run: dials},
		{name: "stalled readers", process: true, tls: true, rounds: 3, run: stalled},
		{name: "idle connections", process: true, tls: true, rounds: 1, run: idle},
		{name: "capacity", alone: true, rounds: 1, run: most},
	}
}

func start(m *measurement) error {
	m.put("time to the first response, ms", m.started.Seconds()*1e3)
	m.wait(m.size.rest)
	rss, err := m.rss()
	m.put("RSS at rest, MiB", rss/(1<<20))
	return err
}

// cost records the processor time that the candidate spends on work, per unit.
func (m *measurement) cost(metric string, units float64, work func() error) error {
	before, err := m.cpu()
	if err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	after, err := m.cpu()
	m.put(metric, (after-before).Seconds()/units)
	return err
}

// streams is how many clients a bulk load has.
const streams = 3

func consume(m *measurement) error {
	n := m.size.gigabytes * 1000
	begin := time.Now()
	err := m.cost("CPU s per GB", float64(n)*gib/1000, func() error {
		return m.repeat(streams, n/streams, request(keyFetch, fetchVersion, 1, 10), nil)
	})
	m.put("GB/s", float64(n)*gib/1000/time.Since(begin).Seconds())
	return err
}

func consumeLarge(m *measurement) error {
	largest := 0
	err := m.cost("CPU s per GB", float64(m.size.large)*50*gib/1000, func() error {
		return m.repeat(streams, m.size.large/streams, request(keyFetch, fetchVersion, 50, 10), func(size int) { largest = max(largest, size) })
	})
	if err != nil {
		return err
	}
	peak, err := m.peak()
	m.put("peak RSS, MB", peak/1e6)
	m.put("largest response seen, MiB", float64(largest)/(1<<20))
	return err
}

func produce(m *measurement) error {
	n := m.size.gigabytes * 1000
	return m.cost("CPU s per GB", float64(n)/1000, func() error {
		return m.repeat(streams, n/streams, produceRequest(1e6), nil)
	})
}

// quantile returns the value that the given share of sorted values does not exceed.
func quantile(sorted []float64, part float64) float64 {
	return sorted[int(part*float64(len(sorted)-1))]
}

// repeat sends one request after the other from the given number of clients.
func (m *measurement) repeat(workers, times int, frame []byte, saw func(size int)) error {
	sizes := make([]int, workers)
	err := parallel(workers, func(i int) error {
		c, err := dial(m.address, 256<<10)
		if err != nil {
			return err
		}
		defer c.close()
		for range times {
			size, err := c.ask(frame)
			if err != nil {
				return err
			}
			sizes[i] = max(sizes[i], size)
		}
		return nil
	})
	if saw != nil {
		saw(slices.Max(sizes))
	}
	return err
}

func oneByOne(m *measurement) error {
	c, err := dial(m.address, 4096)
	if err != nil {
		return err
	}
	defer c.close()
	frame := small()
	took := make([]float64, 0, m.size.requests)
	err = m.cost("CPU µs per request", float64(m.size.requests)/1e6, func() error {
		for range m.size.requests {
			begin := time.Now()
			if _, err := c.ask(frame); err != nil {
				return err
			}
			took = append(took, float64(time.Since(begin).Nanoseconds())/1e3)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(took)
	for _, q := range []struct {
		name string
		part float64
	}{{"p50 µs", 0.5}, {"p99 µs", 0.99}, {"p99.9 µs", 0.999}} {
		m.put(q.name, quantile(took, q.part))
	}
	calls, err := m.dataCalls(func() error {
		for range 2000 {
			if _, err := c.ask(frame); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errNoTrace) {
		return nil
	}
	if err != nil {
		return err
	}
	m.put("successful data calls per request", calls.successful/2000)
	m.put("data calls per request", calls.all/2000)
	return nil
}

func inFlight(m *measurement) error {
	const workers, window = 4, 16
	per := m.size.requests
	return m.cost("CPU µs per request", float64(workers*per)/1e6, func() error {
		return parallel(workers, func(int) error { return pipelined(m.address, per, window) })
	})
}

// pipelined keeps a window of small requests in flight on one connection.
func pipelined(address string, n, window int) error {
	c, err := dial(address, 4096)
	if err != nil {
		return err
	}
	defer c.close()
	frame := small()
	slots := make(chan struct{}, window)
	sent := make(chan error, 1)
	go func() {
		for range n {
			slots <- struct{}{}
			if _, err := c.conn.Write(frame); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for range n {
		if _, err := c.read(); err != nil {
			c.close()
			go func() { // the sender may wait for a slot
				for range slots {
				}
			}()
			err = errors.Join(err, <-sent)
			close(slots)
			return err
		}
		<-slots
	}
	return <-sent
}

// growth compares requests over many connections with requests over ten.
func growth(m *measurement) error {
	const workers, burst = 5, 2
	var per [2]float64
	for i, n := range []int{workers * burst, m.size.connections} {
		all, err := clients(m.address, n, 4096)
		if err != nil {
			return err
		}
		frame := small()
		one := *m
		one.put = func(_ string, value float64) { per[i] = value }
		err = one.cost("", float64(m.size.requests)/1e6, func() error {
			return parallel(workers, func(w int) error {
				mine := all[w*n/workers : (w+1)*n/workers]
				for k := 0; k < m.size.requests/workers; k += burst {
					for x := range burst {
						if _, err := mine[(k+x)%len(mine)].conn.Write(frame); err != nil {
							return err
						}
					}
					for x := range burst {
						if _, err := mine[(k+x)%len(mine)].read(); err != nil {
							return err
						}
					}
				}
				return nil
			})
		})
		closeAll(all)
		if err != nil {
			return err
		}
	}
	m.put("CPU µs per request, 10 connections", per[0])
	m.put(fmt.Sprintf("the same, %d connections", m.size.connections), per[1])
	m.put("growth", per[1]/per[0])
	return nil
}

func connectAndDisconnect(m *measurement) error {
	frame := request(keyApiVersions, 0, 0, 0)
	n := m.size.requests / 10
	return m.cost("CPU µs each", float64(n)/1e6, func() error {
		for range n {
			c, err := dial(m.address, 256)
			if err != nil {
				return err
			}
			_, err = c.ask(frame)
			c.close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}
