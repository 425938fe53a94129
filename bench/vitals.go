//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// rss returns the resident memory of the child, bytes (proc(5), smaps_rollup: exact,
// where VmRSS may lag behind).
func (c *child) rss() (float64, error) { return c.field("smaps_rollup", "Rss:") }

// own returns the part of it that is no file: a tunnel gives back the pages of its program that it
// does not use, and the first connections map some of them again, however many follow.
func (c *child) own() (float64, error) { return c.field("smaps_rollup", "Anonymous:") }

// peak returns the highest resident memory so far, bytes.
func (c *child) peak() (float64, error) { return c.field("status", "VmHWM:") }

func (c *child) field(file, name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.pid(), file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in %s", name, file)
}

// descriptors returns how many the child has open.
func (c *child) descriptors() (float64, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.pid()))
	return float64(len(list)), err
}

// cpu returns the processor time of the child: what its threads have used (proc(5),
// schedstat, nanoseconds). Threads of Go programs do not end while they work.
func (c *child) cpu() (time.Duration, error) {
	dir := fmt.Sprintf("/proc/%d/task", c.pid())
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

// pid returns the child's number; the broker itself is this process.
func (c *child) pid() int {
	if c.cmd == nil {
		return os.Getpid()
	}
	return c.cmd.Process.Pid
}

// itself is the candidate that is none: clients connect to the broker.
func itself(broker string) *child { return &child{address: broker} }
