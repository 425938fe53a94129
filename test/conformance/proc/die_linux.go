package proc

import (
	"os"
	"os/exec"
	"syscall"
)

// terminate is the signal that asks a process to end.
var terminate os.Signal = syscall.SIGTERM

// DieWithParent has the kernel kill the process when the test binary dies: a
// test that runs into its deadline panics and runs no clean-up.
func DieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
