package port

import (
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// hold binds the address without listening, and returns the socket with its port. Such a socket
// refuses connections, and while it exists the kernel does not assign the number as a free
// port, neither to a listener nor as the source of a connection; a listener that requests this
// number gets it, because both sockets set SO_REUSEADDR and only one listens.
//
// Without it, a port that is closed for a while would at some point be the source port of a
// connection, and could not be opened again for a minute.
func hold(addr *net.TCPAddr) (*net.TCPAddr, io.Closer, error) {
	domain, local := sockaddr(addr)
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socket", err)
	}
	bound, err := bind(fd, local)
	if err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	return &net.TCPAddr{IP: addr.IP, Port: bound, Zone: addr.Zone}, held(fd), nil
}

// bind binds fd and returns the port.
func bind(fd int, local unix.Sockaddr) (int, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, local); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return name.Port, nil
	case *unix.SockaddrInet6:
		return name.Port, nil
	}
	return 0, os.NewSyscallError("getsockname", unix.EAFNOSUPPORT)
}

// sockaddr returns the address in the kernel's form.
func sockaddr(addr *net.TCPAddr) (domain int, local unix.Sockaddr) {
	if ip := addr.IP.To4(); ip != nil || len(addr.IP) == 0 {
		v4 := &unix.SockaddrInet4{Port: addr.Port}
		copy(v4.Addr[:], ip)
		return unix.AF_INET, v4
	}
	v6 := &unix.SockaddrInet6{Port: addr.Port}
	copy(v6.Addr[:], addr.IP.To16())
	if ifi, err := net.InterfaceByName(addr.Zone); err == nil {
		v6.ZoneId = uint32(ifi.Index)
	}
	return unix.AF_INET6, v6
}

// held is the file descriptor of a bound socket.
type held int

// Close releases the number.
func (h held) Close() error { return unix.Close(int(h)) }
