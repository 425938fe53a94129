//go:build conformance && !linux

package conformance

import "testing"

// A sniffer exists only on Linux.
type sniffer struct{}

func listenIn(t *testing.T, _ []uint16) *sniffer {
	t.Helper()
	t.Log("no sniffer: only on Linux")
	return nil
}

func (*sniffer) stop(*testing.T) {}
