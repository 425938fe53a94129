package brokers

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequest is Kafka's default limit, socket.request.max.bytes.
const maxRequest = 104857600

// headLen is how much of each frame the guard reads before it decides:
//
//	+----------+-----+---------+----------------+
//	| size (4) | key | version | correlation id |   big endian; size counts from key
//	+----------+-----+---------+----------------+
const headLen = 12

// keyApiVersions is the api key of ApiVersions.
const keyApiVersions = 18

// errRefused ends a connection whose request kfake cannot process.
var errRefused = errors.New("refused by the guard")

// An apiTable has the supported versions of each API key of kfake.
type apiTable map[int16]versions

// versions is a range, both ends included.
type versions struct{ low, high int16 }

// onlyApiVersions is the table before kfake has returned its own.
func onlyApiVersions() *apiTable { return &apiTable{keyApiVersions: {0, 0}} }

// learnAPIs requests kfake's API versions.
func (c *Cluster) learnAPIs() error {
	first := c.Brokers()[0]
	conn, err := net.Dial("tcp", first.Address())
	if err != nil {
		return fmt.Errorf("requesting the brokers' API versions: %w", err)
	}
	if a := c.opts.Authority; a != nil {
		conn = tls.Client(conn, &tls.Config{RootCAs: a.Roots(), ServerName: first.names[0], MinVersion: tls.VersionTLS12})
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	table, err := askVersions(conn)
	if err != nil {
		return fmt.Errorf("requesting the brokers' API versions: %w", err)
	}
	c.table.Store(&table)
	return nil
}

// askVersions sends ApiVersions v0 and reads the response.
func askVersions(conn net.Conn) (apiTable, error) {
	req := []byte{0, 0, 0, 10, 0, keyApiVersions, 0, 0, 0, 0, 0, 1, 0xff, 0xff} // correlation id 1, no client id
	if _, err := conn.Write(req); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > 1<<16 {
		return nil, fmt.Errorf("response of %d bytes", n)
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(conn, frame); err != nil {
		return nil, err
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	if err := resp.ReadFrom(frame[4:]); err != nil {
		return nil, err
	}
	table := make(apiTable)
	for _, k := range resp.ApiKeys {
		table[k.ApiKey] = versions{k.MinVersion, k.MaxVersion}
	}
	if table[keyApiVersions].high == 0 {
		return nil, errors.New("the response does not list ApiVersions")
	}
	return table, nil
}

// A listener is kfake's listener for a broker. Its address is the advertised one.
type listener struct {
	cluster *Cluster
	broker  *Broker
}

// listen returns the listener for the broker that kfake is creating. Start and Add have put the
// brokers into the queue and wait for kfake.
func (c *Cluster) listen(string, string) (net.Listener, error) {
	if len(c.pending) == 0 {
		return nil, errors.New("add brokers with Cluster.Add")
	}
	b := c.pending[0]
	c.pending = c.pending[1:]
	return &listener{cluster: c, broker: b}, nil
}

// Accept returns the next connection, wrapped in a guard.
func (l *listener) Accept() (net.Conn, error) {
	if l.broker.port == nil {
		<-l.broker.gone
		return nil, net.ErrClosed
	}
	conn, err := l.broker.port.AcceptTCP()
	if err != nil {
		return nil, err
	}
	l.cluster.mu.Lock()
	defer l.cluster.mu.Unlock()
	if l.cluster.closed { // Close may be waiting already
		port.Reset(conn)
		return nil, net.ErrClosed
	}
	l.cluster.conns.Add(1)
	over, plain := l.cluster.secure(l.broker, conn)
	return &guard{Conn: over, tcp: conn, blamed: plain, cluster: l.cluster, broker: l.broker}, nil
}

// Addr returns the advertised address, from which kfake takes host and port.
func (l *listener) Addr() net.Addr { return *l.broker.advertised.Load() }

// Close closes the broker's port.
func (l *listener) Close() error {
	l.broker.closing.Do(func() { close(l.broker.gone) })
	if l.broker.port != nil {
		return l.broker.port.Close()
	}
	return nil
}

// advertised is an advertised "host:port" as a net.Addr.
type advertised string

// Network returns "tcp".
func (advertised) Network() string { return "tcp" }

// String returns the address.
func (a advertised) String() string { return string(a) }

// A guard is a connection to kfake that forwards no frame which kfake cannot process. Only
// kfake's reading goroutine calls Read, one call at a time.
type guard struct {
	net.Conn
	tcp     *net.TCPConn // the underlying connection
	blamed  bool         // a fault is responsible for the following bytes
	cluster *Cluster
	broker  *Broker
	closing sync.Once

	ready []byte // bytes for kfake's next read
	left  int    // bytes of the frame that have not arrived yet
	err   error  // sticky
}

// Read returns the bytes of frames that kfake can process.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.ready) == 0 && g.left == 0 {
		if g.err == nil {
			g.err = g.nextFrame()
		}
		if g.err != nil {
			return 0, g.err
		}
	}
	if len(g.ready) > 0 {
		n := copy(p, g.ready)
		g.ready = g.ready[n:]
		return n, nil
	}
	n, err := g.Conn.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// nextFrame reads the head of a frame and decides.
func (g *guard) nextFrame() error {
	head := make([]byte, headLen)
	if _, err := io.ReadFull(g.Conn, head); err != nil {
		return err
	}
	size := int32(binary.BigEndian.Uint32(head))
	key := int16(binary.BigEndian.Uint16(head[4:]))
	version := int16(binary.BigEndian.Uint16(head[6:]))
	if size < headLen-4+2 || size > maxRequest { // 2: the client id's length
		return g.refuse("size", key, version, size)
	}
	body := int(size) - (headLen - 4)
	takes, known := (*g.cluster.table.Load())[key]
	switch {
	case key == keyApiVersions && version > takes.high:
		// Kafka does not read the body of an unknown version either.
		if _, err := io.CopyN(io.Discard, g.Conn, int64(body)); err != nil {
			return err
		}
		g.ready = futureApiVersions(head[8:])
		return nil
	case !known:
		return g.refuse("api key", key, version, size)
	case version < takes.low || version > takes.high:
		return g.refuse("version", key, version, size)
	}
	g.ready, g.left = head, body
	return nil
}

// futureApiVersions returns the frame of an ApiVersions request that has the newest body which
// kfake can read and a version that it does not support.
func futureApiVersions(correlationID []byte) []byte {
	const version = 0x7fff
	frame := []byte{0, 0, 0, 0, 0, keyApiVersions, version >> 8, version & 0xff}
	frame = append(frame, correlationID...)
	frame = append(frame, 0xff, 0xff, 0) // no client id; no tags
	req := kmsg.NewPtrApiVersionsRequest()
	req.SetVersion(req.MaxVersion())
	req.ClientSoftwareName, req.ClientSoftwareVersion = "unknown", "0"
	frame = req.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}

// refuse counts and logs a refused request.
func (g *guard) refuse(what string, key, version int16, size int32) error {
	if !g.blamed {
		g.cluster.refused.Add(1)
	}
	g.cluster.opts.Logger.Debug("request refused", "node", g.broker.id, "reason", what, "key", key, "version", version, "size", size)
	return errRefused
}

// Close closes the connection. kfake calls it twice.
func (g *guard) Close() error {
	g.closing.Do(g.cluster.conns.Done)
	g.broker.port.Release(g.tcp)
	return g.Conn.Close()
}
