package connector

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// A Connector is one Cloud Connector.
type Connector struct {
	registry *Registry
	tenant   string
	location string

	total, up, down atomic.Int64

	mu        sync.Mutex
	connected bool
	entries   []Entry
}

// Tenant returns the tenant id of the subaccount to which it is connected.
func (c *Connector) Tenant() string { return c.tenant }

// LocationID returns its Location ID, "" for none.
func (c *Connector) LocationID() string { return c.location }

// Connected reports whether it is connected to its subaccount.
func (c *Connector) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connected
}

// SetConnected connects or disconnects it; disconnecting resets open connections.
func (c *Connector) SetConnected(connected bool) {
	c.mu.Lock()
	c.connected = connected
	c.mu.Unlock()
	if !connected {
		c.registry.resetWhere(func(l *Link) bool { return l.connector == c })
	}
}

// Allow adds an access-control entry. It refuses overlapping entries.
func (c *Connector) Allow(e Entry) error {
	if e.Last == 0 {
		e.Last = e.First
	}
	if err := e.check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, old := range c.entries {
		if old.covers(e.Host, e.First) || e.covers(old.Host, old.First) {
			return fmt.Errorf("access-control entry %s overlaps with %s", e, old)
		}
	}
	c.entries = append(c.entries, e)
	return nil
}

// Revoke removes the entry that covers a virtual address. It reports whether there was one.
// Open connections continue.
func (c *Connector) Revoke(host string, port uint16) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.entries)
	c.entries = slices.DeleteFunc(c.entries, func(e Entry) bool { return e.covers(host, port) })
	return len(c.entries) < before
}

// Entries returns the access-control list.
func (c *Connector) Entries() []Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.entries)
}

// resolve returns the internal "host:port" of a virtual address.
func (c *Connector) resolve(host string, port uint16) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.covers(host, port) {
			return net.JoinHostPort(e.Internal, strconv.Itoa(int(e.InternalFirst+port-e.First))), true
		}
	}
	return "", false
}

// Stats are the counters of a connector.
type Stats struct {
	Links int64 `json:"links"` // connections opened since the start
	Up    int64 `json:"up"`    // bytes to brokers; open connections are included periodically
	Down  int64 `json:"down"`  // bytes to clients
}

// Stats returns the counters.
func (c *Connector) Stats() Stats {
	return Stats{Links: c.total.Load(), Up: c.up.Load(), Down: c.down.Load()}
}
