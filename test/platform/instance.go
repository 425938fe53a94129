//go:build unix

package platform

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// defaultGrace is the platform's graceful shutdown interval.
const defaultGrace = 10 * time.Second

// launcher is the platform's launcher of a command: a shell that is replaced by the shell
// that runs the command.
const launcher = `cd "$HOME" && exec bash -c "$1"`

// Options describe an instance.
type Options struct {
	Dir       string        // the application's folder, which becomes $HOME and the working directory
	Env       []string      // of every process
	Processes []Process     // the application's process and its sidecars
	Grace     time.Duration // between SIGTERM and SIGKILL; 0: 10 s
}

// A Process is one process of an instance.
type Process struct {
	Name    string
	Command string
	Env     []string // in addition to Options.Env
	Sidecar bool
	Output  io.Writer // stdout and stderr; nil: dropped
}

// An Exit is how a process ended.
type Exit struct {
	Name   string
	Status int // 128+n when signal n ended it
	Killed bool
	After  time.Duration // since the stop or the crash; 0 for the process that crashed the instance
}

// An Instance is a running instance.
type Instance struct {
	grace   time.Duration
	running []*running
	crashed chan struct{}
	work    sync.WaitGroup

	mu     sync.Mutex
	reason string
	ending bool
	begin  time.Time // of the end
}

// running is a running process.
type running struct {
	Process
	cmd  *exec.Cmd
	done chan struct{}
	exit Exit
}

// Start starts all processes. When ctx ends they are killed.
func Start(ctx context.Context, o Options) (*Instance, error) {
	i := &Instance{grace: o.Grace, crashed: make(chan struct{})}
	if i.grace <= 0 {
		i.grace = defaultGrace
	}
	for _, p := range o.Processes {
		cmd := exec.CommandContext(ctx, "bash", "-c", launcher, "launcher", p.Command)
		cmd.Env = append(append(append([]string(nil), o.Env...), "HOME="+o.Dir), p.Env...)
		cmd.Stdout, cmd.Stderr = p.Output, p.Output
		if err := cmd.Start(); err != nil {
			i.keepAll()
			i.Stop()
			return nil, fmt.Errorf("start %s: %w", p.Name, err)
		}
		i.running = append(i.running, &running{Process: p, cmd: cmd, done: make(chan struct{})})
	}
	i.keepAll()
	return i, nil
}

// keepAll waits for all processes. Nothing is added to running from here on.
func (i *Instance) keepAll() {
	for _, r := range i.running {
		i.work.Go(func() { i.keep(r) })
	}
}

// keep waits for the end of a process, and then stops the others.
func (i *Instance) keep(r *running) {
	defer close(r.done)
	err := r.cmd.Wait()
	status, killed := r.cmd.ProcessState.ExitCode(), false
	if ws, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		status, killed = 128+int(ws.Signal()), ws.Signal() == syscall.SIGKILL
	}
	_ = err // contains only the status
	kind := "APP/PROC/WEB"
	if r.Sidecar {
		kind += "/SIDECAR/" + strings.ToUpper(r.Name)
	}
	first := i.end(fmt.Sprintf("%s: Exited with status %d", kind, status))
	r.exit = Exit{Name: r.Name, Status: status, Killed: killed}
	if !first {
		r.exit.After = time.Since(i.begin)
	}
}

// end begins the end of the instance, once: SIGTERM to every process, SIGKILL
// after the grace time. reason is why the instance crashed, "" for a stop.
func (i *Instance) end(reason string) (first bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ending {
		return false
	}
	i.ending, i.reason, i.begin = true, reason, time.Now()
	if reason != "" {
		close(i.crashed)
	}
	for _, r := range i.running {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		i.work.Go(func() { i.killLate(r) })
	}
	return true
}

func (i *Instance) killLate(r *running) {
	timer := time.NewTimer(i.grace)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C:
		_ = r.cmd.Process.Kill()
	}
}

// Crashed is closed when a process has ended without a stop.
func (i *Instance) Crashed() <-chan struct{} { return i.crashed }

// Reason is the platform's message about a crash; "" without one.
func (i *Instance) Reason() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.reason
}

// Signal sends a signal to one process.
func (i *Instance) Signal(name string, s os.Signal) error {
	for _, r := range i.running {
		if r.Name == name {
			return r.cmd.Process.Signal(s)
		}
	}
	return fmt.Errorf("no process %s", name)
}

// Stop stops the instance and returns how its processes ended.
func (i *Instance) Stop() map[string]Exit {
	i.end("")
	i.work.Wait()
	exits := map[string]Exit{}
	for _, r := range i.running {
		exits[r.Name] = r.exit
	}
	return exits
}
