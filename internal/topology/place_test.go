package topology

import (
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// manyNodes returns the endpoints of a response with n nodes.
func manyNodes(n int) []kafka.Endpoint {
	eps := make([]kafka.Endpoint, n)
	for i := range eps {
		eps[i] = kafka.Endpoint{NodeID: int32(i + 1), Host: fmt.Sprintf("kafka-%d.onprem.corp", i+1), Port: 9092}
	}
	return eps
}

// TestManyNodesInAFullRange: with 10 000 nodes in a range of 100 ports, one of them
// taken by another process, each port is bound once, the taken one is tried once a
// minute, and one failure reports all 9 901 hidden nodes.
func TestManyNodesInAFullRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nodes = 10_000
		p := newPorts(19150)
		var failures []*failure.Failure
		var unmapped int
		topo, _ := cluster(p, func(o *Options) {
			o.Report = func(f *failure.Failure) { failures = append(failures, f) }
			o.Unmapped = func(n int) { unmapped += n }
		})
		topo.BindHomes()
		expect := func(when string, binds int) {
			t.Helper()
			p.calls, failures, unmapped = 0, nil, 0
			eps := manyNodes(nodes)
			if err := topo.Map(eps); err != nil {
				t.Fatal(err)
			}
			if p.calls != binds {
				t.Errorf("%s: %d ports were bound or tried, want %d", when, p.calls, binds)
			}
			if len(failures) != 1 || failures[0].Code != failure.NoPort || !strings.Contains(failures[0].Error(), "and 9896 more") || unmapped != nodes-99 {
				t.Errorf("%s: %d hidden, failures %v", when, unmapped, failures)
			}
			if n := len(topo.Nodes()); n != 99 {
				t.Errorf("%s: %d nodes are kept", when, n)
			}
		}
		expect("the first response", 90) // ten homes were bound at start
		for range 5 {
			expect("at once", 0)
		}
		time.Sleep(failedFor - time.Second) // synctest
		expect("before a minute has passed", 0)
		time.Sleep(time.Second) // synctest
		expect("after a minute", 1)
		p.taken[19150] = false
		time.Sleep(failedFor) // synctest
		got := learn(t, topo, 50, 9999)
		if got[50] != 19150 || got[9999] != 0 {
			t.Errorf("the port that is free again: %v", got)
		}
	})
}

// TestATakenHomeIsRemembered: a home port that was taken at start is not tried again
// for the first response.
func TestATakenHomeIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPorts(19101)
		topo, _ := cluster(p, nil)
		errs := topo.BindHomes()
		if len(errs) != 1 || errs[19101] == nil {
			t.Errorf("BindHomes: %v", errs)
		}
		p.calls = 0
		if got := learn(t, topo, 1); got[1] != 19199 || p.calls != 1 {
			t.Errorf("%v with %d calls of Bind", got, p.calls)
		}
	})
}

// TestNoDescriptor: without a free descriptor nothing more is tried for the response,
// no port is remembered as taken, and the failure names the cause.
func TestNoDescriptor(t *testing.T) {
	for _, ephemeral := range []bool{false, true} {
		p := newPorts()
		topo, codes := cluster(p, func(o *Options) {
			if ephemeral {
				o.First, o.Last = 0, 0
			}
		})
		topo.BindHomes()
		p.full, p.calls = true, 0
		got := learn(t, topo, 1, 50, 51, 52)
		if home := got[1] != 0; home == ephemeral || got[50]+got[51]+got[52] != 0 || p.calls != 1 {
			t.Errorf("%v with %d calls of Bind", got, p.calls)
		}
		if diff := cmp.Diff([]failure.Code{failure.DescriptorsExhausted}, *codes); diff != "" {
			t.Error(diff)
		}
		p.full = false
		if got := learn(t, topo, 1, 50, 51, 52); got[50] == 0 || !ephemeral && got[50] != 19150 {
			t.Errorf("when descriptors are free again: %v", got)
		}
	}
}

// TestNothingWaitsForABind: while a port is being bound, and in callbacks, every
// operation except the placement of other nodes proceeds.
func TestNothingWaitsForABind(t *testing.T) {
	p := newPorts(19101)
	var topo *Topology
	use := func() {
		topo.Nodes()
		topo.Node(19102)
		topo.Advertised("kafka-2.onprem.corp:9092", "LOC1")
		if got := learn(t, topo, 2); got[2] != 19102 {
			t.Errorf("a known node got %v", got)
		}
		if _, id, err := topo.Resolve(t.Context(), 19102); id != 2 || err != nil {
			t.Errorf("Resolve: %d, %v", id, err)
		}
	}
	topo, _ = cluster(p, func(o *Options) { o.Last = 19103 })
	learn(t, topo, 2)
	p.inUse = use
	topo.opts.Report = func(*failure.Failure) { use() }
	topo.opts.Unmapped = func(int) { use() }
	if got := learn(t, topo, 1, 3, 4, 5); got[3] != 19103 || got[4] != 19100 || got[1]+got[5] != 0 {
		t.Errorf("got %v", got)
	}
}

