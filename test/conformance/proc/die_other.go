//go:build !linux

package proc

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// terminate is the signal that requests the end of a process; Windows only supports killing.
var terminate = func() os.Signal {
	if runtime.GOOS == "windows" {
		return os.Kill
	}
	return syscall.SIGTERM
}()

// DieWithParent does nothing: only Linux can tie a child to its parent. A test binary that dies
// without clean-up leaves its processes running.
func DieWithParent(*exec.Cmd) {}
