//go:build linux

package main

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/procfs"
)

// rss returns the resident memory of the child, bytes.
func (c *child) rss() (float64, error) { return c.memory("smaps_rollup", "Rss") }

// own returns the part of it that is not from files: a tunnel releases the pages of its program
// that it does not use, and the first connections map some of them again, whatever their number.
func (c *child) own() (float64, error) { return c.memory("smaps_rollup", "Anonymous") }

// peak returns the highest resident memory so far, bytes.
func (c *child) peak() (float64, error) { return c.memory("status", "VmHWM") }

func (c *child) memory(file, name string) (float64, error) {
	n, err := procfs.Bytes(c.pid(), file, name)
	return float64(n), err
}

// descriptors returns how many file descriptors the child has open.
func (c *child) descriptors() (float64, error) {
	open, err := procfs.Descriptors(c.pid())
	return float64(len(open)), err
}

// cpu returns the processor time of the child: the sum of its threads (proc(5), schedstat,
// nanoseconds). Threads of Go programs do not end while they work.
func (c *child) cpu() (time.Duration, error) {
	dir := procfs.Path(c.pid(), "task")
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, task := range tasks {
		text, err := os.ReadFile(dir + "/" + task.Name() + "/schedstat")
		if err != nil {
			continue
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// pid returns the process id of the child; the broker itself is this process.
func (c *child) pid() int {
	if c.cmd == nil {
		return os.Getpid()
	}
	return c.cmd.Process.Pid
}

// directCandidate is the candidate without a relay: clients connect to the broker.
func directCandidate(broker string) *child { return &child{address: broker} }
