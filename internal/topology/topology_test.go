package topology

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ports is a Binder without sockets.
type ports struct {
	mu    sync.Mutex
	taken map[uint16]bool // by other processes
	full  bool            // no descriptor is left
	calls int             // of Bind
	inUse func()          // called by Bind, without mu; nil: nothing
	bound map[uint16]bool
	conns map[uint16]int
	next  uint16
}

func newPorts(taken ...uint16) *ports {
	p := &ports{taken: map[uint16]bool{}, bound: map[uint16]bool{}, conns: map[uint16]int{}, next: 40000}
	for _, port := range taken {
		p.taken[port] = true
	}
	return p
}

func (p *ports) Bind(port uint16) (uint16, error) {
	if p.inUse != nil {
		p.inUse()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.full {
		return 0, syscall.EMFILE
	}
	if port == 0 {
		p.next++
		port = p.next
	}
	if p.taken[port] || p.bound[port] {
		return 0, errors.New("address already in use")
	}
	p.bound[port] = true
	return port, nil
}

func (p *ports) Connections(port uint16) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[port]
}

func (p *ports) Owns(port uint16) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bound[port] || port == 9092
}

// cluster returns a topology and the codes that it reports. Only one goroutine may use
// them.
func cluster(p *ports, change func(*Options)) (*Topology, *[]failure.Code) {
	var codes []failure.Code
	opts := Options{
		Advertise: "localhost", First: 19100, Last: 19199,
		Names: Names{
			LocationID: "LOC1",
			Bootstrap:  []hostport.Target{{Host: "kafka-1.corp", Port: 9092, LocationID: "LOC1"}, {Host: "kafka-2.corp", Port: 9092, LocationID: "LOC1"}},
		},
		Binder: p,
		Report: func(f *failure.Failure) { codes = append(codes, f.Code) },
	}
	if change != nil {
		change(&opts)
	}
	return New(opts), &codes
}

// learn maps one response that names these nodes. It returns the local port of each id,
// 0 for a hidden node.
func learn(t *testing.T, topo *Topology, ids ...int32) map[int32]int32 {
	t.Helper()
	eps := make([]kafka.Endpoint, len(ids))
	for i, id := range ids {
		eps[i] = kafka.Endpoint{NodeID: id, Host: fmt.Sprintf("kafka-%d.onprem.corp", id), Port: 9092}
	}
	if err := topo.Map(eps); err != nil {
		t.Fatal(err)
	}
	got := map[int32]int32{}
	for _, e := range eps {
		got[e.NodeID] = e.Port
		if e.Hidden {
			got[e.NodeID] = 0
		} else if e.Host != "localhost" {
			t.Errorf("node %d got host %q", e.NodeID, e.Host)
		}
	}
	return got
}

