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
	held      []string // faults with a count that took hold of this link
	opened    time.Time
	expires   time.Time     // of the client's token; zero: never
	active    atomic.Int64  // when bytes last came or went, Unix nanoseconds
	ended     chan struct{} // closed when both sides are

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

// First waits for the first bytes from the backend, at most for the given time,
// and returns them, up to 4 KiB. The caller passes them on before it calls
// Relay. No bytes, an early end and an error all return nil: Relay meets them
// again.
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

// Relay moves bytes both ways until both sides have ended, and closes both. The
// end of one side is passed on as it came: FIN or RST.
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
		// By itself the kernel lets these grow to many MiB for a side that does not
		// read, and the whole machine has only so much for TCP.
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

// socketBuffer is how much each socket of a link may hold, bytes.
const socketBuffer = 256 << 10

// pumpUp is the goroutine that moves the client's bytes.
func (l *Link) pumpUp(done chan<- struct{}) {
	defer close(done)
	l.up.pump()
}

// Close resets both sides. It is how a link ends that is cut.
func (l *Link) Close() { l.end(port.Reset) }

// hangUp closes both sides in good order. A side that has sent what nobody has
// read yet sees a reset all the same: that is how sockets are.
func (l *Link) hangUp() {
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
		l.registry.drop(l) // nobody calls Relay, or it finds the link dead
	}
	closeSide(l.backend)
	close(l.ended) // not before: then Relay may close both, in its own way
}

// touch notes that bytes came or went.
func (l *Link) touch() { l.active.Store(time.Now().UnixNano()) }

// idleSince returns when bytes last came or went, as far as it is known: what
// the kernel moves is seen only when it stops.
func (l *Link) idleSince() time.Time { return time.Unix(0, l.active.Load()) }

// kick makes both directions look at the faults again. Whoever kicks has changed
// the faults before. It returns the number of kicks for awaitNotice.
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
