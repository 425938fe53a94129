//go:build linux

package trouble

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/kafka-tunnel/kafka-tunnel/test/rawserver"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The broker's name, which only the Cloud Connector resolves, and one of equal length that
// no response contains.
const (
	brokerHost = "kafka-1.stalled.invalid"
	absentHost = "kafka-0.stalled.invalid"
	brokerPort = 9092
)

// tailSize is more than the length of a Fetch response after its records, where the tunnel
// rewrites an address.
const tailSize = 256

// broker is a raw server that answers every Fetch with the same large response, and everything
// else with a small one.
type broker struct {
	*rawserver.Server
	sending int              // SO_SNDBUF, 0: the kernel's default
	bodies  map[int16][]byte // Fetch responses by version, without the correlation id
}

// startBroker starts a broker whose responses have the given number of bytes of records, in
// each of the versions.
func startBroker(size, sending int, versions ...int16) (*broker, error) {
	b := &broker{sending: sending, bodies: map[int16][]byte{}}
	records := noise(size)
	for _, v := range versions {
		b.bodies[v] = fetchResponse(v, records)
	}
	var err error
	b.Server, err = rawserver.Listen(b.answer)
	return b, err
}

// noise returns bytes in which every block of eight is its own number, so misplaced bytes are
// detected.
func noise(size int) []byte {
	out := make([]byte, 0, size+8)
	for i := uint64(0); len(out) < size; i++ {
		out = binary.BigEndian.AppendUint64(out, i*0x9e3779b97f4a7c15)
	}
	return out[:size]
}

// fetchResponse returns the response after the correlation id.
func fetchResponse(version int16, records []byte) []byte {
	p := kmsg.NewFetchResponseTopicPartition()
	p.HighWatermark, p.LastStableOffset, p.RecordBatches = 1, 1, records
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic, topic.TopicID, topic.Partitions = "stalled", [16]byte{1}, []kmsg.FetchResponseTopicPartition{p}
	r := kmsg.NewPtrFetchResponse()
	r.Version, r.Topics = version, []kmsg.FetchResponseTopic{topic}
	if version >= 16 { // the addresses of leaders, after the records (KIP-951)
		node := kmsg.NewFetchResponseBroker()
		node.NodeID, node.Host, node.Port = 1, brokerHost, brokerPort
		r.Brokers = []kmsg.FetchResponseBroker{node}
	}
	out := make([]byte, 0, len(records)+1024)
	if r.IsFlexible() {
		out = append(out, 0) // header tags
	}
	return r.AppendTo(out)
}

// answer serves one connection.
func (b *broker) answer(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok && b.sending > 0 {
		_ = tcp.SetWriteBuffer(b.sending)
	}
	for {
		request, err := readFrame(conn)
		if err != nil || len(request) < 8 {
			return
		}
		key, version := binary.BigEndian.Uint16(request), int16(binary.BigEndian.Uint16(request[2:]))
		body := b.bodies[version]
		if key != 1 || body == nil {
			body = []byte{0, 0}
		}
		head := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
		head = append(head, request[4:8]...)
		if _, err := (&net.Buffers{head, body}).WriteTo(conn); err != nil {
			return
		}
	}
}

// readFrame reads a frame of a request.
func readFrame(conn net.Conn) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 1<<20 {
		return nil, fmt.Errorf("a request has %d bytes", n)
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(conn, frame)
	return frame, err
}

// A fetch is one Fetch request with its response, as the client sees it.
type fetch struct {
	conn     net.Conn
	version  int16
	want     []byte // from the correlation id on
	have     int
	buf      []byte
	lastTail []byte
}

// send sends the request and reads the size of the response.
func (b *broker) send(conn net.Conn, version int16, correlation uint32) (*fetch, error) {
	request := []byte{0, 0, 0, 11, 0, 1, 0, byte(version)}
	request = binary.BigEndian.AppendUint32(request, correlation)
	request = append(request, 0xff, 0xff, 0) // no client id, and no tags
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	f := &fetch{conn: conn, version: version, want: b.bodies[version], buf: make([]byte, 64<<10)}
	if size := binary.BigEndian.Uint32(head[:]); int(size) != 4+len(f.want) {
		return nil, fmt.Errorf("a response has %d bytes, not %d", size, 4+len(f.want))
	}
	if got := binary.BigEndian.Uint32(head[4:]); got != correlation {
		return nil, fmt.Errorf("correlation id %d, not %d", got, correlation)
	}
	return f, nil
}

// read reads until the given number of bytes has arrived, and compares them with those that the
// broker sent, except for the tail, which may be rewritten and must not name the broker.
func (f *fetch) read(upTo int) error {
	records := len(f.want) - tailSize
	for f.have < upTo {
		n, err := f.conn.Read(f.buf[:min(len(f.buf), upTo-f.have)])
		got := f.buf[:n]
		plain := min(max(records-f.have, 0), n)
		if !bytes.Equal(got[:plain], f.want[f.have:f.have+plain]) {
			return fmt.Errorf("the bytes from %d to %d differ from those of the broker", f.have, f.have+plain)
		}
		f.lastTail = append(f.lastTail, got[plain:]...)
		f.have += n
		if err != nil && f.have < upTo {
			return fmt.Errorf("after %d of %d bytes: %w", f.have, len(f.want), err)
		}
	}
	if f.have == len(f.want) && bytes.Contains(f.lastTail, []byte(brokerHost)) {
		return fmt.Errorf("the response contains %s", brokerHost)
	}
	return nil
}

// rest reads to the end. The connection can be used for more requests.
func (f *fetch) rest() error {
	if err := f.read(len(f.want)); err != nil {
		return err
	}
	if f.version < 16 && !slices.Equal(f.lastTail, f.want[len(f.want)-tailSize:]) {
		return fmt.Errorf("the end of the response differs from that of the broker")
	}
	return nil
}
