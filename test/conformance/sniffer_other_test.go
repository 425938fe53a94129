//go:build conformance && !linux

package conformance

import "testing"

// A sniffer is there on Linux only.
type sniffer struct{}

func listenIn(t *testing.T, _ []uint16) *sniffer {
	t.Helper()
	t.Log("no sniffer: only on Linux")
	return nil
}

func (*sniffer) stop(*testing.T) {}
