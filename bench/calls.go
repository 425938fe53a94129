//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// calls counts system calls that move data.
type calls struct{ all, successful float64 }

// errNoTrace: strace is not installed, or not permitted.
var errNoTrace = errors.New("no strace")

// dataCalls counts the candidate's data calls during work, with strace.
func (m *measurement) dataCalls(work func() error) (*calls, error) {
	path, err := exec.LookPath("strace")
	if err != nil || m.cmd == nil {
		return nil, errNoTrace
	}
	var out bytes.Buffer
	trace := exec.Command(path, "-f", "-c", "-e", "trace=read,write,readv,writev,recvfrom,sendto,recvmsg,sendmsg,splice",
		"-p", strconv.Itoa(m.cmd.Process.Pid))
	trace.Stderr = &out
	if err := trace.Start(); err != nil {
		return nil, errNoTrace
	}
	<-time.After(300 * time.Millisecond) // until it has stopped every thread once
	err = work()
	_ = trace.Process.Signal(os.Interrupt)
	_ = trace.Wait()
	return counted(out.String()), err
}

// counted parses strace's summary:
//
//	% time     seconds  usecs/call     calls    errors syscall
//	 51.20    0.104020           8     12003      4001 read
func counted(summary string) *calls {
	c := &calls{}
	for line := range strings.Lines(summary) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		n, err := strconv.ParseFloat(fields[3], 64)
		if err != nil {
			continue
		}
		failed := 0.0
		if len(fields) == 6 {
			failed, _ = strconv.ParseFloat(fields[4], 64)
		}
		c.all += n
		c.successful += n - failed
	}
	return c
}
