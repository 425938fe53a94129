package traffic

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A flight is a connection whose oldest request was due at a time.
type flight struct {
	n   int
	due time.Time
}

func (f *flight) InFlight() (int, time.Duration) {
	if f.n == 0 {
		return 0, 0
	}
	return f.n, max(0, time.Since(f.due))
}

var target = hostport.Target{Host: "kafka-1", Port: 9092}

// within reports whether got is as near to want as a class is wide.
func within(got, want time.Duration) bool {
	return math.Abs(float64(got-want)) <= 0.13*float64(want)+float64(64*time.Microsecond)
}

// figures returns those of node 1, which are those of all.
func figures(c *Cluster) Figures {
	together, nodes := c.Figures()
	if together != nodes["1"] {
		panic("the sum of one is another")
	}
	return together
}

// TestClasses: every latency is in a class around it, and classes are in order.
func TestClasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(100*time.Second)).Draw(t, "latency"))
		if m := middle(classOf(d)); !within(m, d) {
			t.Fatalf("%v is in the class of %v", d, m)
		}
		if e := d + time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "more")); classOf(e) < classOf(d) {
			t.Fatalf("%v is in class %d, %v in %d", d, classOf(d), e, classOf(e))
		}
	})
	if got := classOf(math.MaxInt64); got != classes-1 {
		t.Errorf("the largest is in class %d of %d", got, classes)
	}
	if got := classOf(-time.Second); got != 0 {
		t.Errorf("a negative one is in class %d", got)
	}
}

// TestPercentiles compares with sorted latencies.
func TestPercentiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Cluster
		n := c.Node("1")
		var sorted []time.Duration
		for range rapid.IntRange(1, 300).Draw(t, "answers") {
			d := time.Duration(math.Pow(10, rapid.Float64Range(3, 10.5).Draw(t, "exponent")))
			sorted = append(sorted, d)
			n.Answered(d, 0)
		}
		slices.Sort(sorted)
		f := figures(&c)
		for _, p := range []struct {
			part float64
			got  time.Duration
		}{{0.5, f.P50}, {0.99, f.P99}} {
			if want := sorted[int(math.Ceil(p.part*float64(len(sorted))))-1]; !within(p.got, want) {
				t.Fatalf("p%v is %v, want %v", 100*p.part, p.got, want)
			}
		}
	})
}

func TestFiguresAreOfTheLastMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cluster
		n := c.Node("1")
		conn := &Conn{Target: target}
		n.Open(conn, &flight{})
		second := func(took time.Duration) {
			for range 20 {
				n.Answered(took, 0)
				time.Sleep(50 * time.Millisecond) // synctest
			}
			c.Look()
		}
		for range 120 {
			second(100 * time.Millisecond)
		}
		n.Reset()
		f := figures(&c)
		if f.PerSecond < 19 || f.PerSecond > 21 || !within(f.P50, 100*time.Millisecond) || f.Resets != 1 || f.Total != 1 {
			t.Errorf("%+v", f)
		}
		for range 71 {
			second(time.Millisecond)
		}
		f = figures(&c)
		if f.PerSecond < 19 || f.PerSecond > 21 || !within(f.P99, time.Millisecond) || f.Resets != 0 || f.Total != 1 {
			t.Errorf("after a minute: %+v", f)
		}
		conn.Close()
		n.Reset()
		time.Sleep(50 * time.Second) // synctest
		if f = figures(&c); f.Resets != 1 {
			t.Errorf("without a connection: %+v", f)
		}
		time.Sleep(time.Hour) // synctest; no look, because nothing is open
		if f = figures(&c); f.PerSecond != 0 || f.Resets != 0 || f.P50 != 0 || f.Total != 2 {
			t.Errorf("after an hour: %+v", f)
		}
		conn = &Conn{Target: target}
		n.Open(conn, &flight{})
		second(time.Millisecond)
		if f = figures(&c); f.PerSecond != 20 {
			t.Errorf("after an hour, a second: %+v", f)
		}
		conn.Close()
	})
}

func TestLongPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cluster
		n := c.Node("1")
		for range 10 {
			n.Answered(500*time.Millisecond, 500*time.Millisecond)
		}
		n.Answered(520*time.Millisecond, 500*time.Millisecond)
		time.Sleep(11 * time.Second) // synctest
		if f := figures(&c); f.PerSecond != 1 || !within(f.P50, 20*time.Millisecond) {
			t.Errorf("%+v", f)
		}
	})
}

// TestStalls: once per episode and node, and over when requests are answered in time.
func TestStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cluster
		n := c.Node("1")
		c.Node("2")
		stuck := [3]flight{}
		for i := range stuck {
			n.Open(&Conn{Target: target}, &stuck[i])
		}
		var stalled, recovered []Stall
		look := func(d time.Duration) {
			for range int(d / time.Second) {
				time.Sleep(time.Second) // synctest
				e := c.Look()
				stalled, recovered = append(stalled, e.Stalled...), append(recovered, e.Recovered...)
			}
		}
		want := func(nStalled, nRecovered, now int) {
			t.Helper()
			if len(stalled) != nStalled || len(recovered) != nRecovered || len(c.Stalls()) != now {
				t.Errorf("%d have begun, %d ended, %d are there; want %d, %d, %d", len(stalled), len(recovered), len(c.Stalls()), nStalled, nRecovered, now)
			}
		}
		look(time.Minute)
		begin := time.Now()
		stuck[0], stuck[1] = flight{3, begin}, flight{1, begin}
		look(9 * time.Second)
		want(0, 0, 0)
		if f := figures(&c); f.InFlight != 4 || f.Oldest != 9*time.Second {
			t.Errorf("%+v", f)
		}
		look(time.Second)
		want(1, 0, 1)
		if s := stalled[0]; s.Node != "1" || s.Clients != 2 || s.Target != target || !s.Since.Equal(begin) {
			t.Errorf("%+v", s)
		}
		n.Answered(time.Millisecond, 0) // another connection's
		look(time.Minute)
		want(1, 0, 1)
		// Its clients give up, come back, and get no answer.
		stuck[0], stuck[1] = flight{}, flight{1, time.Now()}
		look(5 * time.Second)
		want(1, 0, 1)
		look(20 * time.Second)
		want(1, 0, 1)
		// One after the other, each slow.
		stuck[1] = flight{}
		n.Answered(12*time.Second, 0)
		look(2 * time.Second)
		want(1, 0, 1)
		n.Answered(2*time.Millisecond, 0)
		look(time.Second)
		want(1, 1, 0)
		if r := recovered[0]; !r.Since.Equal(begin) {
			t.Errorf("%+v", r)
		}
		// Its clients turn to another node.
		stuck[2] = flight{1, time.Now()}
		look(11 * time.Second)
		want(2, 1, 1)
		stuck[2] = flight{}
		look(59 * time.Second)
		want(2, 1, 1)
		look(2 * time.Second)
		want(2, 2, 0)
	})
}

func TestNothingIsLeftOfClosedConnections(t *testing.T) {
	var c Cluster
	conn := &Conn{Target: target}
	c.Node("1").Open(conn, &flight{n: 5})
	conn.Close()
	if f := figures(&c); f.InFlight != 0 {
		t.Errorf("%+v", f)
	}
	c.Forget("1")
	if _, f := c.Figures(); len(f) != 0 {
		t.Errorf("%+v", f)
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	n := new(Cluster).Node("1")
	if a := testing.AllocsPerRun(100, func() { n.Answered(time.Millisecond, 0); n.Answered(time.Millisecond, time.Second) }); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

func BenchmarkAnswered(b *testing.B) {
	n := new(Cluster).Node("1")
	b.ReportAllocs()
	for b.Loop() {
		n.Answered(time.Millisecond, 0)
	}
}

func BenchmarkLook(b *testing.B) {
	var c Cluster
	for range 1000 {
		c.Node("1").Open(&Conn{Target: target}, &flight{})
	}
	for b.Loop() {
		c.Look()
	}
}
