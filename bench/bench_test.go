//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// TestMain lets the test's binary be the relays, as the bench's own is.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && strings.HasPrefix(os.Args[1], "relay-") {
		_ = relay(os.Args[1], os.Args[2], os.Args[3])
		return
	}
	goleak.VerifyTestMain(m)
}

// TestEverythingRuns: every workload and candidate, with little work.
func TestEverythingRuns(t *testing.T) {
	testutil.Long(t)
	o := options{pairs: 2, size: brief, binary: filepath.Join(t.TempDir(), "kafka-tunnel")}
	o.size.settle, o.size.gigabytes, o.size.requests = 1, 1, 500
	if err := build(t.Context(), o.binary); err != nil {
		t.Fatal(err)
	}
	r, err := measure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range workloads() {
		for _, name := range []string{tunnelDirect, tunnelProxy, relaySplice, relayCopy, tunnelTLS, relayTLS, tunnelTap, tunnelWatched} {
			measured := slices.ContainsFunc(r.Samples, func(s sample) bool { return s.Workload == w.name && s.Candidate == name })
			secured := name == tunnelTLS || name == relayTLS
			tapped := name == tunnelTap || name == tunnelWatched
			wanted := (!secured || w.tls) && (!tapped || w.tap)
			if w.alone {
				wanted = name == tunnelDirect
			} else if w.of != "" {
				wanted = name == w.of
			}
			if measured != wanted {
				t.Errorf("%s, %s: measured is %v", w.name, name, measured)
			}
		}
	}
	for _, s := range r.Samples {
		if s.Metric == "largest response seen, MiB" && s.Value < 49.9 {
			t.Errorf("the largest response through %s had %v MiB", s.Candidate, s.Value)
		}
	}
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, dir, r)
}

// checkFiles reads what was written as others do.
func checkFiles(t *testing.T, dir string, r *result) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again result
	if err := json.Unmarshal(text, &again); err != nil || !slices.Equal(again.Samples, r.Samples) {
		t.Errorf("the samples are not what was written: %v", err)
	}
	plots, err := filepath.Glob(filepath.Join(dir, "plots", "*.svg"))
	if err != nil || len(plots) != len(r.figures()) {
		t.Errorf("%d plots of %d figures: %v", len(plots), len(r.figures()), err)
	}
	for _, name := range plots {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(f)
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		_ = f.Close()
	}
}

func TestAnInterruptedRunReports(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := measure(ctx, options{pairs: 1, size: brief, binary: "/nowhere"})
	if err != nil || !slices.Contains(r.Notes, "The run was interrupted.") {
		t.Errorf("%v %q", err, r.Notes)
	}
}

// TestFrames: what the broker and the clients send is Kafka.
func TestFrames(t *testing.T) {
	f := fetchFrame(1 << 20)
	if got := binary.BigEndian.Uint32(f); got != 1<<20 || len(f) != 4+1<<20 {
		t.Errorf("size %d of %d bytes", got, len(f))
	}
	response := kmsg.NewPtrFetchResponse()
	response.SetVersion(fetchVersion)
	if err := response.ReadFrom(f[9:]); err != nil {
		t.Fatal(err)
	}
	if n := len(response.Topics[0].Partitions[0].RecordBatches); n < 1<<20-200 {
		t.Errorf("%d bytes of records", n)
	}
	if got, want := request(keyApiVersions, 0, 0, 0), []byte("\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff"); !bytes.Equal(got, want) {
		t.Errorf("ApiVersions: % x, want % x", got, want)
	}
	p := produceRequest(1000)
	if got := int(binary.BigEndian.Uint32(p)); got != len(p)-4 {
		t.Errorf("size %d of %d bytes", got, len(p))
	}
	if acks := binary.BigEndian.Uint16(p[16:]); acks != 1 {
		t.Errorf("acks %d", acks)
	}
}

// TestDialsAlternate: each way is gone as often as was asked, and each connection is
// measured.
func TestDialsAlternate(t *testing.T) {
	b, err := startBroker()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	var opened [2]atomic.Int32
	var routes []route
	for i := range opened {
		routes = append(routes, route{"there", func(ctx context.Context) (net.Conn, error) {
			opened[i].Add(1)
			return new(net.Dialer).DialContext(ctx, "tcp", b.address())
		}})
	}
	const n = 20
	all, err := alternate(nil, n, time.Millisecond, routes)
	if err != nil {
		t.Fatal(err)
	}
	for i, dials := range all {
		if got := opened[i].Load(); got != n || len(dials) != n {
			t.Errorf("way %d: %d connections were opened and %d measured", i, got, len(dials))
		}
		for _, d := range dials {
			if d.took <= 0 || d.late < 0 {
				t.Errorf("way %d: %+v", i, d)
			}
		}
	}
}

