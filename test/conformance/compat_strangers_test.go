//go:build conformance

package conformance

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// A strangerWatch finds connection to a broker's outer listener that does not come from the
// Cloud Connector's process.
type strangerWatch struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	found  map[string]bool
	seen   int // connections of the Cloud Connector
}

// watchStrangers looks at who is connected to the brokers' outer listeners: nobody but
// the lab's process may be.
func watchStrangers(t *testing.T, c *realkafka.Cluster, l *labProcess) *strangerWatch {
	t.Helper()
	w := &strangerWatch{found: map[string]bool{}}
	if _, err := os.Stat("/proc/net/tcp"); err != nil || l.proc == nil {
		return w
	}
	ports := map[string]bool{}
	for _, b := range c.Brokers {
		_, port, _ := strings.Cut(b.Client, ":")
		n, _ := strconv.Atoi(port)
		ports[fmt.Sprintf("0100007F:%04X", n)] = true
	}
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(t.Context())
	pid := l.proc.Pid()
	w.done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		suspects := map[string]bool{} // of the last look: a socket may be younger than the list of descriptors
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
		t.Error("no connection of the Cloud Connector was seen: the watching is broken")
	}
}

// connectedTo returns the inodes of the sockets that are connected to one of these
// addresses.
//
//	sl  local_address rem_address   st ... inode
func connectedTo(addresses map[string]bool) map[string]bool {
	const established = "01"
	found := map[string]bool{}
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		return found
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) > 9 && addresses[f[2]] && f[3] == established && f[9] != "0" {
			found[f[9]] = true
		}
	}
	return found
}

// sockets returns the inodes of a process's sockets.
func sockets(pid int) map[string]bool {
	own := map[string]bool{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, f := range files {
		if to, err := os.Readlink(f); err == nil {
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				own[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	return own
}
