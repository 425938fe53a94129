package connector

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
)

// listen opens a port for the time of a test.
func listen(t *testing.T) *port.Port {
	t.Helper()
	p, err := port.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// landscape returns a registry with one connector that exposes kafka:9092.
func landscape(t *testing.T, set *faults.Set, backend *port.Port) (*Registry, *Connector) {
	t.Helper()
	if backend == nil {
		backend = listen(t)
	}
	r := New(Options{Faults: set})
	t.Cleanup(r.Close)
	to := backend.Addr().(*net.TCPAddr)
	c, err := r.Add("zone", "LOC1", Entry{Host: "kafka", First: 9092, Internal: "127.0.0.1", InternalFirst: uint16(to.Port)})
	if err != nil {
		t.Fatal(err)
	}
	return r, c
}

// A way is a relayed connection with both its ends in the test's hands.
type way struct {
	registry       *Registry
	connector      *Connector
	client, broker *net.TCPConn
	done           chan struct{} // closed when Relay has returned
}

// expiring changes a target to one whose client has a token until then.
func expiring(at time.Time) func(*Target) { return func(to *Target) { to.Expires = at } }

// newWay sets up a relayed connection.
func newWay(t *testing.T, set *faults.Set, change ...func(*Target)) *way {
	t.Helper()
	backend, front := listen(t), listen(t)
	r, c := landscape(t, set, backend)
	to := Target{Tenant: "zone", LocationID: "LOC1", Host: "kafka", Port: 9092}
	for _, f := range change {
		f(&to)
	}
	l, err := r.Connect(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	w := &way{registry: r, connector: c, done: make(chan struct{})}
	w.broker, err = backend.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", front.String())
	if err != nil {
		t.Fatal(err)
	}
	w.client = conn.(*net.TCPConn)
	inner, err := front.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	go w.relay(l, inner)
	t.Cleanup(func() {
		r.Close()
		w.client.Close()
		w.broker.Close()
		<-w.done
		if n := r.Open(); n != 0 {
			t.Errorf("%d links left", n)
		}
	})
	return w
}

// relay runs the relay.
func (w *way) relay(l *Link, client *net.TCPConn) {
	defer close(w.done)
	l.Relay(client)
}

// send writes all of data.
func send(t *testing.T, conn net.Conn, data []byte) {
	t.Helper()
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
}

// expect reads exactly data.
func expect(t *testing.T, conn net.Conn, data []byte) {
	t.Helper()
	got := make([]byte, len(data))
	if _, err := io.ReadFull(conn, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("got %.40q, want %.40q", got, data)
	}
}

// add adds a fault.
func add(t *testing.T, set *faults.Set, f faults.Fault) faults.Fault {
	t.Helper()
	f, err := set.Add(f)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// newSet returns a set for the time of a test.
func newSet(t *testing.T) *faults.Set {
	set := &faults.Set{}
	t.Cleanup(set.Close)
	return set
}

// isReset reports whether a read or write error is a reset, not an orderly end.
func isReset(err error) bool { return err != nil && !errors.Is(err, io.EOF) }

func TestHalfCloseIsPassedOn(t *testing.T) {
	for _, slow := range []bool{false, true} {
		set := newSet(t)
		if slow {
			add(t, set, faults.Fault{Kind: faults.Latency, Delay: faults.Duration(time.Millisecond)})
		}
		w := newWay(t, set)
		send(t, w.client, []byte("last words"))
		w.client.CloseWrite()
		expect(t, w.broker, []byte("last words"))
		if _, err := w.broker.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("broker: %v, want EOF", err)
		}
		send(t, w.broker, []byte("the answer"))
		expect(t, w.client, []byte("the answer"))
		w.broker.Close()
		if _, err := w.client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("client: %v, want EOF", err)
		}
		<-w.done
		if s := w.connector.Stats(); s.Links != 1 || s.Up != 10 || s.Down != 10 {
			t.Errorf("stats %+v", s)
		}
	}
}

func TestResetIsPassedOn(t *testing.T) {
	for _, fromBroker := range []bool{false, true} {
		w := newWay(t, nil)
		from, to := w.client, w.broker
		if fromBroker {
			from, to = to, from
		}
		send(t, to, []byte("x"))
		expect(t, from, []byte("x"))
		port.Reset(from)
		if _, err := to.Read(make([]byte, 1)); !isReset(err) {
			t.Errorf("fromBroker=%v: %v, want a reset", fromBroker, err)
		}
		<-w.done
	}
}

func TestConnectorAwayResetsOpenLinks(t *testing.T) {
	set := newSet(t)
	w := newWay(t, set)
	f := add(t, set, faults.Fault{Kind: faults.ConnectorFailover})
	if time.Duration(f.For) != 5*time.Second {
		t.Errorf("failover takes %v", f.For)
	}
	for _, conn := range []net.Conn{w.client, w.broker} {
		if _, err := conn.Read(make([]byte, 1)); !isReset(err) {
			t.Errorf("%v, want a reset", err)
		}
	}
	<-w.done
}

func TestLinkReset(t *testing.T) {
	set := newSet(t)
	w := newWay(t, set)
	add(t, set, faults.Fault{Kind: faults.LinkReset, Target: "other:1"})
	send(t, w.client, []byte("x"))
	expect(t, w.broker, []byte("x"))
	add(t, set, faults.Fault{Kind: faults.LinkReset, Target: "kafka:9092"})
	if _, err := w.client.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("%v, want a reset", err)
	}
	if list := set.List(); len(list) != 0 {
		t.Errorf("it is in the list: %v", list)
	}
}

