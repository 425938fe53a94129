//go:build conformance

package conformance

import (
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// A guard looks from two sides, while clients work, for what must not leave the company's
// network and for who must not come into it. The third side is each client's own output.
type guard struct {
	strangers *strangerWatch
	ears      *sniffer
}

// startGuard lets nobody but the Cloud Connector's process connect to the brokers' outer
// listeners, and no real name come from the tunnel's ports.
func startGuard(t *testing.T, outer []string, connector *proc.Process, ports []uint16) *guard {
	t.Helper()
	return &guard{watchStrangers(t, outer, connector), listenIn(t, ports)}
}

// guardLab guards a cluster behind a lab, which is the Cloud Connector and the tunnel.
func guardLab(t *testing.T, c *realkafka.Cluster, l *labProcess) *guard {
	t.Helper()
	var outer []string
	for _, b := range c.Brokers {
		outer = append(outer, b.Client)
	}
	return startGuard(t, outer, l.proc, portsOf(t, l.bootstrap))
}

// stop fails the test if there was something, or if nothing was watched.
func (g *guard) stop(t *testing.T) {
	t.Helper()
	g.strangers.stop(t)
	g.ears.stop(t)
}
