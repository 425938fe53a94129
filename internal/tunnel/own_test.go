package tunnel

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
	"github.com/kafka-tunnel/kafka-tunnel/internal/topology"
)

// direct starts a tunnel without connectivity proxy and without brokers. more are
// additional variables.
func direct(t *testing.T, more ...string) *testbed {
	t.Helper()
	return directWith(t, func(*Options) {}, more...)
}

func directWith(t *testing.T, change func(*Options), more ...string) *testbed {
	t.Helper()
	effective, err := config.Resolve(config.Input{Environ: append([]string{
		"KAFKA_TUNNEL_CONNECTIVITY_VIA=direct", "KAFKA_TUNNEL_BOOTSTRAP=127.0.0.1:1", "KAFKA_TUNNEL_LISTEN=127.0.0.1:0",
		"KAFKA_TUNNEL_BROKER_PORTS=0", "KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:0",
	}, more...)})
	if err != nil {
		t.Fatal(err)
	}
	bed := &testbed{log: &testutil.Output{}}
	options := Options{Config: effective.Config, Version: "test", Logger: textLogger(bed.log), FirstToken: -1}
	change(&options)
	bed.Tunnel, err = Start(context.WithoutCancel(t.Context()), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bed.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the tunnel's log:\n%s", bed.log)
		}
	})
	return bed
}

// TestAConnectionToTheTunnelItself: a cluster, a broker or a forward whose address is
// one of the tunnel's own ports causes a single connection, which is refused with a
// failure of its own.
func TestAConnectionToTheTunnelItself(t *testing.T) {
	const bootstrapPort, brokerPort, forwardPort, adminPort = "bootstrap", "broker", "forward", "admin"
	for _, from := range []string{"bootstrap", "broker", "forward"} {
		for _, to := range []string{bootstrapPort, brokerPort, forwardPort, adminPort} {
			t.Run(from+" to the port "+to, func(t *testing.T) {
				t.Parallel()
				bed := direct(t, "KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS=8", "KAFKA_TUNNEL_CONNECTIVITY_HOLD=3s",
					`KAFKA_TUNNEL_FORWARDS=[{name: other, listen: "127.0.0.1:0", to: "other.invalid:1"}]`)
				cl := bed.clusters[0]
				local := learned(t, cl.topo, "kafka-1.invalid")
				port := map[string]uint16{bootstrapPort: cl.port, brokerPort: local, forwardPort: bed.forwards[0].port, adminPort: bed.adminPort}[to]
				own := hostport.Target{Host: "localhost", Port: port}

				var entry uint16
				node := from
				switch from {
				case "bootstrap": // the address of a bootstrap server
					w := *cl.route.Load()
					w.bootstrap = []hostport.Target{own}
					cl.route.Store(&w)
					entry = cl.port
				case "broker": // the target of the address map
					rules, err := addressmap.Parse([]addressmap.Text{{From: "kafka-1.invalid", To: own.String()}})
					if err != nil {
						t.Fatal(err)
					}
					cl.topo.Follow(topology.Names{Bootstrap: cl.route.Load().bootstrap, Rules: rules})
					entry, node = local, "1"
				case "forward":
					f, err := bed.startForward(t.Context(), config.Forward{
						Name: "loop", Listen: config.HostPort{Host: "127.0.0.1"}, To: config.HostPort{Host: own.Host, Port: own.Port},
					})
					if err != nil {
						t.Fatal(err)
					}
					entry = f.port
				}
				c, err := newRawClient(t.Context(), net.JoinHostPort("127.0.0.1", strconv.Itoa(int(entry))))
				switch {
				case err == nil:
					t.Cleanup(c.close)
					_ = c.ask() // a forward does not wait for a request and may already have reset the connection
					select {
					case <-c.ended:
					case <-hangTimeout():
						t.Fatal("the client is not refused")
					}
				case !errors.Is(err, syscall.ECONNRESET): // reset before connect has returned
					t.Fatal(err)
				}
				bed.connections.mu.Lock()
				n := bed.connections.last
				bed.connections.mu.Unlock()
				if n != 1 {
					t.Errorf("%d connections were opened", n)
				}
				if n := bed.counter(t, "failures_total", "code")[string(failure.OwnAddress)]; n != 1 {
					t.Errorf("failures_total: %v", bed.counter(t, "failures_total", "code"))
				}
				if !contains(bed.log.String(), "code=own_address", own.String()) {
					t.Errorf("%s: the failure is not logged", node)
				}
			})
		}
	}
}

// learned makes a node known as a response would, and returns its local port.
func learned(t *testing.T, topo *topology.Topology, host string) uint16 {
	t.Helper()
	eps := []kafka.Endpoint{{NodeID: 1, Host: host, Port: 9092}}
	if err := topo.Map(eps); err != nil || eps[0].Hidden {
		t.Fatalf("%+v, %v", eps, err)
	}
	return uint16(eps[0].Port)
}
