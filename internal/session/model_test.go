package session

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// The model runs a random program of pipelined requests through a session whose broker
// answers from a script. The test compares what broker and client receive with the
// scripts themselves, with addresses replaced.

// exchange is one request of a program with its expected effects.
type exchange struct {
	request  []byte // the whole frame
	local    bool   // the tunnel answers; the broker never sees it
	response []byte // whole frame as the broker writes it; nil: none
	// check compares what the client received; nil: it must equal response.
	check func(got []byte) error
}

// program draws 1 to 200 exchanges.
func program(t *rapid.T) []exchange {
	var out []exchange
	n := rapid.IntRange(1, 200).Draw(t, "requests")
	if rapid.IntRange(0, 3).Draw(t, "short") > 0 { // most programs are short
		n = min(n, 12)
	}
	for correlation := int32(1); len(out) < n; correlation++ {
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0, 1:
			out = append(out, passed(t, correlation))
		case 2, 3, 4:
			out = append(out, rewritten(t, correlation))
		case 5:
			out = append(out, exchange{request: produce(correlation, 0, text(t, 0, 300))})
		case 6:
			r := exchange{request: request(kafka.KeyApiVersions, int16(rapid.IntRange(6, 99).Draw(t, "version")), correlation, text(t, 0, 100)), local: true}
			r.response = kafka.AppendApiVersionsTooNew(nil, correlation)
			out = append(out, r)
		case 7:
			key := int16(rapid.IntRange(95, 0x5fff).Draw(t, "unknown key"))
			out = append(out, exchange{
				request:  request(key, int16(rapid.IntRange(0, 1000).Draw(t, "version")), correlation, text(t, 0, 100)),
				response: response(correlation, text(t, 0, 100)),
			})
		case 8:
			out = append(out, sasl(t, &correlation)...)
		case 9:
			out = append(out, exchange{request: produce(correlation, 1, "app"), response: response(correlation, text(t, 0, 50))})
		}
	}
	return out
}

func text(t *rapid.T, least, most int) string {
	return strings.Repeat("x", rapid.IntRange(least, most).Draw(t, "length"))
}

func passed(t *rapid.T, correlation int32) exchange {
	size := 200
	if rapid.IntRange(0, 20).Draw(t, "large") == 0 {
		size = 2 * relay.BufferSize
	}
	return exchange{request: request(heartbeat, 0, correlation, text(t, 0, size)), response: response(correlation, text(t, 0, size))}
}

// sasl is a handshake in version 0 with bare tokens, some without an answer.
func sasl(t *rapid.T, correlation *int32) []exchange {
	refused := rapid.Bool().Draw(t, "refused")
	code := "\x00\x00"
	if refused {
		code = "\x00\x21"
	}
	out := []exchange{{request: request(kafka.KeySaslHandshake, 0, *correlation, "\x00\x05PLAIN"), response: response(*correlation, code+"\x00\x00\x00\x00")}}
	*correlation++
	if refused {
		return out
	}
	for range rapid.IntRange(1, 3).Draw(t, "tokens") {
		out = append(out, exchange{request: bare("\x00user\x00secret"[:rapid.SampledFrom([]int{0, 3, 12}).Draw(t, "token")]), response: bare("n,,answer"[:rapid.IntRange(0, 9).Draw(t, "answer")])})
	}
	if rapid.Bool().Draw(t, "silent end") {
		out[len(out)-1].response = nil
	}
	// A request with an answer ends the exchange.
	return append(out, passed(t, *correlation))
}

func bare(token string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)
}

// address is one broker address of a message.
type address struct {
	node int32
	host *string
	port *int32
}

