//go:build conformance

package conformance

import (
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// A guard checks on two sides, while clients work, for names that must not leave the company's
// network and for clients that must not enter it. The third side is each client's own output.
type guard struct {
	strangers *strangerWatch
	ears      *sniffer
}

// startGuard checks that only the Cloud Connector's process connects to the brokers' outer
// listeners, and that no real name comes from the tunnel's ports.
func startGuard(t *testing.T, outer []string, connector *proc.Process, ports []uint16) *guard {
	t.Helper()
	return &guard{watchStrangers(t, outer, connector), listenIn(t, ports)}
}

// guardLab guards a cluster in front of which a lab has the Cloud Connector and the tunnel.
func guardLab(t *testing.T, c *realkafka.Cluster, l *labProcess) *guard {
	t.Helper()
	var outer []string
	for _, b := range c.Brokers {
		outer = append(outer, b.Client)
	}
	return startGuard(t, outer, l.proc, portsOf(t, l.bootstrap))
}

// stop fails the test if the guard found something, or if it saw nothing.
func (g *guard) stop(t *testing.T) {
	t.Helper()
	g.strangers.stop(t)
	g.ears.stop(t)
}
