//go:build conformance

package conformance

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A relay is between the Cloud Connector and one broker. It records the requests and the new
// leaders that the broker names (KIP-951), and holds Metadata responses on request.
type relay struct {
	id     int32
	broker string
	l      net.Listener
	watch  *watch
	conns  sync.WaitGroup
}

// watch is shared by the relays of a cluster.
type watch struct {
	mu    sync.Mutex
	held  chan struct{} // closed when Metadata may pass; nil: it may
	seen  map[sight]int
	named map[int16]int                                      // API key to number of responses that named a new leader
	keep  func(key, version int16, request, response []byte) // nil: frames are not kept
	news  chan struct{}                                      // closed and replaced at each change
}

// A sight is a request of an API at a broker.
type sight struct {
	broker int32
	key    int16
}

func newWatch() *watch {
	return &watch{seen: map[sight]int{}, named: map[int16]int{}, news: make(chan struct{})}
}

func (w *watch) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.news)
	w.news = make(chan struct{})
}

// hold holds Metadata responses until the returned function is called.
func (w *watch) hold() (release func()) {
	held := make(chan struct{})
	w.mu.Lock()
	w.held = held
	w.mu.Unlock()
	return sync.OnceFunc(func() {
		w.mu.Lock()
		w.held = nil
		w.mu.Unlock()
		close(held)
	})
}

// count returns how many requests of an API a broker received, and a channel for the next
// change.
func (w *watch) count(broker int32, key int16) (n int, news <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[sight{broker, key}], w.news
}

func startRelay(t *testing.T, id int32, broker string, w *watch) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{id: id, broker: broker, l: l, watch: w}
	r.conns.Go(r.accept)
	t.Cleanup(func() { _ = l.Close() })
	return r
}

func (r *relay) accept() {
	for {
		client, err := r.l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", r.broker)
		if err != nil {
			_ = client.Close()
			continue
		}
		asked := make(chan []byte, 10_000)
		go r.requests(client, up, asked)
		go r.responses(client, up, asked)
	}
}

// frame reads one frame with its size.
func frame(conn net.Conn) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, 4+binary.BigEndian.Uint32(size[:]))
	copy(b, size[:])
	_, err := io.ReadFull(conn, b[4:])
	return b, err
}

func (r *relay) requests(client, up net.Conn, asked chan<- []byte) {
	defer func() { _ = up.Close() }()
	defer close(asked)
	for {
		b, err := frame(client)
		if err != nil {
			return
		}
		key, _ := keyOf(b)
		asked <- b // no client of these tests sends acks=0
		r.watch.note(func() { r.watch.seen[sight{r.id, key}]++ })
		if _, err := up.Write(b); err != nil {
			return
		}
	}
}

// keyOf returns the API key and the version of a request.
func keyOf(b []byte) (key, version int16) {
	return int16(binary.BigEndian.Uint16(b[4:])), int16(binary.BigEndian.Uint16(b[6:]))
}

func (r *relay) responses(client, up net.Conn, asked <-chan []byte) {
	defer func() { _ = client.Close() }()
	for {
		b, err := frame(up)
		if err != nil {
			return
		}
		request, ok := <-asked
		if !ok {
			return
		}
		key, version := keyOf(request)
		if r.watch.keep != nil {
			r.watch.keep(key, version, request, b)
		}
		if key == int16(kmsg.Metadata) {
			r.watch.mu.Lock()
			held := r.watch.held
			r.watch.mu.Unlock()
			if held != nil {
				<-held
			}
		}
		if leaders(key, version, b[8:]) {
			r.watch.note(func() { r.watch.named[key]++ })
		}
		if _, err := client.Write(b); err != nil {
			return
		}
	}
}

// leaders reports whether a response names the address of a new leader.
func leaders(key, version int16, body []byte) bool {
	response := kmsg.ResponseForKey(key)
	switch response.(type) {
	case *kmsg.ProduceResponse, *kmsg.FetchResponse, *kmsg.ShareFetchResponse:
	default:
		return false
	}
	response.SetVersion(version)
	if response.IsFlexible() {
		body = body[1:] // no tags in the header of these responses
	}
	if response.ReadFrom(body) != nil {
		return false
	}
	switch r := response.(type) {
	case *kmsg.ProduceResponse:
		return len(r.Brokers) > 0
	case *kmsg.FetchResponse:
		return len(r.Brokers) > 0
	case *kmsg.ShareFetchResponse:
		return len(r.NodeEndpoints) > 0
	}
	return false
}
