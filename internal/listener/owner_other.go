//go:build !linux

package listener

import "context"

// portOwners cannot determine owners on this system.
func portOwners(context.Context, []uint16) map[uint16]string { return nil }
