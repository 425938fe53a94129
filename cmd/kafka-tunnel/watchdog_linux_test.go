package main

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAnAcceptLoopThatEndsExitsWith70 closes a listening socket of a running tunnel, which
// cannot recover from that without a restart (R22).
func TestAnAcceptLoopThatEndsExitsWith70(t *testing.T) {
	for name, args := range map[string][]string{
		"run":  {"run"},
		"exec": {"exec", "--", "sleep", "600"},
	} {
		t.Run(name, func(t *testing.T) {
			probe, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := probe.Addr().String()
			_ = probe.Close()
			flags := []string{
				args[0], "--listen", address, "--bootstrap", "127.0.0.1:1", "--connectivity-via", "direct",
				"--broker-ports", "0", "--admin-listen", "127.0.0.1:0", "--log-level", "error",
			}
			code := make(chan int)
			go func() { code <- run(t.Context(), append(flags, args[1:]...)) }()
			for broken := false; !broken; {
				select {
				case c := <-code:
					t.Fatalf("ended with %d before its socket was gone", c)
				default:
					broken = breakListener(t, address)
				}
			}
			if c := <-code; c != exitInternal {
				t.Errorf("exit status %d, want %d", c, exitInternal)
			}
		})
	}
}

// breakListener shuts down the listening socket with this address, if this
// process has one.
func breakListener(t *testing.T, address string) bool {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range fds {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listening == 0 {
			continue
		}
		name, err := unix.Getsockname(fd)
		in4, ok := name.(*unix.SockaddrInet4)
		if err != nil || !ok || !strings.HasSuffix(address, ":"+strconv.Itoa(in4.Port)) {
			continue
		}
		return unix.Shutdown(fd, unix.SHUT_RD) == nil
	}
	return false
}
