//go:build linux

package trouble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	// Go's cache of test results must know what the binary is made of.
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
	_ "github.com/kafka-tunnel/kafka-tunnel/internal/tunnel"
)

// program is the tunnel that all tests run, built by TestMain.
var program string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "kafka-tunnel-trouble-*")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if program, err = Build(context.Background(), dir); err != nil {
		return 1, err
	}
	if code = m.Run(); code == 0 {
		err = goleak.Find()
	}
	return code, err
}

// judge fails the test for an error and for each bar that was missed and does not
// depend on the speed of the machine.
func judge(t *testing.T, r *Report, err error) {
	t.Helper()
	if dir, err := os.Open("../../cmd/kafka-tunnel"); err == nil { // for Go's cache of test results
		_ = dir.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", Markdown(r))
	for _, f := range r.Missed(false) {
		t.Errorf("%s: %s, the bar is %s", f.Name, f.Measured, f.Bar)
	}
}

func TestStorm(t *testing.T) {
	testutil.Long(t)
	t.Parallel()
	for _, o := range []StormOptions{
		{Cause: Reply03, Clients: 100, Time: 4 * time.Second},
		{Cause: Reply05, Clients: 100, Time: 4 * time.Second},
		{Cause: Silence, Clients: 100, Time: 5 * time.Second, Hold: 3 * time.Second},
	} {
		t.Run(o.Cause.String(), func(t *testing.T) {
			t.Parallel()
			r, err := Storm(t.Context(), program, o)
			judge(t, r, err)
		})
	}
}

func TestOutage(t *testing.T) {
	testutil.Long(t)
	t.Parallel()
	for _, o := range []OutageOptions{
		{},
		{Level: "debug"},
		{Unread: true},
		{Unread: true, Level: "debug"},
	} {
		o.Time, o.Hold = 6*time.Second, time.Second
		t.Run(fmt.Sprintf("level %s, unread %v", o.Level, o.Unread), func(t *testing.T) {
			t.Parallel()
			r, err := Outage(t.Context(), program, o)
			judge(t, r, err)
		})
	}
}

func TestStalled(t *testing.T) {
	testutil.Long(t)
	t.Parallel()
	r, err := Stalled(t.Context(), program, StalledOptions{
		Consumers: 10, Size: 16 << 20, FrameStall: 2 * time.Second, Stop: 5 * time.Second,
	})
	judge(t, r, err)
}

func TestDescriptors(t *testing.T) {
	testutil.Long(t)
	t.Parallel()
	r, err := Descriptors(t.Context(), program, DescriptorsOptions{Time: 3 * time.Second})
	judge(t, r, err)
}

func TestIdle(t *testing.T) {
	testutil.Long(t)
	t.Parallel()
	r, err := Idle(t.Context(), program, IdleOptions{Connects: 500, Time: 2 * time.Second})
	judge(t, r, err)
}

// TestMemory: whatever comes, the manifest's 64 MiB are enough (R25). It is skipped where
// no memory cgroup can be created; the full length is played by cmd.
func TestMemory(t *testing.T) {
	testutil.Long(t)
	for _, o := range []MemoryOptions{
		{Response: LargeProduce, Connections: 50, Peer: Reads},
		{Response: HugeCoordinator, Connections: 20, Peer: Reads},
		{Response: LargeCoordinator, Connections: 50, Peer: Ignores},
		{Response: LargeMetadata, Connections: 20, Peer: Trickles},
		{Response: LargeHeaderTag, Connections: 20, Peer: Reads},
	} {
		o.Time = 2 * time.Second
		t.Run(fmt.Sprintf("%s, %d, %s", o.Response, o.Connections, o.Peer), func(t *testing.T) {
			r, err := Memory(t.Context(), program, o)
			if errors.Is(err, ErrNoCgroup) {
				t.Skip(err)
			}
			judge(t, r, err)
		})
	}
}
