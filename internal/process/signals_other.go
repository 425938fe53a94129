//go:build !unix

package process

import "os"

func optionalSignals() []os.Signal { return []os.Signal{os.Interrupt} }

// terminate kills: there is no signal that asks.
func terminate(p *os.Process) error { return p.Kill() }

// exitCode is the child's own status.
func exitCode(state *os.ProcessState) int { return state.ExitCode() }

// childHasIt is true for all signals: on Windows they are events of the console
// (Ctrl-C, Ctrl-Break, its end), which every process of the console gets, and no
// signal can be sent to a single process.
func childHasIt(os.Signal) bool { return true }
