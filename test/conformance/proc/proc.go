// Package proc runs the processes of the conformance suite: brokers, clients
// and the tunnel itself.
//
//	p, err := proc.Start(proc.Options{Name: "broker-1", Args: []string{"java", ...}, Log: "broker-1.log"})
//	...
//	code := p.Stop(10 * time.Second) // SIGTERM, then SIGKILL, always by id
//
// Both output streams of a process go to its log file, and a failed test can quote them
// ([Process.Tail]); a caller may redirect standard output. A process never outlives the test
// binary: on Linux the kernel kills it when the test binary dies for any reason.
//
// The package restarts nothing and has no timeouts of its own: the caller's context limits
// every wait.
package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Options describe a process.
type Options struct {
	Name   string    // for messages
	Args   []string  // program and arguments
	Env    []string  // the whole environment; nil: the parent's
	Dir    string    // working directory; empty: the parent's
	Log    string    // file for standard error and, without Stdout, for standard output
	Stdin  io.Reader // nil: the null device. An *os.File is passed on directly
	Stdout io.Writer // nil: the log file
}

// A Process is one started process.
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed once the process has been waited for
	err  error         // of Wait; valid after done
}

// Start starts a process and returns at once.
func Start(o Options) (*Process, error) {
	if len(o.Args) == 0 {
		return nil, errors.New("proc: no program given")
	}
	out, err := os.OpenFile(o.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("proc: log of %s: %w", o.Name, err)
	}
	cmd := exec.Command(o.Args[0], o.Args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin = o.Env, o.Dir, o.Stdin
	cmd.Stdout, cmd.Stderr = out, out
	if o.Stdout != nil {
		cmd.Stdout = o.Stdout
	}
	DieWithParent(cmd)
	p := &Process{name: o.Name, log: o.Log, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.keep(out, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("proc: start %s: %w", o.Name, err)
	}
	return p, nil
}

// keep starts the process and waits for it on one operating system thread: the kernel ties the
// death signal to the thread that forked, not to the process.
func (p *Process) keep(out *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer out.Close()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// Name returns the name given in Options.
func (p *Process) Name() string { return p.name }

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends one signal to the process, by its id.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// ExitCode waits for the end of the process and returns its exit code; -1 if a signal ended it.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Wait waits for the process to exit successfully. Otherwise it returns an error that quotes
// the end of the log; it kills a process that outlives ctx.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end in time: %w\n%s", p.name, ctx.Err(), p.Tail(40))
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, p.err, p.Tail(40))
	}
	return nil
}

// Stop requests the end of the process, kills it if it still runs after grace, and returns its
// exit code (-1 if a signal ended it). Stopping twice is harmless.
func (p *Process) Stop(grace time.Duration) int {
	if p.Running() {
		_ = p.cmd.Process.Signal(terminate)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
	}
	return p.ExitCode()
}

// Kill ends the process immediately, like a power failure.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Tail returns the last n lines of the log file.
func (p *Process) Tail(n int) string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("(no log of %s: %v)", p.name, err)
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return fmt.Sprintf("--- end of %s\n%s", p.log, strings.Join(lines, "\n"))
}
