//go:build !linux

package main

import "runtime/debug"

// releaseMemory returns memory to the system that an idle tunnel does not need.
func releaseMemory() { debug.FreeOSMemory() }
