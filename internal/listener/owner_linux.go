package listener

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// portOwners reads /proc/net/tcp, which has the inodes of the listening sockets, and
// then /proc/PID/fd of one process after the other, until every socket is found or ctx
// ends (proc(5)). It begins with the newest process: those that may claim the same port,
// such as an old sidecar, were started a short time before this one.
func portOwners(ctx context.Context, ports []uint16) map[uint16]string {
	inodes := map[string]uint16{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listeningInodes(table, ports, inodes)
	}
	owners := map[uint16]string{}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	slices.SortFunc(processes, newestFirst)
	for _, process := range processes {
		if len(inodes) == 0 || ctx.Err() != nil {
			break
		}
		descriptors, _ := os.ReadDir(filepath.Join(process, "fd")) // fails for processes of other users
		for _, fd := range descriptors {
			target, err := os.Readlink(filepath.Join(process, "fd", fd.Name()))
			port, listens := inodes[target]
			if err != nil || !listens {
				continue
			}
			delete(inodes, target)
			owners[port] = processName(process)
		}
	}
	return owners
}

// newestFirst compares paths /proc/PID. The kernel assigns ascending ids.
func newestFirst(a, b string) int {
	return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(b, a))
}

// processName returns "name (pid 7)" of /proc/7.
func processName(process string) string {
	pid := filepath.Base(process)
	name, err := os.ReadFile(filepath.Join(process, "comm")) // #nosec G304 -- a path below /proc
	if err != nil {
		return "pid " + pid
	}
	return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
}

// listeningInodes adds "socket:[inode]" of every socket that listens on one of the ports.
//
//	sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode
//	 0: 0100007F:2384 00000000:0000 0A ...
func listeningInodes(table string, ports []uint16, inodes map[string]uint16) {
	const stateListen = "0A"
	f, err := os.Open(table) // #nosec G304 -- one of two constants
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != stateListen {
			continue
		}
		_, hex, _ := strings.Cut(fields[1], ":")
		n, err := strconv.ParseUint(hex, 16, 16)
		if err != nil {
			continue
		}
		for _, port := range ports {
			if n == uint64(port) {
				inodes["socket:["+fields[9]+"]"] = port
			}
		}
	}
}
