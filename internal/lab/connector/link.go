package connector

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
)

// A Link is one connection through a Cloud Connector.
type Link struct {
	registry  *Registry
	connector *Connector
	where     faults.Where
	internal  string
	backend   *net.TCPConn
	held      []string // ids of faults with a count that apply to this link
	opened    time.Time
	expires   time.Time     // of the client's token; zero: never
	active    atomic.Int64  // when bytes last moved, Unix nanoseconds
	ended     chan struct{} // closed when both sides are closed

	up, down *leg
	kicks    atomic.Uint64

	mu     sync.Mutex
	client *net.TCPConn // nil before Relay
	dead   bool
}

// newLink returns a link over an open connection to the backend.
func newLink(r *Registry, c *Connector, where faults.Where, internal string, backend *net.TCPConn) *Link {
	c.total.Add(1)
	l := &Link{
		registry: r, connector: c, where: where, internal: internal, backend: backend,
		held:   r.opts.Faults.Attach(where, relayKinds...),
		opened: time.Now(), ended: make(chan struct{}),
	}
	l.touch()
	l.up = newLeg(l, faults.Up, &c.up)
	l.down = newLeg(l, faults.Down, &c.down)
	return l
}

// Internal returns the internal "host:port" behind the link.
func (l *Link) Internal() string { return l.internal }

// First waits up to the given time for the first bytes from the backend and returns them, up to
// 4 KiB. The caller passes them on before it calls Relay. If there are no bytes, an early end
// or an error, it returns nil: Relay will find the end or the error.
func (l *Link) First(wait time.Duration) []byte {
	l.backend.SetReadDeadline(time.Now().Add(wait))
	defer l.backend.SetReadDeadline(time.Time{})
	b := make([]byte, 4<<10)
	n, err := l.backend.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// Relay moves bytes in both directions until both sides have ended, and closes both. It passes
// the end of each side on unchanged: FIN or RST.
func (l *Link) Relay(client *net.TCPConn) {
	defer l.registry.drop(l)
	l.mu.Lock()
	l.client = client
	l.up.src, l.up.dst = client, l.backend
	l.down.src, l.down.dst = l.backend, client
	dead := l.dead
	l.mu.Unlock()
	if dead {
		port.Reset(client)
		return
	}
	for _, conn := range []*net.TCPConn{client, l.backend} {
		// By default the kernel lets these grow to many MiB for a side that does not read, and
		// the memory for TCP of the whole machine is limited.
		_ = conn.SetReadBuffer(socketBuffer)
		_ = conn.SetWriteBuffer(socketBuffer)
	}
	done := make(chan struct{})
	go l.pumpUp(done)
	l.down.pump()
	<-done
	// Both directions have ended with FIN, or Close was called.
	client.Close()
	l.backend.Close()
}

// socketBuffer limits the buffer of each socket of a link, bytes.
const socketBuffer = 256 << 10

// pumpUp is the goroutine that moves the client's bytes.
func (l *Link) pumpUp(done chan<- struct{}) {
	defer close(done)
	l.up.pump()
}

// Close resets both sides. Cuts use it.
func (l *Link) Close() { l.end(port.Reset) }

// closeCleanly closes both sides cleanly. A side whose sent bytes have not been read still sees a
// reset: this is how sockets work.
func (l *Link) closeCleanly() {
	l.end(func(conn *net.TCPConn) { conn.Close() })
}

// end closes both sides, once.
func (l *Link) end(closeSide func(*net.TCPConn)) {
	l.mu.Lock()
	if l.dead {
		l.mu.Unlock()
		return
	}
	l.dead = true
	client := l.client
	l.mu.Unlock()
	if client != nil {
		closeSide(client)
	} else {
		l.registry.drop(l) // Relay is not called, or returns at once
	}
	closeSide(l.backend)
	close(l.ended) // last: Relay may then close both sides in its own way
}

// touch records that bytes moved.
func (l *Link) touch() { l.active.Store(time.Now().UnixNano()) }

// idleSince returns when bytes last moved, as far as known: bytes that the kernel moves are
// counted only when it stops.
func (l *Link) idleSince() time.Time { return time.Unix(0, l.active.Load()) }

// kick makes both directions check the faults again. The caller has changed the faults before.
// It returns the number of kicks for awaitNotice.
func (l *Link) kick() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	kicks := l.kicks.Add(1)
	past := time.Unix(1, 0)
	l.backend.SetReadDeadline(past)
	signal(l.up.kicked)
	signal(l.down.kicked)
	if l.client != nil {
		l.client.SetReadDeadline(past)
	}
	return kicks
}

// awaitNotice waits until both directions have noticed that many kicks.
func (l *Link) awaitNotice(kicks uint64, timeUp <-chan struct{}) {
	l.mu.Lock()
	relayed := l.client != nil
	l.mu.Unlock()
	if relayed {
		l.up.awaitNotice(kicks, timeUp)
		l.down.awaitNotice(kicks, timeUp)
	}
}
