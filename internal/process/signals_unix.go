//go:build unix

package process

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func optionalSignals() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// exitCode maps the child's status like a shell.
func exitCode(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return exitSignalBase + int(ws.Signal())
	}
	return state.ExitCode()
}

// childReceived reports whether a signal that arrived here was also sent to the child: a SIGINT,
// while our process group, which is the child's, is the foreground group of our controlling
// terminal. Without a controlling terminal /dev/tty cannot be opened.
func childReceived(s os.Signal) bool {
	if s != syscall.SIGINT {
		return false
	}
	tty, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(tty)
	for {
		foreground, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && foreground == unix.Getpgrp()
		}
	}
}
