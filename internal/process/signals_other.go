//go:build !unix

package process

import "os"

func optionalSignals() []os.Signal { return []os.Signal{os.Interrupt} }

// terminate kills the process: Windows has no signal that requests its end.
func terminate(p *os.Process) error { return p.Kill() }

// exitCode returns the child's own status.
func exitCode(state *os.ProcessState) int { return state.ExitCode() }

// childReceived returns true for all signals: on Windows they are console events (Ctrl-C,
// Ctrl-Break, close), which every process of the console receives, and a single process cannot
// be sent a signal.
func childReceived(os.Signal) bool { return true }
