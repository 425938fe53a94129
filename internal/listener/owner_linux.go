package listener

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portOwner names the process that listens on a local TCP port: "name (pid 7)",
// or "" when it cannot be told, as for processes of other users.
//
// /proc/net/tcp gives the socket's inode, /proc/PID/fd the process that holds it
// (proc(5)).
func portOwner(port uint16) string {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listeningInodes(table, port, inodes)
	}
	if len(inodes) == 0 {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm")) // #nosec G304 -- a path below /proc
		if err != nil {
			return "pid " + pid
		}
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

// listeningInodes adds "socket:[inode]" of every socket that listens on port.
//
//	sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode
//	 0: 0100007F:2384 00000000:0000 0A ...
func listeningInodes(table string, port uint16, inodes map[string]bool) {
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
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && n == uint64(port) {
			inodes["socket:["+fields[9]+"]"] = true
		}
	}
}