func TestPlacement(t *testing.T) {
	tests := []struct {
		name  string
		last  uint16
		taken []uint16
		ids   []int32
		want  map[int32]int32
	}{
		{"homes", 19199, nil, []int32{1, 2, 3}, map[int32]int32{1: 19101, 2: 19102, 3: 19103}},
		{"home by modulus", 19199, nil, []int32{1001, 70000}, map[int32]int32{1001: 19101, 70000: 19100}},
		{"displaced nodes take the highest ports", 19199, nil, []int32{70000, 1001, 2, 1, 101}, map[int32]int32{1: 19101, 2: 19102, 101: 19199, 1001: 19198, 70000: 19100}},
		{"a taken home", 19199, []uint16{19101, 19199}, []int32{1, 2}, map[int32]int32{1: 19198, 2: 19102}},
		{"free homes are taken last", 19109, nil, []int32{1, 11, 21}, map[int32]int32{1: 19101, 11: 19109, 21: 19108}},
		{"fewer ports than nodes", 19101, nil, []int32{1, 2, 3}, map[int32]int32{1: 19101, 2: 19100, 3: 0}},
		{"exhausted", 19102, nil, []int32{1, 2, 3, 4, 5}, map[int32]int32{1: 19101, 2: 19102, 3: 19100, 4: 0, 5: 0}},
		{"the largest id", 19199, nil, []int32{1<<31 - 1}, map[int32]int32{1<<31 - 1: 19147}},
		{"a node named twice", 19199, nil, []int32{1, 1}, map[int32]int32{1: 19101}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 { // any order within the response gives the same ports
				ids := append([]int32(nil), tt.ids...)
				rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
				topo, codes := cluster(newPorts(tt.taken...), func(o *Options) { o.Last = tt.last })
				topo.BindHomes()
				if diff := cmp.Diff(tt.want, learn(t, topo, ids...)); diff != "" {
					t.Fatalf("ports for %v (-want +got):\n%s", ids, diff)
				}
				hidden := 0
				for _, port := range tt.want {
					if port == 0 {
						hidden++
					}
				}
				if len(*codes) != min(hidden, 1) || hidden > 0 && (*codes)[0] != failure.NoPort {
					t.Fatalf("reported %v for %d hidden nodes", *codes, hidden)
				}
				if diff := cmp.Diff(tt.want, learn(t, topo, ids...)); diff != "" {
					t.Fatalf("a node changed its port (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestTwoInstancesAgree(t *testing.T) {
	ids := []int32{1, 2, 1001, 70000}
	want := map[int32]int32{1: 19101, 2: 19102, 1001: 19199, 70000: 19100}
	for range 50 {
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		topo, _ := cluster(newPorts(), nil)
		topo.BindHomes()
		if diff := cmp.Diff(want, learn(t, topo, ids...)); diff != "" {
			t.Fatalf("order %v (-want +got):\n%s", ids, diff)
		}
	}
}

func TestADisplacedNodeTakesNoHomeOfALaterNode(t *testing.T) {
	topo, _ := cluster(newPorts(), nil)
	topo.BindHomes()
	learn(t, topo, 1, 101, 201, 301)
	got := learn(t, topo, 0, 2, 3, 4, 5, 6, 7, 8, 9)
	for id, port := range got {
		if port != 19100+id {
			t.Errorf("node %d got port %d, want its home", id, port)
		}
	}
}

func TestFullRangeGivesUpThePortOfTheLongestAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPorts()
		topo, codes := cluster(p, func(o *Options) { o.Last = 19101 })
		learn(t, topo, 1)
		time.Sleep(time.Minute) // synctest
		learn(t, topo, 2)
		time.Sleep(absence - time.Minute - time.Second) // synctest
		if got := learn(t, topo, 3); got[3] != 0 {
			t.Fatalf("node 3 got port %d although no node was absent for ten minutes", got[3])
		}
		p.conns[19101] = 1
		time.Sleep(time.Minute + time.Second) // synctest
		if got := learn(t, topo, 3); got[3] != 19100 {
			t.Fatalf("node 3 got port %d; node 1 has a connection, so node 2 should lose its port 19100", got[3])
		}
		if diff := cmp.Diff([]failure.Code{failure.NoPort}, *codes); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEphemeralPorts(t *testing.T) {
	topo, codes := cluster(newPorts(), func(o *Options) { o.First, o.Last = 0, 0 })
	topo.BindHomes()
	got := learn(t, topo, 5, 3)
	if got[3] != 40001 || got[5] != 40002 {
		t.Errorf("got %v", got)
	}
	many := make([]int32, 70_000)
	for i := range many {
		many[i] = int32(i + 100)
	}
	learn(t, topo, many...)
	if n := len(topo.Nodes()); n != maxEphemeral {
		t.Errorf("%d nodes are kept, want %d", n, maxEphemeral)
	}
	if diff := cmp.Diff([]failure.Code{failure.NoPort}, *codes); diff != "" {
		t.Error(diff)
	}
}

func TestAdvertisedAddresses(t *testing.T) {
	loc := "PLANT2"
	one := func(o *Options) { o.Bootstrap = o.Bootstrap[:1] }
	rules := func(texts ...addressmap.Text) func(*Options) {
		return func(o *Options) {
			var err error
			if o.Rules, err = addressmap.Parse(texts); err != nil {
				panic(err)
			}
		}
	}
	type ep = kafka.Endpoint
	tests := []struct {
		name   string
		change func(*Options)
		eps    []ep
		want   map[int32]hostport.Target // of the nodes that are not hidden
		code   failure.Code
	}{
		{"as it is", nil, []ep{{NodeID: 1, Host: "a.corp", Port: 9092}}, map[int32]hostport.Target{1: {Host: "a.corp", Port: 9092, LocationID: "LOC1"}}, ""},
		{"rule", rules(addressmap.Text{From: "*.corp", To: "v-*", LocationID: &loc}), []ep{{NodeID: 1, Host: "A.corp", Port: 9092}}, map[int32]hostport.Target{1: {Host: "v-a", Port: 9092, LocationID: "PLANT2"}}, ""},
		{"loopback, several bootstrap addresses", nil, []ep{{NodeID: 1, Host: "localhost", Port: 9092}}, nil, failure.AdvertisedLoopback},
		{"loopback, implied", one, []ep{{NodeID: 1, Host: "localhost", Port: 9092}}, map[int32]hostport.Target{1: {Host: "kafka-1.corp", Port: 9092, LocationID: "LOC1"}}, ""},
		{"loopback, two brokers", one, []ep{{NodeID: 1, Host: "localhost", Port: 9092}, {NodeID: 2, Host: "b.corp", Port: 9092}}, map[int32]hostport.Target{2: {Host: "b.corp", Port: 9092, LocationID: "LOC1"}}, failure.AdvertisedLoopback},
		{"loopback with a rule", rules(addressmap.Text{From: "localhost", To: "kafka-1.corp"}), []ep{{NodeID: 1, Host: "localhost", Port: 9092}, {NodeID: 2, Host: "b", Port: 1}}, map[int32]hostport.Target{1: {Host: "kafka-1.corp", Port: 9092, LocationID: "LOC1"}, 2: {Host: "b", Port: 1, LocationID: "LOC1"}}, ""},
		{"127.0.0.1", nil, []ep{{NodeID: 1, Host: "127.0.0.1", Port: 9092}}, nil, failure.AdvertisedLoopback},
		{"127.1.2.3", nil, []ep{{NodeID: 1, Host: "127.1.2.3", Port: 9092}}, nil, failure.AdvertisedLoopback},
		{"[::1]", nil, []ep{{NodeID: 1, Host: "::1", Port: 9092}}, nil, failure.AdvertisedLoopback},
		{"0.0.0.0", nil, []ep{{NodeID: 1, Host: "0.0.0.0", Port: 9092}}, nil, failure.AdvertisedLoopback},
		{"169.254.0.7", nil, []ep{{NodeID: 1, Host: "169.254.0.7", Port: 9092}}, nil, failure.AdvertisedLoopback},
		{"localhost.", nil, []ep{{NodeID: 1, Host: "LocalHost.", Port: 9092}}, nil, failure.AdvertisedLoopback},
		{"direct", func(o *Options) { o.Direct = true }, []ep{{NodeID: 1, Host: "localhost", Port: 29092}}, map[int32]hostport.Target{1: {Host: "localhost", Port: 29092, LocationID: "LOC1"}}, ""},
		{"direct, to the tunnel itself", func(o *Options) { o.Direct = true }, []ep{{NodeID: 1, Host: "localhost", Port: 9092}}, nil, failure.AdvertisedLoopback},
		{"port 0", nil, []ep{{NodeID: 1, Host: "a", Port: 0}}, nil, failure.UnmappedAddress},
		{"port 65536", nil, []ep{{NodeID: 1, Host: "a", Port: 65536}}, nil, failure.UnmappedAddress},
		{"negative node", nil, []ep{{NodeID: -5, Host: "a", Port: 1}}, nil, failure.UnmappedAddress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			topo, codes := cluster(newPorts(), tt.change)
			if err := topo.Map(tt.eps); err != nil {
				t.Fatal(err)
			}
			got := map[int32]hostport.Target{}
			for _, n := range topo.Nodes() {
				got[n.ID] = n.Virtual
			}
			if tt.want == nil {
				tt.want = map[int32]hostport.Target{}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			if tt.code == "" && len(*codes) > 0 || tt.code != "" && (len(*codes) != 1 || (*codes)[0] != tt.code) {
				t.Errorf("reported %v, want %q", *codes, tt.code)
			}
			for _, e := range tt.eps {
				if _, shown := tt.want[e.NodeID]; shown == e.Hidden {
					t.Errorf("node %d hidden = %v", e.NodeID, e.Hidden)
				}
				if !e.Hidden && (e.Host != "localhost" || e.Port < 19100) {
					t.Errorf("node %d left as %s:%d", e.NodeID, e.Host, e.Port)
				}
			}
		})
	}
}

func TestResolveWaitsUntilTheNodeIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topo, _ := cluster(newPorts(), nil)
		topo.BindHomes()
		type result struct {
			target hostport.Target
			id     int32
			err    error
		}
		results := make(chan result, 1)
		go func() {
			target, id, err := topo.Resolve(t.Context(), 19102)
			results <- result{target, id, err}
		}()
		synctest.Wait()
		learn(t, topo, 1) // another node: Resolve still waits
		synctest.Wait()
		learn(t, topo, 2)
		if r := <-results; r.err != nil || r.id != 2 || r.target.Host != "kafka-2.onprem.corp" {
			t.Errorf("got %+v", r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := topo.Resolve(ctx, 19103)
		if !failure.Is(err, failure.NodeUnknown) || !strings.Contains(err.Error(), "19103") {
			t.Errorf("error %v, want node_unknown that names the port", err)
		}
	})
}

func TestAMovedNodeKeepsItsPort(t *testing.T) {
	topo, _ := cluster(newPorts(), nil)
	before := learn(t, topo, 1)
	eps := []kafka.Endpoint{{NodeID: 1, Host: "new.corp", Port: 9999}}
	if err := topo.Map(eps); err != nil {
		t.Fatal(err)
	}
	if eps[0].Port != before[1] {
		t.Errorf("port %d, want %d", eps[0].Port, before[1])
	}
	if target, _, _ := topo.Resolve(t.Context(), uint16(before[1])); target.String() != "new.corp:9999" {
		t.Errorf("the port still leads to %s", target)
	}
}

// TestFollow: after a change of names, known nodes lead to their new addresses from the
// next connection on. Ports stay. The next response decides about nodes without an
// address under the new names.
func TestFollow(t *testing.T) {
	p := newPorts()
	topo, _ := cluster(p, nil)
	local := learn(t, topo, 1, 2)
	rules, err := addressmap.Parse([]addressmap.Text{{From: "kafka-*.onprem.corp", To: "vkafka-*"}})
	if err != nil {
		t.Fatal(err)
	}
	topo.Follow(Names{LocationID: "LOC2", Rules: rules, ServerName: func(advertised string) string { return advertised }})
	for id := int32(1); id <= 2; id++ {
		got, node, err := topo.Resolve(t.Context(), uint16(local[id]))
		want := hostport.Target{Host: fmt.Sprintf("vkafka-%d", id), Port: 9092, LocationID: "LOC2", ServerName: fmt.Sprintf("kafka-%d.onprem.corp", id)}
		if err != nil || node != id || got != want {
			t.Errorf("node %d: %+v, %v, want %+v", id, got, err, want)
		}
	}
	if again := learn(t, topo, 1, 2); again[1] != local[1] || again[2] != local[2] {
		t.Errorf("ports have changed: %v, %v", local, again)
	}
}