// rewritten is an exchange of one of the seven APIs with addresses.
func rewritten(t *rapid.T, correlation int32) exchange {
	key := rapid.SampledFrom(rewrittenKeys()).Draw(t, "key")
	req := kmsg.RequestForKey(key)
	least := map[int16]int16{kafka.KeyProduce: 10, kafka.KeyFetch: 16, kafka.KeyShareFetch: 1, kafka.KeyShareAcknowledge: 1}[key]
	api, _ := kafka.Lookup(key)
	version := int16(rapid.IntRange(int(least), int(api.MaxVersion)).Draw(t, "version"))
	resp := req.ResponseKind()
	resp.SetVersion(version)
	fill(t, resp)
	body := resp.AppendTo(nil)
	if resp.IsFlexible() && key != kafka.KeyApiVersions {
		body = append([]byte{0}, body...) // header tags
	}
	for _, a := range addresses(resp) {
		*a.host, *a.port = "localhost", 19100+a.node
	}
	want := resp.AppendTo(nil)
	out := exchange{response: response(correlation, string(body))}
	if key == kafka.KeyProduce {
		out.request = produceV9(correlation, version)
	} else {
		out.request = request(key, version, correlation, text(t, 0, 100))
	}
	out.check = func(got []byte) error {
		if !bytes.Equal(got[4:8], out.response[4:8]) {
			return errors.New("another correlation id")
		}
		rest := got[8:]
		if resp.IsFlexible() {
			rest = rest[1:]
		}
		seen := req.ResponseKind()
		seen.SetVersion(version)
		if err := seen.ReadFrom(rest); err != nil {
			return err
		}
		unpad(seen)
		if again := seen.AppendTo(nil); !bytes.Equal(again, want) {
			return fmt.Errorf("%s v%d: got %x, want %x", kafka.Name(key), version, again, want)
		}
		return nil
	}
	return out
}

func rewrittenKeys() []int16 {
	return []int16{
		kafka.KeyMetadata, kafka.KeyFindCoordinator, kafka.KeyDescribeCluster, kafka.KeyProduce,
		kafka.KeyFetch, kafka.KeyShareFetch, kafka.KeyShareAcknowledge,
	}
}

// produceV9 is a Produce request with acks=1 in a flexible version.
//
//	size | key 0 | version | correlation | client id null | tags | transactional id null | acks 1 | rest
func produceV9(correlation int32, version int16) []byte {
	return request(kafka.KeyProduce, version, correlation, "\x00\x00\x00\x01rest")
}

// fill gives a response one to three brokers and random other content.
func fill(t *rapid.T, resp kmsg.Response) {
	n := rapid.IntRange(1, 3).Draw(t, "brokers")
	host := func(i int) string { return fmt.Sprintf("kafka-%d.onprem.corp", i) }
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range n {
			b := kmsg.NewMetadataResponseBroker()
			b.NodeID, b.Host, b.Port = int32(i), host(i), 9092
			r.Brokers = append(r.Brokers, b)
		}
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = kmsg.StringPtr(text(t, 1, 300))
		r.Topics = append(r.Topics, topic)
	case *kmsg.FindCoordinatorResponse:
		if r.Version < 4 {
			r.NodeID, r.Host, r.Port = 1, host(1), 9092
			return
		}
		for i := range n {
			c := kmsg.NewFindCoordinatorResponseCoordinator()
			c.Key, c.NodeID, c.Host, c.Port = "group", int32(i), host(i), 9092
			r.Coordinators = append(r.Coordinators, c)
		}
	case *kmsg.DescribeClusterResponse:
		if r.Version >= 1 {
			r.EndpointType = 1
		}
		for i := range n {
			b := kmsg.NewDescribeClusterResponseBroker()
			b.NodeID, b.Host, b.Port = int32(i), host(i), 9092
			r.Brokers = append(r.Brokers, b)
		}
	case *kmsg.ProduceResponse:
		for i := range n {
			b := kmsg.NewProduceResponseBroker()
			b.NodeID, b.Host, b.Port = int32(i), host(i), 9092
			r.Brokers = append(r.Brokers, b)
		}
	case *kmsg.FetchResponse:
		topic := kmsg.NewFetchResponseTopic()
		partition := kmsg.NewFetchResponseTopicPartition()
		partition.RecordBatches = records(t)
		topic.Partitions = append(topic.Partitions, partition)
		r.Topics = append(r.Topics, topic)
		for i := range n {
			b := kmsg.NewFetchResponseBroker()
			b.NodeID, b.Host, b.Port = int32(i), host(i), 9092
			r.Brokers = append(r.Brokers, b)
		}
	case *kmsg.ShareFetchResponse:
		topic := kmsg.NewShareFetchResponseTopic()
		partition := kmsg.NewShareFetchResponseTopicPartition()
		partition.Records = records(t)
		topic.Partitions = append(topic.Partitions, partition)
		r.Topics = append(r.Topics, topic)
		for i := range n {
			b := kmsg.NewShareFetchResponseNodeEndpoint()
			b.NodeID, b.Host, b.Port = int32(i), host(i), 9092
			r.NodeEndpoints = append(r.NodeEndpoints, b)
		}
	case *kmsg.ShareAcknowledgeResponse:
		for i := range n {
			b := kmsg.NewShareAcknowledgeResponseNodeEndpoint()
			b.NodeID, b.Host, b.Port = int32(i), host(i), 9092
			r.NodeEndpoints = append(r.NodeEndpoints, b)
		}
	}
}

