package listener

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Claim adds sockets that the process serves by other means to those that
// [Server.Owns] and [Server.Reaches] know.
func (s *Server) Claim(listeners ...net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = append(s.claimed, listeners...)
}

// Owns reports whether port is one of the server's or was claimed.
func (s *Server) Owns(port uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.listening(port)) > 0
}

// listening returns the addresses on which the process listens at port. The caller holds
// s.mu.
func (s *Server) listening(port uint16) []netip.Addr {
	var all []netip.Addr
	add := func(l net.Listener) {
		if a, ok := l.Addr().(*net.TCPAddr); ok && a.Port == int(port) {
			all = append(all, a.AddrPort().Addr().Unmap())
		}
	}
	if p := s.ports[port]; p != nil {
		for _, l := range p.listeners {
			add(l)
		}
	}
	for _, l := range s.claimed {
		add(l)
	}
	return all
}

// Reaches reports whether a connection to addr would arrive at the process itself: the
// port is one of its own, and the IP address is one on which that port listens.
func (s *Server) Reaches(addr netip.AddrPort) bool {
	s.mu.Lock()
	listening := s.listening(addr.Port())
	s.mu.Unlock()
	ip := addr.Addr().Unmap().WithZone("")
	if ip.IsUnspecified() { // the kernel connects to the loopback of that family
		ip = loopback(ip)
	}
	for _, on := range listening {
		switch {
		case on.WithZone("") == ip:
			return true
		case on.IsUnspecified() && (on.Is6() || ip.Is4()) && (ip.IsLoopback() || s.local.has(ip)):
			return true
		}
	}
	return false
}

func loopback(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// interfacesFor is how long the addresses of the machine's interfaces are cached.
const interfacesFor = 30 * time.Second

// interfaces are the addresses of this machine's interfaces. The zero value is ready.
type interfaces struct {
	mu    sync.Mutex // guards what follows
	addrs map[netip.Addr]bool
	read  time.Time
}

// has reports whether ip is an address of this machine.
func (i *interfaces) has(ip netip.Addr) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.addrs == nil || time.Since(i.read) > interfacesFor {
		i.addrs, i.read = interfaceAddrs(), time.Now()
	}
	return i.addrs[ip]
}

func interfaceAddrs() map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	list, _ := net.InterfaceAddrs() // without them only loopback addresses are our own
	for _, one := range list {
		if prefix, err := netip.ParsePrefix(one.String()); err == nil {
			all[prefix.Addr().Unmap().WithZone("")] = true
		}
	}
	return all
}