// TestDialsEnd: one that fails ends them all, as does an interruption.
func TestDialsEnd(t *testing.T) {
	refused := errors.New("refused")
	broken := route{"nowhere", func(context.Context) (net.Conn, error) { return nil, refused }}
	hanging := route{"hanging", func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	done := make(chan struct{})
	close(done)
	for _, test := range []struct {
		name   string
		done   chan struct{}
		routes []route
		want   error
	}{
		{"a failure", nil, []route{hanging, broken}, refused},
		{"an interruption", done, []route{hanging, hanging}, errInterrupted},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := alternate(test.done, 1000, time.Millisecond, test.routes); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestRatiosAreMadeWithinARound(t *testing.T) {
	r := &result{}
	put := func(name string, round int, v float64) {
		r.add(sample{"w", name, "m", round, v})
	}
	put("tunnel", 0, 10)
	put("a", 0, 10)
	put("b", 0, 5) // the cheaper one
	put("tunnel", 1, 30)
	put("a", 1, 60)
	put("tunnel", 2, 99) // nothing to compare with
	put("a", 3, 1)
	put("tunnel", 4, 7)
	put("a", 4, 0) // without significance
	got := r.ratio("w", "m", "tunnel", "a", "b")
	if want := (spread{2, 1.25, 0.5, 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestSpreads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1e6), 1, 30).Draw(t, "values")
		s := spreadOf(values)
		if s.n != len(values) || s.min > s.median || s.median > s.max || s.min != slices.Min(values) || s.max != slices.Max(values) {
			t.Fatalf("%+v of %v", s, values)
		}
		below := 0
		for _, v := range values {
			if v <= s.median {
				below++
			}
		}
		if 2*below < len(values) {
			t.Fatalf("%+v of %v: %d are below the median", s, values, below)
		}
	})
}

func TestBarsSayWhatIsMissed(t *testing.T) {
	r := &result{Machine: "one"}
	for round := range 3 {
		for name, v := range map[string]float64{"tunnel": 1.5, relaySplice: 1, relayCopy: 2} {
			r.add(sample{"produce, requests of 1 MB", name, "CPU s per GB", round, v})
		}
		r.add(sample{"start", "tunnel", "RSS at rest, MiB", round, 15})
	}
	text := r.markdown()
	for _, want := range []string{
		"| produce, requests of 1 MB | CPU s per GB | tunnel | relay-splice, relay-copy | 1.50 (1.50 to 1.50) | 3 | 1.10 | **missed** by 36 % |",
		"| start | RSS at rest, MiB | tunnel |  | 15.0 (15.0 to 15.0) | 3 | 20.0 | kept |",
		"| | | tunnel | relay-splice | relay-copy |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for _, b := range bars() {
		if !slices.ContainsFunc(workloads(), func(w workload) bool { return w.name == b.workload }) {
			t.Errorf("there is no workload %q", b.workload)
		}
	}
}

func TestStraceSummary(t *testing.T) {
	got := counted("% time     seconds  usecs/call     calls    errors syscall\n------ ----------- ----------- --------- --------- ----------------\n" +
		" 60.00    0.104020           8     12003      4001 read\n 40.00    0.070000           8      8000           write\n------ ----------- ----------- --------- --------- ----------------\n100.00    0.174020           8     20003      4001 total\n")
	if got.all != 20003 || got.successful != 16002 {
		t.Errorf("%+v", got)
	}
}

func TestEnvironment(t *testing.T) {
	got := environment("# a lab\nexport A='1 2'\nexport B='{\"c\":\"d\"}'\n")
	if want := []string{"A=1 2", `B={"c":"d"}`}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestRoundSteps(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.03: 0.05, 1: 1, 1.1: 2, 4.9: 5, 51: 100, 1000: 1000} {
		if got := roundStep(v); math.Abs(got-want) > 1e-9*want {
			t.Errorf("roundStep(%v) = %v, want %v", v, got, want)
		}
	}
}

// TestVitals: the processor time of this process grows, and it has memory.
func TestVitals(t *testing.T) {
	c := directCandidate("")
	before, err := c.cpu()
	if err != nil {
		t.Fatal(err)
	}
	for x := 0; ; x++ {
		if x%1_000_000 == 0 {
			if now, err := c.cpu(); err != nil || now > before {
				break
			}
		}
	}
	for name, read := range map[string]func() (float64, error){"rss": c.rss, "peak": c.peak, "descriptors": c.descriptors} {
		if v, err := read(); err != nil || v <= 0 {
			t.Errorf("%s: %v %v", name, v, err)
		}
	}
}
