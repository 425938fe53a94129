package listener

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/procfs"
)

// portOwners reads /proc/net/tcp, which has the inodes of the listening sockets, and
// then /proc/PID/fd of one process after the other, until every socket is found or ctx
// ends (proc(5)). It begins with the newest process: those that may claim the same port,
// such as an old sidecar, were started a short time before this one.
func portOwners(ctx context.Context, ports []uint16) map[uint16]string {
	inodes := map[string]uint16{} // of the sockets that listen on the ports, as descriptors refer to them
	for _, table := range []string{"tcp", "tcp6"} {
		_ = procfs.EachSocket(table, func(one procfs.Socket) { // without IPv6 there is no tcp6
			_, hex, _ := strings.Cut(one.Local, ":")
			port, err := strconv.ParseUint(hex, 16, 16)
			if err == nil && one.State == procfs.Listens && slices.Contains(ports, uint16(port)) {
				inodes["socket:["+one.Inode+"]"] = uint16(port)
			}
		})
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
