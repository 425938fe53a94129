package procfs

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

// TestThisProcess: its memory, its descriptors, and a socket of its own in the table.
func TestThisProcess(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pid := os.Getpid()
	for file, name := range map[string]string{"status": "VmRSS", "smaps_rollup": "Rss"} {
		if n, err := Bytes(pid, file, name); err != nil || n < 1<<20 {
			t.Errorf("%s %s: %d bytes, %v", file, name, n, err)
		}
	}
	if value, err := Field(pid, "status", "Pid"); err != nil || value != fmt.Sprint(pid) {
		t.Errorf("Pid %q, %v", value, err)
	}
	if _, err := Field(pid, "status", "NoSuchField"); err == nil || !strings.Contains(err.Error(), "NoSuchField") {
		t.Errorf("a field that does not exist: %v", err)
	}
	open, err := Descriptors(pid)
	if err != nil || open[0] == "" {
		t.Fatalf("descriptors %v, %v", open, err)
	}
	own, port, found := SocketInodes(open), fmt.Sprintf(":%04X", l.Addr().(*net.TCPAddr).Port), 0
	err = EachSocket("tcp", func(s Socket) {
		if s.State == Listens && own[s.Inode] && strings.HasSuffix(s.Local, port) {
			found++
		}
	})
	if err != nil || found != 1 {
		t.Errorf("found %d sockets that listen on %s among %d own ones, %v", found, port, len(own), err)
	}
}

// TestNoSuchProcess: an error, not an empty answer.
func TestNoSuchProcess(t *testing.T) {
	const pid = 1 << 30
	if _, err := Bytes(pid, "status", "VmRSS"); err == nil {
		t.Error("memory without an error")
	}
	if _, err := Descriptors(pid); err == nil {
		t.Error("descriptors without an error")
	}
}
