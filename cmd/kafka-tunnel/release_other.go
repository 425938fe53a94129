//go:build !linux

package main

import "runtime/debug"

// releaseMemory returns to the system what a tunnel at rest does not need.
func releaseMemory() { debug.FreeOSMemory() }
