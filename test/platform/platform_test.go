//go:build linux

package platform

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/procfs"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// TestAnyExitCrashesTheInstance shows that the simulation behaves like the platform, and that
// a test with it can fail.
func TestAnyExitCrashesTheInstance(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		processes []Process
		reason    string
	}{
		"the app, with 0":     {[]Process{{Name: "web", Command: "exit 0"}, {Name: "s", Command: "exec sleep 600", Sidecar: true}}, "APP/PROC/WEB: Exited with status 0"},
		"a sidecar, with 3":   {[]Process{{Name: "web", Command: "exec sleep 600"}, {Name: "s", Command: "exit 3", Sidecar: true}}, "APP/PROC/WEB/SIDECAR/S: Exited with status 3"},
		"a command not found": {[]Process{{Name: "web", Command: "exec sleep 600"}, {Name: "s", Command: "exec ./nothing", Sidecar: true}}, "APP/PROC/WEB/SIDECAR/S: Exited with status 127"},
	} {
		t.Run(name, func(t *testing.T) {
			i, err := Start(t.Context(), Options{Dir: t.TempDir(), Env: os.Environ(), Processes: tt.processes})
			if err != nil {
				t.Fatal(err)
			}
			<-i.Crashed()
			exits := i.Stop()
			if i.Reason() != tt.reason {
				t.Errorf("reason %q, want %q", i.Reason(), tt.reason)
			}
			for _, e := range exits {
				if e.Killed {
					t.Errorf("%+v: SIGTERM was enough", e)
				}
			}
		})
	}
}

