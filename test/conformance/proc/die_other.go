//go:build !linux

package proc

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// terminate is the signal that asks a process to end; Windows knows only the
// hard way.
var terminate = func() os.Signal {
	if runtime.GOOS == "windows" {
		return os.Kill
	}
	return syscall.SIGTERM
}()

// DieWithParent does nothing here: only Linux ties a child to its parent. A
// test binary that dies without clean-up leaves its processes behind.
func DieWithParent(*exec.Cmd) {}
