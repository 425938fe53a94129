//go:build linux

package trouble

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/rawserver"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Large names a large response that the tunnel rewrites.
type Large string

// The large responses.
const (
	LargeProduce     Large = "Produce of 15.9 MiB"
	LargeCoordinator Large = "FindCoordinator of 1 MiB"
	HugeCoordinator  Large = "FindCoordinator of 5 MiB"
	LargeMetadata    Large = "Metadata of 10 MiB"
	LargeHeaderTag   Large = "FindCoordinator with a header tag of 5 MiB"
)

// Larges returns all of them.
func Larges() []Large {
	return []Large{LargeProduce, LargeCoordinator, HugeCoordinator, LargeMetadata, LargeHeaderTag}
}

// response returns a large response without its header, and its size.
func (l Large) response() (r kmsg.Response, headerTag int) {
	switch l {
	case LargeProduce:
		r := kmsg.NewPtrProduceResponse()
		r.Version = 12
		topic := kmsg.NewProduceResponseTopic()
		text := strings.Repeat("e", 1000)
		for i := range int32(15_900_000 * 1049 / 1000 / 1000) {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition, p.ErrorMessage = i, &text
			topic.Partitions = append(topic.Partitions, p)
		}
		r.Topics = append(r.Topics, topic)
		node := kmsg.NewProduceResponseBroker()
		node.NodeID, node.Host, node.Port = 1, brokerHost, brokerPort
		r.Brokers = append(r.Brokers, node)
		return r, 0
	case LargeMetadata:
		r := kmsg.NewPtrMetadataResponse()
		r.Version = 12
		for i := range int32(3) {
			b := kmsg.NewMetadataResponseBroker()
			b.NodeID, b.Host, b.Port = i, brokerHost, brokerPort
			r.Brokers = append(r.Brokers, b)
		}
		for range 10 << 10 {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic = kmsg.StringPtr(strings.Repeat("t", 990))
			r.Topics = append(r.Topics, topic)
		}
		return r, 0
	case LargeCoordinator:
		return coordinators(1 << 20), 0
	case HugeCoordinator:
		return coordinators(5 << 20), 0
	default:
		return coordinators(1 << 10), 5 << 20
	}
}

// coordinators is a response for many groups on three brokers.
func coordinators(size int) kmsg.Response {
	r := kmsg.NewPtrFindCoordinatorResponse()
	r.Version = 6
	for i := range size / 107 {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID, c.Host, c.Port = fmt.Sprintf("%064d", i), int32(i%3), brokerHost, brokerPort
		r.Coordinators = append(r.Coordinators, c)
	}
	return r
}

// A largeBroker answers one API with a large response, and everything else with a small one.
type largeBroker struct {
	*rawserver.Server
	key     int16
	version int16
	body    []byte // after the correlation id
	trickle bool
}

func startLargeBroker(large Large, trickle bool) (*largeBroker, error) {
	r, tag := large.response()
	header := []byte{0}
	if tag > 0 {
		header = append([]byte{1, 99}, binary.AppendUvarint(nil, uint64(tag))...)
		header = append(header, make([]byte, tag)...)
	}
	b := &largeBroker{key: r.Key(), version: r.GetVersion(), body: r.AppendTo(header), trickle: trickle}
	var err error
	b.Server, err = rawserver.Listen(b.answer)
	return b, err
}

// answer serves one connection.
func (b *largeBroker) answer(conn net.Conn) {
	for {
		request, err := readFrame(conn)
		if err != nil || len(request) < 8 {
			return
		}
		body := []byte{0, 0}
		if key := int16(binary.BigEndian.Uint16(request)); key == b.key || key == fetchKey {
			body = b.body
		}
		head := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
		head = append(head, request[4:8]...)
		if _, err := conn.Write(head); err != nil {
			return
		}
		for piece := range slices.Chunk(body, b.piece()) {
			if _, err := conn.Write(piece); err != nil {
				return
			}
			if b.trickle {
				<-time.After(10 * time.Millisecond)
			}
		}
	}
}

// piece is how much is written at once: a whole response then trickles in a second.
func (b *largeBroker) piece() int {
	if b.trickle {
		return len(b.body)/100 + 1
	}
	return len(b.body)
}

// fetchKey is the key of Fetch. Responses in a version without addresses pass unchanged.
const fetchKey = 1

// request returns a request for the large response. pass: the tunnel does not rewrite the
// response.
func (b *largeBroker) request(pass bool) []byte {
	key, version := b.key, b.version
	if pass {
		key, version = fetchKey, 4
	}
	request := binary.BigEndian.AppendUint16(nil, uint16(key))
	request = binary.BigEndian.AppendUint16(request, uint16(version))
	request = append(request, 0, 0, 0, 1, 0xff, 0xff, 0) // correlation id, no client id, no tags
	if key == 0 {
		request = append(request, 0, 0, 1) // no transactional id, acks=1
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...)
}

// check reads a large response to its end. It must not contain the broker's name, unless it
// passes unchanged, and must have the length of a response without it. The client searches
// for a name in both cases, because searching costs as much processor time as receiving.
func (b *largeBroker) check(conn net.Conn, pass bool) error {
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	left := int(binary.BigEndian.Uint32(head[:])) - 4
	if left < len(b.body)*3/4 {
		return fmt.Errorf("a response has %d bytes, but the broker sent %d", left, len(b.body))
	}
	name := []byte(brokerHost)
	if pass {
		name = []byte(absentHost)
	}
	buf := make([]byte, 64<<10)
	kept := 0
	for left > 0 {
		n, err := conn.Read(buf[kept:min(len(buf), kept+left)])
		if left -= n; err != nil && left > 0 {
			return fmt.Errorf("%d bytes before the end: %w", left, err)
		}
		if bytes.Contains(buf[:kept+n], name) {
			return fmt.Errorf("the response contains %s", name)
		}
		kept = copy(buf, buf[max(0, kept+n-len(name)):kept+n])
	}
	return nil
}
