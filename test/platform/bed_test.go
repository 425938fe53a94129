//go:build linux

package platform

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"

	// Go's cache of test results must know what the binary is made of.
	_ "github.com/kafka-tunnel/kafka-tunnel/internal/tunnel"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(appRole); role != "" {
		os.Exit(playApp(role))
	}
	dir, err := os.MkdirTemp("", "kafka-tunnel-platform-")
	if err != nil {
		panic(err)
	}
	code := 1
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build makes the tunnel's binary, which binary finds.
func build(dir string) error {
	cmd := exec.Command("go", "build", raceFlag, "-o", filepath.Join(dir, "kafka-tunnel"), "github.com/kafka-tunnel/kafka-tunnel/cmd/kafka-tunnel")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return os.Setenv("PLATFORM_TEST_BINARY", filepath.Join(dir, "kafka-tunnel"))
}

// tunnel is the tunnel's command line as the shell reads it.
func tunnel() string { return "'" + os.Getenv("PLATFORM_TEST_BINARY") + "'" }

// self is this test binary as the application.
func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return "'" + exe + "'"
}

// bed is a lab, and the environment of one instance in front of it.
type bed struct {
	grace time.Duration // between SIGTERM and SIGKILL; 0: that of SAP BTP
	*lab.Landscape
	dir     string
	report  string // the application writes it
	address string // file in which the application finds the tunnel's address
	env     []string
	log     *testutil.Output // of the tunnel
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if dir, err := os.Open("../../cmd/kafka-tunnel"); err == nil { // for Go's cache of test results
		_ = dir.Close()
	}
	l, err := lab.Start(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	b := &bed{Landscape: l, dir: t.TempDir(), log: &testutil.Output{}}
	b.report, b.address = filepath.Join(b.dir, "report"), filepath.Join(b.dir, "address")
	b.env = append(l.Env(), "PATH="+os.Getenv("PATH"), "PORT=8080", "VCAP_APP_PORT=8080", "CF_INSTANCE_INDEX=0", "GORACE=atexit_sleep_ms=0",
		"KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_BROKER_PORTS=0", "KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:0",
		appBootstrap+"="+b.address, appReport+"="+b.report, appLinger+"=0s")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the tunnel's log:\n%s", b.log)
		}
	})
	return b
}

// boundLine matches the log line with the address of the tunnel.
var boundLine = regexp.MustCompile(`the tunnel is bound.* listen=(\S+)`)

// bound waits until the tunnel has logged its address, writes it to the file for the
// application, and returns it. On the platform both are configured with the same port;
// here many tests run at the same time.
func (b *bed) bound(t *testing.T, i *Instance) (address string) {
	t.Helper()
	await(t, i, "the tunnel is bound", func() error {
		said := boundLine.FindStringSubmatch(b.log.String())
		if len(said) < 2 {
			return errors.New("not logged yet")
		}
		address = said[1]
		return nil
	})
	if err := errors.Join(os.WriteFile(b.address+".new", []byte(address), 0o600), os.Rename(b.address+".new", b.address)); err != nil {
		t.Fatal(err)
	}
	return address
}

// sidecar is the tunnel as a sidecar.
func (b *bed) sidecar() Process {
	return Process{Name: "kafka-tunnel", Command: "exec " + tunnel() + " run", Sidecar: true, Env: []string{"MEMORY_LIMIT=64m"}, Output: b.log}
}

// app is the application in a role.
func (b *bed) app(t *testing.T, role string, env ...string) Process {
	t.Helper()
	return Process{Name: "web", Command: "exec " + self(t), Env: append([]string{appRole + "=" + role, "MEMORY_LIMIT=960m"}, env...), Output: b.log}
}

// start starts an instance, which is stopped at the end of the test.
func (b *bed) start(t *testing.T, processes ...Process) *Instance {
	t.Helper()
	i, err := Start(context.WithoutCancel(t.Context()), Options{Dir: b.dir, Env: b.env, Processes: processes, Grace: cmp.Or(b.grace, time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Stop() })
	return i
}

// read returns the application's report, if there is one.
func (b *bed) read() (r report, err error) {
	text, err := os.ReadFile(b.report)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

// await waits until done returns nil. It fails the test if the instance crashes.
func await(t *testing.T, i *Instance, what string, done func() error) {
	t.Helper()
	limit := time.NewTimer(90 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-i.Crashed():
			t.Fatalf("%s: the instance has crashed: %s", what, i.Reason())
		case <-limit.C:
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// flowing waits until the application's records come back to it.
func (b *bed) flowing(t *testing.T, i *Instance) {
	t.Helper()
	b.bound(t, i)
	await(t, i, "records flow", func() error {
		r, err := b.read()
		if err == nil && !r.Flowing {
			err = fmt.Errorf("report %+v", r)
		}
		return err
	})
}

// complete compares the application's report with the current state of the brokers: every
// record, in order for each producer, the group empty and without lag.
func (b *bed) complete(t *testing.T) {
	t.Helper()
	r, err := b.read()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Errors) > 0 || !r.Late || r.Consumed != r.Sent || r.Sent < 100 {
		t.Errorf("the application's report: %+v", r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Bootstrap()...), kgo.Dialer(b.DialDirect), kgo.ConsumeTopics(appTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	lags, err := kadm.NewClient(cl).Lag(ctx, appGroup)
	if err != nil {
		t.Fatal(err)
	}
	if l := lags[appGroup]; l.Error() != nil || l.State != "Empty" || len(l.Members) != 0 || l.Lag.Total() != 0 {
		t.Errorf("the group: state %s, %d members, lag %d, %v", l.State, len(l.Members), l.Lag.Total(), l.Error())
	}
	next := map[string]int{}
	for n := 0; n < r.Sent; {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("the brokers have %d of %d records", n, r.Sent)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			n++
			id, number, _ := strings.Cut(string(rec.Value), " ")
			if i, err := strconv.Atoi(number); err != nil || i != next[id] {
				t.Errorf("record %q, want number %d", rec.Value, next[id])
			}
			next[id]++
		})
	}
}
