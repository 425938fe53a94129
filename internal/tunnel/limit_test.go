package tunnel

import (
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// TestDefaultLimit: the default is bounded by descriptors or by memory, whichever
// allows less. A small default causes a warning with the numbers.
func TestDefaultLimit(t *testing.T) {
	const mib = 1 << 20
	for name, tt := range map[string]struct {
		descriptors, sockets int
		memory               int64
		want                 int
		warning              []string
	}{
		"plenty":                         {1 << 20, 204, 0, 524058, nil},
		"by memory":                      {1 << 20, 204, 64 * mib, 819, nil},
		"by descriptors":                 {1024, 204, 64 * mib, 282, nil},
		"descriptors and memory unknown": {0, 204, 0, 0, nil},
		"descriptors unknown":            {0, 204, 256 * mib, 3276, nil},
		"few descriptors":                {512, 204, 64 * mib, 26, []string{"only 26 client", "512 file descriptors", "204", "ulimit -n", "limits.max_connections"}},
		"no descriptors":                 {256, 204, 0, 1, []string{"only 1 client", "256 file descriptors"}},
		"little memory":                  {16384, 204, 2 * mib, 25, []string{"only 25 client", "2048 KiB", "40 KiB", "limits.max_connections"}},
		"next to no memory":              {16384, 204, 1024, 1, []string{"only 1 client"}},
		"the smallest without a warning": {588, 204, 0, 64, nil},
		"the largest with a warning":     {586, 204, 0, 63, []string{"only 63"}},
	} {
		limit, warning := defaultLimit(tt.descriptors, tt.sockets, tt.memory)
		if limit != tt.want || (warning == "") != (tt.warning == nil) || !contains(warning, tt.warning...) {
			t.Errorf("%s: %d, %q; want %d, %q", name, limit, warning, tt.want, tt.warning)
		}
	}
}

// TestASmallDefaultLimit: a small default limit causes a warning in the log and in
// /status; a configured small limit causes none.
func TestASmallDefaultLimit(t *testing.T) {
	const text = "client connections may be open at the same time"
	for name, tt := range map[string]struct {
		memory int64
		env    []string
		warned bool
	}{
		"small":      {memory: 1 << 20, warned: true},
		"configured": {memory: 1 << 20, env: []string{"KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS=10"}},
	} {
		bed := directWith(t, func(o *Options) { o.MemoryLimit = tt.memory }, tt.env...)
		_, body := bed.get(t, "/status")
		warnings := strings.Join(parsed(t, body).Warnings, "\n")
		if strings.Contains(warnings, text) != tt.warned || strings.Contains(bed.log.String(), text) != tt.warned {
			t.Errorf("%s: warnings %q", name, warnings)
		}
	}
}

// TestAFullLimit: a full limit is visible in log, metric and /status while it lasts,
// and the waiting client is served when another one leaves.
func TestAFullLimit(t *testing.T) {
	bed := direct(t, "KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS=2")
	first, second := dialRaw(t, bed.Address("")), dialRaw(t, bed.Address(""))
	warned := func() bool {
		_, body := bed.get(t, "/status")
		for _, warning := range parsed(t, body).Warnings {
			if contains(warning, "the limit of 2 client connections has been reached", "2 are open", "["+string(failure.ConnectionsExhausted)+"]", "limits.max_connections") {
				return true
			}
		}
		return false
	}
	await(t, "the warning", warned, nil)
	await(t, "the log", func() bool { return contains(bed.log.String(), "code=connections_exhausted", "target=2", "advice=") }, nil)
	if n := bed.counter(t, "failures_total", "code")[string(failure.ConnectionsExhausted)]; n != 1 {
		t.Errorf("%d failures are counted", n)
	}
	waiting := dialRaw(t, bed.Address(""))
	first.close()
	second.close()
	await(t, "the end of the warning", func() bool { return !warned() }, nil)
	if err := waiting.ask(); err != nil {
		t.Fatal(err)
	}
	<-waiting.ended // it was accepted, and then refused because there is no broker
}
