package listener

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// TestATakenPort: Listen's failure names the address at once. The owner of the port is
// looked up only on request.
func TestATakenPort(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	port := uint16(other.Addr().(*net.TCPAddr).Port)
	s := &Server{}
	defer s.Close()
	_, err = s.Listen(t.Context(), "127.0.0.1", port, echo)
	if !failure.Is(err, failure.PortTaken) {
		t.Fatalf("error %v, want port_taken", err)
	}
	if !strings.Contains(err.Error(), address("127.0.0.1", port)) {
		t.Errorf("the address is missing: %v", err)
	}
	pid := "pid " + strconv.Itoa(os.Getpid())
	if strings.Contains(err.Error(), pid) {
		t.Errorf("Listen looked up the owner: %v", err)
	}
	if runtime.GOOS != "linux" {
		return
	}
	if owned := WithOwner(t.Context(), port, err); !failure.Is(owned, failure.PortTaken) || !strings.Contains(owned.Error(), pid) {
		t.Errorf("the owner is missing: %v", owned)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if owned := WithOwner(ended, port, err); !errors.Is(owned, err) {
		t.Errorf("a lookup whose context has ended returns %v", owned)
	}
}

// TestOwners: one search finds the owners of several ports, and a port without a
// listener has no owner.
func TestOwners(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("owners can be determined on Linux only")
	}
	var ports []uint16
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, uint16(l.Addr().(*net.TCPAddr).Port))
	}
	owners := Owners(t.Context(), append(ports, 1)...)
	for _, port := range ports {
		if !strings.HasSuffix(owners[port], "(pid "+strconv.Itoa(os.Getpid())+")") {
			t.Errorf("port %d is held by %q", port, owners[port])
		}
	}
	if len(owners) != len(ports) {
		t.Errorf("owners %v of ports %v", owners, ports)
	}
}
