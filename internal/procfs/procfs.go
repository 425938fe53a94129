// Package procfs reads what Linux reports of a process and of the machine's sockets in
// /proc (proc(5)): the owners of ports, and figures for measurements and tests. On other
// systems its functions return errors.
package procfs

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Path returns the path of a file of a process: /proc/PID/NAME.
func Path(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// Field returns the value of a line "NAME: value" in a file of a process, such as status.
func Field(pid int, file, name string) (string, error) {
	text, err := os.ReadFile(Path(pid, file))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("no field %s in %s", name, Path(pid, file))
}

// Bytes returns a [Field] that is a number of kilobytes, in bytes. Rss in smaps_rollup is
// exact; VmRSS in status may be slightly out of date.
func Bytes(pid int, file, name string) (int64, error) {
	value, err := Field(pid, file, name)
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	return kib << 10, err
}

// Descriptors returns the open file descriptors of a process, and what they refer to:
// "pipe:[1234]", "socket:[1234]" or a path.
func Descriptors(pid int) (map[int]string, error) {
	entries, err := os.ReadDir(Path(pid, "fd"))
	if err != nil {
		return nil, err
	}
	open := make(map[int]string, len(entries))
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if link, err := os.Readlink(filepath.Join(Path(pid, "fd"), e.Name())); err == nil { // else closed meanwhile
			open[fd] = link
		}
	}
	return open, nil
}

// SocketInodes returns the inodes of the sockets among descriptors.
func SocketInodes(open map[int]string) map[string]bool {
	inodes := map[string]bool{}
	for _, link := range open {
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes
}

// A Socket is a line of /proc/net/tcp or tcp6. Addresses and queues are hexadecimal, the
// host in network byte order.
type Socket struct {
	Local, Remote    string // HOST:PORT
	State            string
	TxQueue, RxQueue string // bytes
	Inode            string // 0: no process has it open
}

// The states of sockets.
const (
	Established = "01"
	Listens     = "0A"
)

// EachSocket calls see for each TCP socket of a table, tcp or tcp6.
//
//	sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
func EachSocket(table string, see func(Socket)) error {
	f, err := os.Open(filepath.Join("/proc/net", table))
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[0] == "sl" {
			continue
		}
		tx, rx, _ := strings.Cut(fields[4], ":")
		see(Socket{Local: fields[1], Remote: fields[2], State: fields[3], TxQueue: tx, RxQueue: rx, Inode: fields[9]})
	}
	return lines.Err()
}