// TestConcurrentCallsShareThePlacement: concurrent calls that name the same new nodes
// get the same ports, and each port is bound before its address is returned.
func TestConcurrentCallsShareThePlacement(t *testing.T) {
	p := newPorts(19103)
	topo, _ := cluster(p, func(o *Options) { o.Report = func(*failure.Failure) {} })
	topo.BindHomes()
	p.calls = 0
	var wrong atomic.Int64
	results := make([]map[int32]int32, 16)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			results[i] = map[int32]int32{}
			for _, first := range []int32{0, 10, 20} {
				eps := make([]kafka.Endpoint, 15)
				for j := range eps {
					eps[j] = kafka.Endpoint{NodeID: first + int32(j), Host: "kafka", Port: 9092}
				}
				if err := topo.Map(eps); err != nil {
					wrong.Add(1)
				}
				for _, e := range eps {
					if e.Hidden || !p.Owns(uint16(e.Port)) {
						wrong.Add(1)
					}
					results[i][e.NodeID] = e.Port
				}
			}
		})
	}
	all.Wait()
	for _, got := range results[1:] {
		if !maps.Equal(got, results[0]) {
			t.Fatalf("one call got %v, another one %v", results[0], got)
		}
	}
	if results[0][3] != 19199 || results[0][34] != 19134 || wrong.Load() != 0 || p.calls != 26 {
		t.Errorf("%v, %d wrong, %d calls of Bind", results[0], wrong.Load(), p.calls)
	}
}

// TestFollowWhilePlacing: a node that is placed while the names change is reached under
// the new names.
func TestFollowWhilePlacing(t *testing.T) {
	p := newPorts()
	topo, _ := cluster(p, nil)
	rules, err := addressmap.Parse([]addressmap.Text{{From: "kafka-*.onprem.corp", To: "vkafka-*"}})
	if err != nil {
		t.Fatal(err)
	}
	var following sync.WaitGroup
	p.inUse = func() {
		following.Go(func() { topo.Follow(Names{Rules: rules}) })
		for range 100 {
			runtime.Gosched()
		}
	}
	learn(t, topo, 1)
	following.Wait()
	if target, _, err := topo.Resolve(t.Context(), 19101); err != nil || target.Host != "vkafka-1" {
		t.Errorf("%+v, %v", target, err)
	}
}

// TestOneFailurePerCode: the failures of one response are reported once per code and
// name the first addresses that were refused.
func TestOneFailurePerCode(t *testing.T) {
	var failures []*failure.Failure
	topo, _ := cluster(newPorts(), func(o *Options) { o.Report = func(f *failure.Failure) { failures = append(failures, f) } })
	var eps []kafka.Endpoint
	for i := range 7 {
		eps = append(eps, kafka.Endpoint{NodeID: int32(i), Host: "localhost", Port: int32(9092 + i)})
	}
	eps = append(eps, kafka.Endpoint{NodeID: -3, Host: "a", Port: 1}, kafka.Endpoint{NodeID: -4, Host: "b", Port: 1}, kafka.Endpoint{NodeID: 9, Host: "c", Port: 1})
	if err := topo.Map(eps); err != nil {
		t.Fatal(err)
	}
	if len(failures) != 2 {
		t.Fatalf("failures %v", failures)
	}
	for i, want := range []string{"localhost:9092, which here means this container and not the broker (also localhost:9093, localhost:9094, localhost:9095, localhost:9096 and 2 more)", "a:1 has no local port (node -3; also b:1)"} {
		if !strings.Contains(failures[i].Error(), want) {
			t.Errorf("%q lacks %q", failures[i], want)
		}
	}
	if eps[9].Hidden {
		t.Error("a valid address is hidden as well")
	}
}

// BenchmarkManyNodesInAFullRange maps a response with 10 000 nodes in a range of 100
// ports, one of them taken by another process.
func BenchmarkManyNodesInAFullRange(b *testing.B) {
	topo, _ := cluster(newPorts(19150), func(o *Options) { o.Report = nil })
	topo.BindHomes()
	source := manyNodes(10_000)
	eps := make([]kafka.Endpoint, len(source))
	b.ReportAllocs()
	for b.Loop() {
		copy(eps, source)
		if err := topo.Map(eps); err != nil {
			b.Fatal(err)
		}
	}
}
