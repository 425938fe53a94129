// Package process runs one command and the tunnel as one process tree (R2): to a platform and
// to a shell, `kafka-tunnel exec -- npm start` must look like npm itself.
//
//	signals := make(chan os.Signal, 8)
//	signal.Notify(signals, process.Signals()...)      // before anything can arrive
//	code, err := process.Run(ctx, process.Options{
//		Args:    []string{"npm", "start"},
//		Env:     process.WithDefault(os.Environ(), process.BootstrapServers, "localhost:9092"),
//		Signals: signals,
//	})
//
// The command gets stdin, stdout and stderr of the tunnel, its signals, and its environment
// with the changes of Env. Run returns the exit status as a shell would report it: the
// command's own, 128+n if signal n ended it, 127 if there is no such command, 126 if it cannot
// be executed.
//
// # Signals
//
// The child stays in the tunnel's process group, so job control, pipelines and a terminal work
// as without the tunnel. The terminal therefore sends a Ctrl-C to both. To forward it again
// would signal the child twice, and many programs treat a second SIGINT as "exit at once,
// without clean-up". Run does not forward a SIGINT while the tunnel's group is the foreground
// group of its controlling terminal. The disadvantage: a SIGINT that `kill` sends to the tunnel
// alone, in the foreground of a terminal, does not reach the child; SIGTERM always does.
// Without a terminal (Cloud Foundry, Kubernetes, cron, background jobs) every signal is
// forwarded. A SIGHUP is always forwarded: a second one does no harm, because the terminal is
// gone already.
//
// The child also ignores the signals that the tunnel ignores, as POSIX requires: do not call
// signal.Ignore for signals that the command should get ([Signals] excludes those that were
// ignored at the start, for nohup).
//
// # Process 1
//
// In a container the tunnel may be process 1, which inherits every orphan. Run then reaps
// orphans. Only one party may collect a child's status, so the reaper first checks which child
// has ended without collecting it (waitid with WNOWAIT), and leaves the command itself to
// os/exec. It treats all other children as orphans: the process must start no other commands
// meanwhile.
//
// The package does not restart, time out or limit the command, and creates neither a terminal
// nor a process group.
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Exit statuses that a shell uses for commands that never ran, and for signals.
const (
	ExitUsage         = 64  // no command was given (EX_USAGE of sysexits.h)
	ExitNotExecutable = 126 // found, and cannot be executed
	ExitNotFound      = 127 // no such command
	exitInternal      = 70  // its status could not be collected (EX_SOFTWARE)
	exitSignalBase    = 128 // + number of the signal that ended it
)

// killAfter is how long the command may take to end after ctx has ended.
const killAfter = 10 * time.Second

// Options tell what to run and how.
type Options struct {
	// Args is the command with its arguments. A command without a slash is searched for in
	// PATH.
	Args []string
	// Env is the command's whole environment; nil: that of this process.
	Env []string
	// Stdin, Stdout and Stderr are those of the command; nil: those of this process.
	Stdin, Stdout, Stderr *os.File
	// Signals are forwarded to the command as they arrive; it may be nil.
	Signals <-chan os.Signal
	// Reap makes Run reap orphans even if this is not process 1, for a process that is a
	// subreaper (PR_SET_CHILD_SUBREAPER). Linux only.
	Reap bool
	// KillAfter is how long after the end of ctx the command is killed; 0: 10 s.
	KillAfter time.Duration
	// Logger logs the command's start, end and signals at debug level, without its arguments,
	// which may contain secrets; nil: no log.
	Logger *slog.Logger
}