func TestWhoIgnoresSIGTERMIsKilled(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	i, err := Start(t.Context(), Options{Dir: b.dir, Env: b.env, Grace: 300 * time.Millisecond, Processes: []Process{
		b.app(t, "deaf"), {Name: "s", Command: "exec sleep 600", Sidecar: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	// Deaf only once it runs: until then SIGTERM has its usual effect, and the test
	// would not show a kill.
	await(t, i, "the application runs", func() error { return deaf(i) })
	exits := i.Stop()
	if e := exits["web"]; !e.Killed || e.Status != 137 {
		t.Errorf("web: %+v", e)
	}
	if e := exits["s"]; e.Killed || e.Status != 143 {
		t.Errorf("sidecar: %+v", e)
	}
	if i.Reason() != "" {
		t.Errorf("a stop is no crash: %s", i.Reason())
	}
}

// deaf returns nil when the application ignores SIGTERM.
func deaf(i *Instance) error {
	text, err := procfs.Field(i.running[0].cmd.Process.Pid, "status", "SigIgn")
	if err != nil {
		return err
	}
	mask, err := strconv.ParseUint(text, 16, 64)
	if err == nil && mask&(1<<(uint(syscall.SIGTERM)-1)) == 0 {
		err = fmt.Errorf("SigIgn %x", mask)
	}
	return err
}

// TestTheAppShutsDownThroughTheTunnel: both get SIGTERM at the same moment. The
// application flushes, opens a producer 2.5 s later, commits and leaves its group;
// the tunnel serves it and ends by itself before the platform kills it (R23).
func TestTheAppShutsDownThroughTheTunnel(t *testing.T) {
	testutil.Long(t)
	t.Parallel()
	b := newBed(t)
	i := b.start(t, b.sidecar(), b.app(t, "kafka", appLinger+"=2500ms"))
	b.flowing(t, i)
	exits := i.Stop()
	for name, e := range exits {
		if e.Status != 0 || e.Killed {
			t.Errorf("%s: %+v", name, e)
		}
	}
	t.Logf("the application ended after %v, the tunnel after %v", exits["web"].After, exits["kafka-tunnel"].After)
	b.complete(t)
}

// TestAClientThatNeverCloses: the tunnel ends at drain.timeout, or is killed before it where
// the platform waits for a shorter time; neither is a crash of the instance.
func TestAClientThatNeverCloses(t *testing.T) {
	testutil.Long(t)
	t.Parallel()
	for name, env := range map[string][]string{"drain.timeout": {"KAFKA_TUNNEL_DRAIN_TIMEOUT=3s"}, "the kill": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.grace = 10 * time.Second // plain Cloud Foundry
			sidecar := b.sidecar()
			sidecar.Env = append(sidecar.Env, env...)
			i := b.start(t, sidecar, b.app(t, "kafka", appLinger+"=1m"))
			b.flowing(t, i)
			exits := i.Stop()
			if e := exits["kafka-tunnel"]; e.Killed != (env == nil) || !e.Killed && e.Status != 0 {
				t.Errorf("the tunnel: %+v", e)
			}
			if e := exits["web"]; !e.Killed {
				t.Errorf("the application was to be killed: %+v", e)
			}
			if i.Reason() != "" {
				t.Errorf("a stop is no crash: %s", i.Reason())
			}
			t.Logf("the tunnel ended after %v", exits["kafka-tunnel"].After)
		})
	}
}

func TestAnIdleTunnelEndsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	i := b.start(t, b.sidecar(), b.app(t, "idle"))
	b.bound(t, i)
	exits := i.Stop()
	if e := exits["kafka-tunnel"]; e.Status != 0 || e.Killed {
		t.Errorf("the tunnel: %+v", e)
	}
	t.Logf("the tunnel ended after %v", exits["kafka-tunnel"].After)
}

// TestNoOutageEndsTheInstance: whatever is away at the start or in the middle of
// work, the instance does not crash, and works when it is back (R1).
func TestNoOutageEndsTheInstance(t *testing.T) {
	t.Parallel()
	for _, kind := range []faults.Kind{faults.TokenDown, faults.ProxyDown, faults.ConnectorAway, faults.BrokerDown} {
		t.Run(string(kind), func(t *testing.T) {
			if kind != faults.TokenDown {
				testutil.Long(t)
			}
			t.Parallel()
			b := newBed(t)
			away, err := b.Faults().Add(faults.Fault{Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			i := b.start(t, b.sidecar(), b.app(t, "kafka"))
			b.bound(t, i)
			await(t, i, "the failure is logged", func() error { return b.logged(kind, 1) })
			b.Faults().Remove(away.ID)
			b.flowing(t, i)

			for _, f := range []faults.Fault{{Kind: kind}, {Kind: faults.TokenRevoked}, {Kind: faults.LinkReset}} {
				added, err := b.Faults().Add(f)
				if err != nil {
					t.Fatal(err)
				}
				if f.Kind == kind {
					away = added
				}
			}
			for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGPIPE} {
				if err := i.Signal("kafka-tunnel", s); err != nil {
					t.Fatal(err)
				}
			}
			b.Faults().Remove(away.ID)
			if err := os.Remove(b.report); err != nil {
				t.Fatal(err)
			}
			exits := i.Stop()
			if e := exits["web"]; e.Status != 0 {
				t.Errorf("web: %+v", e)
			}
			if e := exits["kafka-tunnel"]; e.Status != 0 || e.Killed {
				t.Errorf("the tunnel: %+v", e)
			}
			if i.Reason() != "" {
				t.Errorf("crashed: %s", i.Reason())
			}
			b.complete(t)
		})
	}
}

// logged returns nil when the log has the given number of warnings of the kind's hop.
func (b *bed) logged(kind faults.Kind, n int) error {
	hop := map[faults.Kind]string{
		faults.TokenDown: "hop=token", faults.ProxyDown: "hop=proxy", faults.ConnectorAway: "hop=connector", faults.BrokerDown: "hop=broker",
	}[kind]
	if strings.Count(b.log.String(), hop) < n {
		return fmt.Errorf("no %s in the log", hop)
	}
	return nil
}

// TestALogThatNobodyReads: stdout is a pipe whose reader goes away. The tunnel
// lives on.
func TestALogThatNobodyReads(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	sidecar := b.sidecar()
	sidecar.Output = w
	sidecar.Env = append(sidecar.Env, "KAFKA_TUNNEL_LOG_LEVEL=debug")
	i := b.start(t, sidecar, b.app(t, "kafka"))
	_ = w.Close()
	for lines := bufio.NewScanner(r); !strings.Contains(b.log.String(), "the tunnel is bound") && lines.Scan(); {
		_, _ = fmt.Fprintln(b.log, lines.Text())
	}
	_ = r.Close()
	b.flowing(t, i)
	exits := i.Stop()
	if e := exits["kafka-tunnel"]; e.Status != 0 || e.Killed || i.Reason() != "" {
		t.Errorf("the tunnel: %+v, %s", e, i.Reason())
	}
	b.complete(t)
}

// TestAnOldSidecarHoldsThePort: a manifest never removes sidecars, so one of
// another name may still run. The platform shows the status, the log what to do.
func TestAnOldSidecarHoldsThePort(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	i := b.start(t, b.sidecar(), b.app(t, "idle"))
	address := b.bound(t, i)
	other, err := Start(t.Context(), Options{Dir: b.dir, Env: append(b.env, "KAFKA_TUNNEL_LISTEN="+address), Processes: []Process{b.sidecar(), b.app(t, "idle")}})
	if err != nil {
		t.Fatal(err)
	}
	<-other.Crashed()
	other.Stop()
	if want := "APP/PROC/WEB/SIDECAR/KAFKA-TUNNEL: Exited with status 69"; other.Reason() != want {
		t.Errorf("reason %q, want %q", other.Reason(), want)
	}
	for _, part := range []string{strings.Replace(address, "localhost", "127.0.0.1", 1), "held by", "old sidecar of another name", "cf curl"} {
		if !strings.Contains(b.log.String(), part) {
			t.Errorf("the log lacks %q", part)
		}
	}
}

// TestExec runs the application under the tunnel, where there are no sidecars
// (R2): it flushes for five seconds after SIGTERM, and its status is the instance's.
func TestExec(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		flags  string
	}{
		"status 0":   {0, ""},
		"status 7":   {7, ""},
		"wait ready": {0, "--wait ready --max 30s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			app := b.app(t, "kafka", appLinger+"=5s", appBootstrap+"=", appStatus+"="+strconv.Itoa(tt.status))
			app.Command = fmt.Sprintf("exec %s exec %s -- %s", tunnel(), tt.flags, self(t))
			i := b.start(t, app)
			b.flowing(t, i)
			e := i.Stop()["web"]
			if e.Killed || e.Status != tt.status {
				t.Errorf("%+v, want status %d", e, tt.status)
			}
			t.Logf("ended after %v", e.After)
			b.complete(t)
		})
	}
	t.Run("ended by a signal", func(t *testing.T) {
		t.Parallel()
		b := newBed(t)
		i := b.start(t, Process{Name: "web", Command: fmt.Sprintf("exec %s exec -- sleep 600", tunnel()), Output: b.log})
		b.bound(t, i)
		if e := i.Stop()["web"]; e.Status != 143 || e.Killed {
			t.Errorf("%+v", e)
		}
	})
}
