package process

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reaper collects the status of orphans that became children of this process. Otherwise they
// would remain as zombies and use up the container's process ids.
type reaper struct {
	ended chan os.Signal // SIGCHLD; nil: there is nothing to reap
	log   *slog.Logger
}

// newReaper starts listening for ended children if this is process 1, or if forced.
func newReaper(wanted bool, log *slog.Logger) *reaper {
	if !wanted && os.Getpid() != 1 {
		return &reaper{}
	}
	// A capacity of one is enough: a signal means that at least one child has ended, and each
	// reap collects all.
	r := &reaper{ended: make(chan os.Signal, 1), log: log}
	signal.Notify(r.ended, unix.SIGCHLD)
	return r
}

func (r *reaper) stop() {
	if r.ended != nil {
		signal.Stop(r.ended)
	}
}

// reap collects every child that has ended, except own, for which os/exec waits. It first
// checks (WNOWAIT) and then collects exactly the process that it found: an ended process keeps
// its id until it is collected, so reap cannot collect another.
//
// The kernel reports one ended child at a time. If that is own, the next ones remain for the
// call that Run makes after own was collected.
func (r *reaper) reap(own int) {
	if r.ended == nil {
		return
	}
	for {
		pid := endedChild()
		if pid == 0 || pid == own {
			return
		}
		switch _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); {
		case err == nil:
			r.log.Debug("orphan reaped", "pid", pid)
		case !errors.Is(err, unix.EINTR):
			return
		}
	}
}

// endedChild returns the process id of a child that has ended and was not yet collected; 0 if
// there is none.
func endedChild() int {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil { // ECHILD: no children
			return 0
		}
		return childOf(&info)
	}
}

// siginfoChild is the beginning of siginfo_t as waitid(2) fills it in. Its union is aligned
// like a pointer; x/sys/unix hides it as padding.
//
//	int si_signo, si_errno, si_code;
//	union { struct { pid_t si_pid; uid_t si_uid; int si_status; ... } ... }
type siginfoChild struct {
	_     [3]int32
	union struct {
		_   [0]uintptr // alignment
		pid int32
	}
}

// childOf returns si_pid, which waitid leaves 0 if no child has ended.
func childOf(info *unix.Siginfo) int {
	return int((*siginfoChild)(unsafe.Pointer(info)).union.pid)
}
