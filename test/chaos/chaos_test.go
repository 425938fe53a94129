package chaos

import (
	"flag"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
	"go.uber.org/goleak"
)

// Flags for longer runs:
//
//	go test -race ./test/chaos -run TestChaos -chaos.time 3m -chaos.seed 7
//	go test -race ./test/chaos -run TestChaos -chaos.time 3m -chaos.seed 7 -chaos.tls
//	go test -race ./test/chaos -run TestChaos -chaos.time 30m -chaos.seed 7 -timeout 1h -artifacts -outputdir /tmp -v
var (
	chaosTime = flag.Duration("chaos.time", 20*time.Second, "how long faults happen")
	chaosTLS  = flag.Bool("chaos.tls", false, "brokers want TLS")
	chaosSeed = flag.Uint64("chaos.seed", 1, "what the schedule and the workloads follow from")
)

// Bounds of the tunnel's log, in bytes.
const (
	maxTunnelLog = 64 << 20
	shownLog     = 16 << 10 // when the test fails
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestChaos plays one schedule twice, with the tunnel and without, and compares.
func TestChaos(t *testing.T) {
	testutil.Long(t)
	t.Parallel()
	path := filepath.Join(t.ArtifactDir(), "tunnel.log")
	log, err := NewLogFile(path, maxTunnelLog)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	schedule := Generate(*chaosSeed, *chaosTime, testTargets, *chaosTLS)
	t.Logf("%sthe tunnel's log at debug level is in %s (kept with -artifacts)", schedule, path)

	var notes notebook
	options := Options{Seed: *chaosSeed, Time: *chaosTime, TLS: *chaosTLS, TunnelLog: log, Note: notes.add}
	var tunnel, direct *Report
	var tunnelErr, directErr error
	var both sync.WaitGroup
	both.Go(func() { tunnel, tunnelErr = Run(t.Context(), options) })
	both.Go(func() {
		o := options
		o.Direct = true
		direct, directErr = Run(t.Context(), o)
	})
	both.Wait()
	if tunnelErr != nil || directErr != nil {
		t.Fatalf("the run could not be made: tunnel: %v, direct: %v", tunnelErr, directErr)
	}
	t.Logf("%s\n%s", tunnel, direct)
	if !reflect.DeepEqual(tunnel.Schedule, schedule) || !reflect.DeepEqual(direct.Schedule, schedule) {
		t.Error("the runs had other schedules")
	}
	for _, p := range tunnel.Problems {
		t.Errorf("through the tunnel: %s", p)
	}
	for _, p := range direct.Problems {
		t.Errorf("in the direct run, so of the stand-in brokers, the client or this test: %s", p)
	}
	for _, p := range Compare(tunnel.Errors, direct.Errors) {
		t.Errorf("through the tunnel: %s", p)
	}
	if t.Failed() {
		tail, err := log.Tail(shownLog)
		t.Logf("the end of the tunnel's log (%v):\n%s", err, tail)
		t.Logf("to see it again: go test -race ./test/chaos -run TestChaos -chaos.time %s -chaos.seed %d -artifacts\nthe schedule up to the failure:\n%s\nwhat happened:\n%s",
			*chaosTime, *chaosSeed, tunnel.Schedule.Until(tunnel.FirstAt), notes.text())
	}
}
