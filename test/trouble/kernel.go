//go:build linux

package trouble

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/procfs"
)

// skmem is the memory of a socket in the output of ss -m: received bytes that are not read, and
// written bytes that are not acknowledged.
var skmem = regexp.MustCompile(`ino:(\d+).*?skmem:\(r(\d+),.*?,t(\d+),.*?,w(\d+),`)

// reportKernel adds the kernel's memory for the tunnel's sockets. It is not a cost of the
// tunnel itself: any relay has it, and the kernel limits it (net.ipv4.tcp_mem).
func (s *stage) reportKernel(ctx context.Context, r *Report) error {
	open, err := s.tunnel.descriptors()
	if err != nil {
		return err
	}
	queued := int64(0)
	for _, table := range []string{"tcp", "tcp6"} {
		_ = procfs.EachSocket(table, func(s procfs.Socket) { // a machine may be without IPv6
			if open.sockets[s.Inode] && s.State != procfs.Listens {
				queued += hexadecimal(s.TxQueue) + hexadecimal(s.RxQueue)
			}
		})
	}
	r.note("bytes in the kernel's queues of the tunnel's sockets", "%.1f MiB", mib(queued))
	bound := "unknown here"
	if most := tcpBound(); most > 0 {
		bound = fmt.Sprintf("%.0f MiB", most)
	}
	r.note("the kernel's memory for all TCP of the machine (bound: net.ipv4.tcp_mem)", "%.0f MiB (%s)", machineTCP(), bound)
	out, _ := exec.CommandContext(ctx, "ss", "-tmenOH").Output()
	if len(out) == 0 {
		r.note("the kernel's memory for the tunnel's sockets", "unknown, ss cannot be run")
		return nil
	}
	held := int64(0)
	for _, line := range bytes.Split(out, []byte("\n")) {
		m := skmem.FindSubmatch(line)
		if len(m) == 0 || !open.sockets[string(m[1])] {
			continue
		}
		for _, part := range m[2:] {
			n, _ := strconv.ParseInt(string(part), 10, 64)
			held += n
		}
	}
	r.note("the kernel's memory for the tunnel's sockets (ss -m)", "%.1f MiB", mib(held))
	return nil
}

// machineTCP returns the memory of all TCP sockets in /proc/net/sockstat, in MiB.
func machineTCP() float64 {
	stat, _ := os.ReadFile("/proc/net/sockstat")
	for line := range strings.Lines(string(stat)) {
		if _, mem, ok := strings.Cut(line, " mem "); ok && strings.HasPrefix(line, "TCP:") {
			return pages(mem)
		}
	}
	return 0
}

// tcpBound returns the third of the three numbers of net.ipv4.tcp_mem, in MiB.
func tcpBound() float64 {
	bounds, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_mem")
	if fields := strings.Fields(string(bounds)); len(fields) == 3 {
		return pages(fields[2])
	}
	return 0
}

func pages(s string) float64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return mib(n * int64(os.Getpagesize()))
}

func hexadecimal(s string) int64 {
	n, _ := strconv.ParseInt(s, 16, 64)
	return n
}
