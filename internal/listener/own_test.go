package listener

import (
	"net"
	"net/netip"
	"testing"
)

// TestReaches: an address reaches the process if the port is one of its own and the IP
// address is one on which it listens.
func TestReaches(t *testing.T) {
	s := &Server{}
	defer s.Close()
	listen := func(host string) uint16 {
		p, err := s.Listen(t.Context(), host, 0, echo)
		if err != nil {
			t.Fatal(err)
		}
		return p.Number()
	}
	both, all := listen("127.0.0.1"), listen("0.0.0.0")
	claimed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = claimed.Close() }()
	s.Claim(claimed)
	admin := uint16(claimed.Addr().(*net.TCPAddr).Port)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	foreign := uint16(other.Addr().(*net.TCPAddr).Port)

	for _, tt := range []struct {
		ip   string
		port uint16
		want bool
	}{
		{"127.0.0.1", both, true},
		{"::ffff:127.0.0.1", both, true},
		{"0.0.0.0", both, true},
		{"127.0.0.2", both, false}, // no socket listens there
		{"192.0.2.1", both, false},
		{"127.0.0.1", all, true},
		{"127.0.0.2", all, true},
		{"0.0.0.0", all, true},
		{"192.0.2.1", all, false},
		{"127.0.0.1", admin, true},
		{"::1", admin, false},
		{"127.0.0.1", foreign, false},
	} {
		if got := s.Reaches(netip.AddrPortFrom(netip.MustParseAddr(tt.ip), tt.port)); got != tt.want {
			t.Errorf("Reaches(%s, one of %d, %d, %d, %d: %d) = %v", tt.ip, both, all, admin, foreign, tt.port, got)
		}
	}
	if !s.Owns(both) || !s.Owns(admin) || s.Owns(foreign) {
		t.Error("Owns is wrong")
	}
	// A port that listens on all interfaces is reached at each of the machine's addresses.
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip := netip.MustParsePrefix(a.String()).Addr()
		if !s.Reaches(netip.AddrPortFrom(ip, all)) {
			t.Errorf("the machine's address %s is not recognised", ip)
		}
		if !ip.IsLoopback() && s.Reaches(netip.AddrPortFrom(ip, both)) {
			t.Errorf("the loopback port cannot be reached at %s", ip)
		}
	}
}
