package proc

import (
	"os"
	"os/exec"
	"syscall"
)

// terminate is the signal that requests the end of a process.
var terminate os.Signal = syscall.SIGTERM

// DieWithParent makes the kernel kill the process when the test binary dies: a test that
// exceeds its deadline panics without clean-up.
func DieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
