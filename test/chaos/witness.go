package chaos

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// A dialFunc opens a connection.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// A witness is a dialer for clients. It counts connections, and behind a tunnel it checks every
// address and every byte that clients receive.
type witness struct {
	dialer   dialFunc
	names    [][]byte // that no client may read; nil: no check
	loopback bool     // clients may dial only loopback
	report   func(problem string)

	dials, failed atomic.Int64
	read          atomic.Int64
}

// dial opens a connection.
func (w *witness) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.dials.Add(1)
	if w.loopback && !isLoopback(address) {
		w.report("a client dialled " + address)
	}
	conn, err := w.dialer(ctx, network, address)
	if err != nil {
		w.failed.Add(1)
		return nil, err
	}
	longest := 0
	for _, name := range w.names {
		longest = max(longest, len(name))
	}
	return &witnessed{Conn: conn, witness: w, keep: max(0, longest-1)}, nil
}

// isLoopback reports whether host:port is on this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// A witnessed connection searches received bytes for names, including those that are split over
// two reads.
type witnessed struct {
	net.Conn
	witness *witness
	keep    int
	mu      sync.Mutex
	tail    []byte
}

// Read reads and checks.
func (c *witnessed) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.witness.read.Add(int64(n))
	if len(c.witness.names) > 0 && n > 0 {
		c.look(p[:n])
	}
	return n, err
}

func (c *witnessed) look(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seam := append(c.tail, p[:min(len(p), c.keep)]...)
	for _, name := range c.witness.names {
		if bytes.Contains(seam, name) || bytes.Contains(p, name) {
			c.witness.report("a client read the real name " + string(name))
		}
	}
	if len(p) >= c.keep {
		c.tail = append(c.tail[:0], p[len(p)-c.keep:]...)
		return
	}
	c.tail = append([]byte(nil), seam[max(0, len(seam)-c.keep):]...)
}