func records(t *rapid.T) []byte {
	size := 1000
	if rapid.IntRange(0, 20).Draw(t, "large") == 0 {
		size = 2 * relay.BufferSize
	}
	return []byte(text(t, 0, size))
}

func addresses(resp kmsg.Response) (out []address) {
	add := func(node int32, host *string, port *int32) { out = append(out, address{node, host, port}) }
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range r.Brokers {
			add(r.Brokers[i].NodeID, &r.Brokers[i].Host, &r.Brokers[i].Port)
		}
	case *kmsg.FindCoordinatorResponse:
		if r.Version < 4 {
			add(r.NodeID, &r.Host, &r.Port)
		}
		for i := range r.Coordinators {
			add(r.Coordinators[i].NodeID, &r.Coordinators[i].Host, &r.Coordinators[i].Port)
		}
	case *kmsg.DescribeClusterResponse:
		for i := range r.Brokers {
			add(r.Brokers[i].NodeID, &r.Brokers[i].Host, &r.Brokers[i].Port)
		}
	case *kmsg.ProduceResponse:
		for i := range r.Brokers {
			add(r.Brokers[i].NodeID, &r.Brokers[i].Host, &r.Brokers[i].Port)
		}
	case *kmsg.FetchResponse:
		for i := range r.Brokers {
			add(r.Brokers[i].NodeID, &r.Brokers[i].Host, &r.Brokers[i].Port)
		}
	case *kmsg.ShareFetchResponse:
		for i := range r.NodeEndpoints {
			add(r.NodeEndpoints[i].NodeID, &r.NodeEndpoints[i].Host, &r.NodeEndpoints[i].Port)
		}
	case *kmsg.ShareAcknowledgeResponse:
		for i := range r.NodeEndpoints {
			add(r.NodeEndpoints[i].NodeID, &r.NodeEndpoints[i].Host, &r.NodeEndpoints[i].Port)
		}
	}
	return out
}

// unpad removes the unknown tag with which the walker pads the bytes that a shorter
// address leaves free.
func unpad(resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.FetchResponse:
		r.UnknownTags = kmsg.Tags{}
	case *kmsg.ShareFetchResponse:
		r.UnknownTags = kmsg.Tags{}
	}
}

// ending defines after how many bytes client and broker close.
type ending struct {
	clientAfter int // bytes written by the client before it closes; -1: after everything
	brokerAfter int // bytes written by the broker before it closes; -1: never
}

// modelRuns is how many runs share the programs. They run in parallel, because they
// mostly wait.
const modelRuns = 5

func TestModel(t *testing.T) {
	for i := range modelRuns {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			switch i {
			case 0, 2:
				runModel(t, false, nil)
			case 1, 3:
				runModel(t, true, nil)
			default:
				runModel(t, true, overTLS(t))
			}
		})
	}
}

// overTLS returns a function that puts TLS between a session and its broker.
func overTLS(t *testing.T) func(t *rapid.T, upstream, broker net.Conn) (net.Conn, net.Conn) {
	t.Helper()
	issuer, err := authority.New("a test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := issuer.Issue(authority.Request{Names: []string{"broker"}})
	if err != nil {
		t.Fatal(err)
	}
	config := secure.Config(issuer.Roots())
	server := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	ctx := t.Context()
	return func(t *rapid.T, upstream, broker net.Conn) (net.Conn, net.Conn) {
		far := tls.Server(broker, server)
		done := make(chan error, 1)
		go func() { done <- far.Handshake() }()
		near, err := secure.Client(ctx, upstream, config, secure.Peer{ServerName: "broker"})
		if err := errors.Join(err, <-done); err != nil {
			t.Fatal(err)
		}
		return near, far
	}
}

// runModel runs one share of the programs. With parks, the pumps park as often as they
// can.
func runModel(t *testing.T, parks bool, secured func(t *rapid.T, upstream, broker net.Conn) (net.Conn, net.Conn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	connect := func(t *rapid.T) (near, far *net.TCPConn) {
		a, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return a.(*net.TCPConn), b.(*net.TCPConn)
	}
	h := &Handler{Mapper: kafka.MapperFunc(toLocalhost), Hold: time.Minute, Stall: time.Minute, Tap: &tap.Tap{}}
	if parks {
		h.every = 50 * time.Microsecond
	}
	parent := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		p := program(t)
		end := ending{-1, -1}
		switch rapid.IntRange(0, 7).Draw(t, "end") {
		case 0:
			end.clientAfter = rapid.IntRange(0, 500).Draw(t, "client closes after")
		case 1:
			end.brokerAfter = rapid.IntRange(0, 500).Draw(t, "broker closes after")
		}
		up, down := drawPattern(t, "up"), drawPattern(t, "down")
		client, inner := connect(t)
		var upstream, broker net.Conn
		upstream, broker = connect(t)
		if secured != nil {
			upstream, broker = secured(t, upstream, broker)
		}
		var run sync.WaitGroup
		var viewer *tap.Viewer
		if rapid.Bool().Draw(t, "watched") {
			viewer = h.Tap.Watch(tap.Filter{Bodies: true, Records: true})
			defer viewer.Close()
		}
		over := make(chan Summary, 1)
		run.Go(func() {
			h.Serve(parent, inner, &owner{dial: to(upstream), over: over, name: tap.Connection{Node: "1"}})
		})
		m := &model{p: p, end: end, problem: make(chan error, 4)}
		run.Go(func() { m.broker(broker, down) })
		written := make(chan struct{})
		run.Go(func() {
			m.write(client, up)
			close(written)
		})
		if m.read(client) {
			<-written
		}
		_ = client.Close()
		summary := <-over
		_ = upstream.Close() // no one else closes it if the client left before the dial
		run.Wait()
		select {
		case err := <-m.problem:
			t.Fatalf("%v (the session ended with %s %v)", err, summary.Result, summary.Err)
		default:
		}
		if viewer != nil {
			if err := m.shown(viewer); err != nil {
				t.Fatal(err)
			}
		}
		if end == (ending{-1, -1}) && summary.Err != nil {
			t.Fatalf("the session ended with %s %v", summary.Result, summary.Err)
		}
	})
}

// A writePattern defines how one side writes: the sizes of its writes and the pauses
// after them, each used in turn.
type writePattern struct {
	sizes  []int
	pauses []time.Duration
}

func drawPattern(t *rapid.T, name string) writePattern {
	r := writePattern{sizes: rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(1, 3*relay.BufferSize)), 1, 8).Draw(t, name)}
	for _, n := range rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 200}), 1, 8).Draw(t, name+" pauses") {
		r.pauses = append(r.pauses, time.Duration(n)*time.Microsecond)
	}
	return r
}