func TestStallOfAnOpenLink(t *testing.T) {
	set := newSet(t)
	w := newWay(t, set)
	send(t, w.client, []byte("before"))
	expect(t, w.broker, []byte("before"))
	f := add(t, set, faults.Fault{Kind: faults.Stall, Direction: faults.Up})
	send(t, w.client, []byte("during"))
	send(t, w.broker, []byte("the other direction goes on"))
	expect(t, w.client, []byte("the other direction goes on"))
	w.broker.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := w.broker.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes passed a stalled link", n)
	}
	w.broker.SetReadDeadline(time.Time{})
	set.Remove(f.ID)
	expect(t, w.broker, []byte("during"))
}

func TestCountedStallHoldsItsLinkUntilRemoved(t *testing.T) {
	set := newSet(t)
	f := add(t, set, faults.Fault{Kind: faults.Stall, Count: 1})
	stalled := newWay(t, set)
	free := newWay(t, set)
	send(t, free.client, []byte("x"))
	expect(t, free.broker, []byte("x"))
	send(t, stalled.client, []byte("y"))
	stalled.broker.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := stalled.broker.Read(make([]byte, 1)); err == nil {
		t.Error("the stalled link carries bytes")
	}
	stalled.broker.SetReadDeadline(time.Time{})
	if list := set.List(); len(list) != 1 || !list[0].Used || list[0].Hits != 1 {
		t.Errorf("list %+v", list)
	}
	set.Remove(f.ID)
	expect(t, stalled.broker, []byte("y"))
}

func TestCutWhileStalled(t *testing.T) {
	set := newSet(t)
	add(t, set, faults.Fault{Kind: faults.Stall})
	w := newWay(t, set)
	w.registry.Close()
	<-w.done
}

func TestResetAfter(t *testing.T) {
	for _, bytes := range []int64{0, 1, 5000} {
		set := newSet(t)
		w := newWay(t, set)
		// What passed before the fault does not count.
		send(t, w.broker, make([]byte, 300))
		expect(t, w.client, make([]byte, 300))
		add(t, set, faults.Fault{Kind: faults.ResetAfter, Bytes: bytes, Direction: faults.Down})
		go w.broker.Write(make([]byte, 20000))
		n, err := io.Copy(io.Discard, w.client)
		if n != bytes || !isReset(err) {
			t.Errorf("%d bytes and %v, want %d and a reset", n, err, bytes)
		}
		<-w.done
	}
}

func TestTrickleLatencyBandwidthLoseNothing(t *testing.T) {
	data := make([]byte, 3000)
	rand.Read(data)
	for _, f := range []faults.Fault{
		{Kind: faults.Trickle},
		{Kind: faults.Latency, Delay: faults.Duration(3 * time.Millisecond)},
		{Kind: faults.Bandwidth, Rate: 100_000},
	} {
		t.Run(string(f.Kind), func(t *testing.T) {
			set := newSet(t)
			add(t, set, f)
			w := newWay(t, set)
			began := time.Now()
			go send2(w.client, data)
			go send2(w.broker, data)
			for _, conn := range []net.Conn{w.broker, w.client} {
				got, err := io.ReadAll(conn)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes and %v", len(got), err)
				}
			}
			// A lower bound can be asserted without a clock that is exact.
			switch took := time.Since(began); {
			case f.Kind == faults.Latency && took < time.Duration(f.Delay):
				t.Errorf("took %v", took)
			case f.Kind == faults.Bandwidth && took < 10*time.Millisecond:
				t.Errorf("3000 bytes at 100 kB/s took %v", took)
			}
		})
	}
}

// send2 writes all of data and ends the direction.
func send2(conn *net.TCPConn, data []byte) {
	conn.Write(data)
	conn.CloseWrite()
}

// TestFaultsComeAndGoDuringATransfer switches between the kernel's path and the
// slow one again and again: not a byte is lost or out of order.
func TestFaultsComeAndGoDuringATransfer(t *testing.T) {
	set := newSet(t)
	w := newWay(t, set)
	data := make([]byte, 4<<20)
	rand.Read(data)
	go send2(w.broker, data)
	kinds := []faults.Fault{
		{Kind: faults.Stall},
		{Kind: faults.Latency, Delay: faults.Duration(100 * time.Microsecond)},
		{Kind: faults.Trickle, Direction: faults.Down},
		{Kind: faults.Bandwidth, Rate: 1 << 30},
		{Kind: faults.ResetAfter, Bytes: 1 << 40},
	}
	var got bytes.Buffer
	for i := 0; got.Len() < len(data); i++ {
		f := add(t, set, kinds[i%len(kinds)])
		if f.Kind == faults.Stall {
			set.Remove(f.ID)
		}
		want := min(100<<10, len(data)-got.Len())
		if f.Kind == faults.Trickle {
			want = min(100, want)
		}
		if _, err := io.CopyN(&got, w.client, int64(want)); err != nil {
			t.Fatal(err)
		}
		set.Clear()
	}
	if !bytes.Equal(got.Bytes(), data) {
		t.Error("the bytes differ")
	}
}

func TestFirst(t *testing.T) {
	backend := listen(t)
	r, _ := landscape(t, nil, backend)
	for _, talks := range []bool{true, false} {
		l, err := r.Connect(t.Context(), Target{Tenant: "zone", LocationID: "LOC1", Host: "kafka", Port: 9092})
		if err != nil {
			t.Fatal(err)
		}
		broker, err := backend.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		wait := time.Millisecond
		if talks {
			send(t, broker, []byte("220 hello"))
			wait = time.Minute
		}
		if got := l.First(wait); (string(got) == "220 hello") != talks {
			t.Errorf("talks=%v: %q", talks, got)
		}
		if l.Internal() != backend.String() {
			t.Errorf("internal %s", l.Internal())
		}
		l.Close()
		broker.Close()
	}
}