// Run runs the command until it ends and returns its exit status. If the command could not be
// started, the error has the reason, and the status is [ExitNotFound], [ExitNotExecutable] or
// [ExitUsage]. A non-zero status of the command is not an error.
//
// When ctx ends the command gets SIGTERM and, if that does not help, SIGKILL
// (on Windows it is killed at once); Run returns when it has ended.
func Run(ctx context.Context, o Options) (int, error) {
	if len(o.Args) == 0 || o.Args[0] == "" {
		return ExitUsage, errors.New("no command was given")
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("command", filepath.Base(o.Args[0]))
	// Before the start, so that the reaper misses no orphan of a short-lived child.
	orphans := newReaper(o.Reap, log)
	defer orphans.stop()

	cmd := command(ctx, o)
	if err := cmd.Start(); err != nil {
		return startFailure(cmd, err)
	}
	log.Debug("command started", "pid", cmd.Process.Pid)
	ended := make(chan error, 1)
	go await(cmd, ended)

	signals := o.Signals
	for {
		select {
		case s, ok := <-signals:
			if !ok {
				signals = nil
				continue
			}
			forward(cmd.Process, s, log)
		case <-orphans.ended:
			orphans.reap(cmd.Process.Pid)
		case err := <-ended:
			// The command's own status has been collected: all other ended children are
			// orphans, also those that the command's zombie hid from the reaper.
			orphans.reap(0)
			if cmd.ProcessState == nil {
				return exitInternal, fmt.Errorf("could not collect the exit status of %s: %w", o.Args[0], err)
			}
			code := exitCode(cmd.ProcessState)
			log.Debug("command ended", "status", code)
			return code, nil
		}
	}
}

// command creates the child. It is in our process group and inherits our descriptors.
func command(ctx context.Context, o Options) *exec.Cmd {
	cmd := exec.CommandContext(ctx, o.Args[0], o.Args[1:]...)
	if errors.Is(cmd.Err, exec.ErrDot) && runtime.GOOS != "windows" {
		cmd.Err = nil // the user wants a dot in PATH to work, as in a shell
	}
	cmd.Env = o.Env
	// Assigned one by one: a nil *os.File in these interfaces would not be nil.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = orElse(o.Stdin, os.Stdin), orElse(o.Stdout, os.Stdout), orElse(o.Stderr, os.Stderr)
	cmd.Cancel = func() error { return terminate(cmd.Process) }
	cmd.WaitDelay = o.KillAfter
	if cmd.WaitDelay <= 0 {
		cmd.WaitDelay = killAfter
	}
	return cmd
}

func orElse(f, other *os.File) *os.File {
	if f == nil {
		return other
	}
	return f
}

// await returns the child's exit status.
func await(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }

// forward forwards one signal, unless the child has received it already.
func forward(p *os.Process, s os.Signal, log *slog.Logger) {
	if childReceived(s) {
		log.Debug("not forwarded: the terminal sent the signal to the command as well", "signal", s.String())
		return
	}
	switch err := p.Signal(s); {
	case err == nil:
		log.Debug("signal forwarded", "signal", s.String())
	case !errors.Is(err, os.ErrProcessDone):
		log.Warn("signal could not be forwarded", "signal", s.String(), "error", err)
	}
}

// Signals returns the signals to forward: SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 where
// they exist, without those that were ignored when this process was started (nohup, background
// jobs of a script). It is never empty.
func Signals() []os.Signal {
	list := []os.Signal{syscall.SIGTERM}
	for _, s := range optionalSignals() {
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return list
}

// startFailure classifies why the command did not start, like a shell.
func startFailure(cmd *exec.Cmd, err error) (int, error) {
	f := &StartError{Command: cmd.Args[0], Err: err, Status: ExitNotExecutable}
	looked, ran := (*exec.Error)(nil), (*fs.PathError)(nil)
	switch {
	case errors.As(err, &looked): // PATH was searched
		f.Err = looked.Err
	case errors.As(err, &ran): // the message without the words "fork/exec"
		f.Err = ran.Err
	}
	if errors.Is(f.Err, exec.ErrNotFound) || errors.Is(f.Err, fs.ErrNotExist) {
		f.Status = ExitNotFound
	}
	if _, err := os.Stat(cmd.Path); err == nil && ran != nil && f.Status == ExitNotFound {
		// The file exists. What does not exist is the interpreter of its first line, or the
		// dynamic linker of another system.
		f.Status = ExitNotExecutable
		f.Err = errors.New("its interpreter does not exist (see its first line)")
	}
	return f.Status, f
}

// A StartError reports why a command could not be started.
type StartError struct {
	Command string // as in Args, without arguments
	Status  int    // ExitNotFound or ExitNotExecutable
	Err     error
}

// Error implements error.
func (e *StartError) Error() string {
	if e.Status == ExitNotFound {
		return "command not found: " + e.Command
	}
	return "cannot execute " + e.Command + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }
