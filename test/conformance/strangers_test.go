//go:build conformance

package conformance

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/procfs"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
)

// A strangerWatch finds connections to a broker's outer listener that do not come from the
// Cloud Connector's process.
type strangerWatch struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	found  map[string]bool
	seen   int // connections of the Cloud Connector
}

// watchStrangers watches the connections to addresses on 127.0.0.1: only one process may have
// any.
func watchStrangers(t *testing.T, addresses []string, only *proc.Process) *strangerWatch {
	t.Helper()
	w := &strangerWatch{found: map[string]bool{}}
	if _, err := os.Stat("/proc/net/tcp"); err != nil || only == nil {
		return w
	}
	ports := map[string]bool{}
	for _, a := range addresses {
		ports[fmt.Sprintf("0100007F:%04X", portOf(t, a))] = true
	}
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(t.Context())
	pid := only.Pid()
	w.done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		suspects := map[string]bool{} // of the previous look: a socket may be newer than the list of descriptors
		for ctx.Err() == nil {
			now := map[string]bool{}
			own := sockets(pid)
			for inode := range connectedTo(ports) {
				switch {
				case own[inode]:
					w.seen++
				case suspects[inode]:
					w.found[inode] = true
				default:
					now[inode] = true
				}
			}
			suspects = now
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return w
}

func (w *strangerWatch) stop(t *testing.T) {
	t.Helper()
	if w.cancel == nil {
		return
	}
	w.cancel()
	w.done.Wait()
	if len(w.found) > 0 {
		t.Errorf("%d connections to the brokers' outer listeners were not the Cloud Connector's", len(w.found))
	}
	if w.seen == 0 {
		t.Error("no connection of the Cloud Connector was seen: the observation does not work")
	}
}

// connectedTo returns the inodes of the sockets that are connected to one of these addresses.
func connectedTo(addresses map[string]bool) map[string]bool {
	found := map[string]bool{}
	_ = procfs.EachSocket("tcp", func(s procfs.Socket) {
		if addresses[s.Remote] && s.State == procfs.Established && s.Inode != "0" {
			found[s.Inode] = true
		}
	})
	return found
}

// listeningOn returns the ports on which a process listens.
func listeningOn(t *testing.T, p *proc.Process) (ports []uint16) {
	t.Helper()
	own := sockets(p.Pid())
	_ = procfs.EachSocket("tcp", func(s procfs.Socket) {
		if _, port, _ := strings.Cut(s.Local, ":"); s.State == procfs.Listens && own[s.Inode] {
			n, err := strconv.ParseUint(port, 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, uint16(n))
		}
	})
	return ports
}

// portOf returns the port of host:port.
func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}

// portsOf returns the tunnel's ports: those in its responses.
func portsOf(t *testing.T, bootstrap string) []uint16 {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	brokers, err := kadm.NewClient(client).ListBrokers(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	ports := []uint16{portOf(t, bootstrap)}
	for _, b := range brokers {
		ports = append(ports, uint16(b.Port))
	}
	return ports
}

// sockets returns the inodes of a process's sockets; none if it has ended.
func sockets(pid int) map[string]bool {
	open, _ := procfs.Descriptors(pid)
	return procfs.SocketInodes(open)
}
