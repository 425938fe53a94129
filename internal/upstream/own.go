package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// errOwn is the cause of the failure own_address.
var errOwn = errors.New("this process itself listens on it")

// refuseOwn is a [net.Dialer.ControlContext], which is called with each resolved address
// before it is connected to. It refuses those on which the process itself listens: such a
// connection would be accepted and open the next one, until every connection slot is full.
func (d *Dialer) refuseOwn(_ context.Context, _, resolved string, _ syscall.RawConn) error {
	if addr, ok := parseResolved(resolved); ok && d.Own != nil && d.Own(addr) {
		return errOwn
	}
	return nil
}

// parseResolved reads an address as package net writes it: an empty host is this machine.
func parseResolved(resolved string) (netip.AddrPort, bool) {
	host, port, err := net.SplitHostPort(resolved)
	if err != nil {
		return netip.AddrPort{}, false
	}
	if host == "" {
		host = "0.0.0.0"
	}
	addr, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	return addr, err == nil
}