// pausesTaken bounds the pauses of one side of a program.
const pausesTaken = 8

type model struct {
	p       []exchange
	end     ending
	problem chan error
}

func (m *model) fail(format string, args ...any) {
	select {
	case m.problem <- fmt.Errorf(format, args...):
	default:
	}
}

// pieces writes b in pieces. It returns false when the side's byte limit is reached or
// a write fails.
func pieces(conn net.Conn, b []byte, r writePattern, turn *int, left *int) bool {
	for len(b) > 0 {
		n := min(r.sizes[*turn%len(r.sizes)], len(b))
		if pause := r.pauses[*turn%len(r.pauses)]; pause > 0 && *turn < pausesTaken {
			<-time.After(pause)
		}
		if *turn > 2000 { // enough small writes: a program must not take seconds
			n = len(b)
		}
		*turn++
		if *left >= 0 && n >= *left {
			_, _ = conn.Write(b[:*left])
			return false
		}
		if _, err := conn.Write(b[:n]); err != nil {
			return false
		}
		if *left >= 0 {
			*left -= n
		}
		b = b[n:]
	}
	return true
}

// write is the client's writing half.
func (m *model) write(conn *net.TCPConn, r writePattern) {
	var all []byte
	for _, e := range m.p {
		all = append(all, e.request...)
	}
	turn, left := 0, m.end.clientAfter
	if !pieces(conn, all, r, &turn, &left) {
		_ = conn.CloseWrite()
	}
}

// read is the client's reading half. It compares the responses and reports whether all
// of them arrived.
func (m *model) read(conn *net.TCPConn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	whole := m.end == ending{-1, -1}
	for i, e := range m.p {
		if e.response == nil {
			continue
		}
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			if whole {
				m.fail("client: response %d of %d: %v", i, len(m.p), err)
			}
			return false
		}
		got := make([]byte, 4+binary.BigEndian.Uint32(size[:]))
		copy(got, size[:])
		if _, err := io.ReadFull(conn, got[4:]); err != nil {
			if whole {
				m.fail("client: inside response %d of %d: %v", i, len(m.p), err)
			}
			return false
		}
		check := e.check
		if check == nil {
			check = func([]byte) error { return nil }
			if !bytes.Equal(got, e.response) {
				m.fail("client: response %d: got %d bytes, want %d, equal or not in content", i, len(got), len(e.response))
				return false
			}
		}
		if err := check(got); err != nil {
			m.fail("client: response %d: %v", i, err)
			return false
		}
	}
	return true
}

// broker reads the requests that it should receive, compares them and answers.
func (m *model) broker(conn net.Conn, r writePattern) {
	defer func() { _ = conn.Close() }()
	answers := make(chan []byte, len(m.p))
	var writer sync.WaitGroup
	writer.Go(func() {
		turn, left := 0, m.end.brokerAfter
		for b := range answers {
			if !pieces(conn, b, r, &turn, &left) {
				_ = conn.Close()
				for range answers {
					continue // drop the rest
				}
				return
			}
		}
	})
	defer writer.Wait()
	defer close(answers)
	for i, e := range m.p {
		if e.local {
			continue
		}
		got := make([]byte, len(e.request))
		if n, err := io.ReadFull(conn, got); err != nil {
			if m.end == (ending{-1, -1}) {
				m.fail("broker: request %d of %d: %v", i, len(m.p), err)
			} else if !bytes.Equal(got[:n], e.request[:n]) {
				m.fail("broker: request %d: other bytes", i)
			}
			return
		}
		if !bytes.Equal(got, e.request) {
			m.fail("broker: request %d: other bytes", i)
			return
		}
		if e.response != nil {
			answers <- e.response
		}
	}
	rest, _ := io.ReadAll(conn)
	if len(rest) > 0 {
		m.fail("broker: %d bytes too many", len(rest))
	}
}
