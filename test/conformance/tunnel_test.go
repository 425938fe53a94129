//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// web returns an HTTP client with a timeout.
func web() *http.Client { return &http.Client{Timeout: 10 * time.Second} }

// until calls f repeatedly, for at most limit, until it returns nil; it fails the test with f's
// last error.
func until(t *testing.T, limit time.Duration, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(deadline(t), limit)
	defer cancel()
	if err := again(ctx, func() error { return f(ctx) }); err != nil {
		t.Fatalf("%s: not within %v: %v", what, limit, err)
	}
}

// again calls f until it returns nil, or the context ends; then it returns f's last error.
func again(ctx context.Context, f func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// A labProcess is `kafka-tunnel lab` with the tunnel in it.
type labProcess struct {
	bootstrap string // the bootstrap address for clients
	proc      *proc.Process
	stdin     io.Closer // closing it stops the lab
}

// upstream returns the value of --upstream for the cluster: the advertised and the real address
// of each broker.
func upstream(c *realkafka.Cluster) string {
	var all []string
	for _, b := range c.Brokers {
		all = append(all, b.Advertised+"="+b.Client)
	}
	return strings.Join(all, ",")
}

// direct reports whether the clients run directly with the brokers, to see whether the clients
// themselves fail.
func direct() bool { return os.Getenv("KAFKA_TUNNEL_DIRECT") != "" }

// startLab starts a lab with these arguments and returns when its command runs, which means
// that it is ready. The test fails if the lab does not exit cleanly.
func startLab(t *testing.T, args ...string) *labProcess {
	t.Helper()
	return startLabOf(t, tunnelBinary(t), args...)
}

// startLabOf is startLab for another binary.
func startLabOf(t *testing.T, binary string, args ...string) *labProcess {
	t.Helper()
	if direct() && shared.cluster != nil {
		t.Log("without the tunnel, because KAFKA_TUNNEL_DIRECT is set")
		return &labProcess{bootstrap: shared.cluster.Brokers[0].Internal}
	}
	dir := workDir(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := filepath.Join(dir, "bootstrap")
	command := append([]string{binary, "lab", "--listen", "127.0.0.1:0"}, args...)
	p, err := proc.Start(proc.Options{
		Name:  "lab",
		Args:  append(command, "--exec", "--", self),
		Env:   append(clean(os.Environ()), helperRole+"="+out),
		Dir:   dir,
		Log:   filepath.Join(dir, "lab.log"),
		Stdin: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &labProcess{proc: p, stdin: w}
	t.Cleanup(func() { l.stop(t) })
	until(t, time.Minute, "the lab is ready", func(context.Context) error {
		b, err := os.ReadFile(out)
		if err != nil && !p.Running() {
			t.Fatalf("the lab exited with code %d\n%s", p.ExitCode(), p.Tail(40))
		}
		l.bootstrap = string(b)
		return err
	})
	if l.bootstrap == "" {
		t.Fatal("the lab set no KAFKA_BOOTSTRAP_SERVERS")
	}
	return l
}

// stop stops the command in the lab, and thereby the lab, which must return its status.
func (l *labProcess) stop(t *testing.T) {
	t.Helper()
	_ = l.stdin.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := l.proc.Wait(ctx); err != nil {
		t.Errorf("the lab did not exit cleanly: %v", err)
	}
	if t.Failed() {
		t.Log(l.proc.Tail(60))
	}
}

// clean returns the environment without anything that would configure a tunnel or indicate a
// platform.
func clean(environ []string) []string {
	var out []string
	for _, kv := range environ {
		if !strings.HasPrefix(kv, "KAFKA_") && !strings.HasPrefix(kv, "VCAP_") {
			out = append(out, kv)
		}
	}
	return out
}

// A landscape is `kafka-tunnel lab --landscape-only`: BTP and the company's network without a
// tunnel.
type landscape struct {
	env     []string // the environment of the tunnel on the platform, KEY=VALUE
	control string   // base URL of the control port
	proc    *proc.Process
}

// startLandscape starts a landscape and returns when it has written its environment, which
// means that it is ready.
func startLandscape(t *testing.T, args ...string) *landscape {
	t.Helper()
	dir := workDir(t)
	envFile := filepath.Join(dir, "env")
	p, err := proc.Start(proc.Options{
		Name: "landscape",
		Args: append([]string{tunnelBinary(t), "lab", "--landscape-only", "--env-file", envFile}, args...),
		Env:  clean(os.Environ()),
		Dir:  dir,
		Log:  filepath.Join(dir, "landscape.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if code := p.Stop(20 * time.Second); code != 0 {
			t.Errorf("the landscape exited with code %d after SIGTERM\n%s", code, p.Tail(40))
		}
	})
	until(t, time.Minute, "the landscape is ready", func(context.Context) error {
		_, err := os.Stat(envFile)
		if err != nil && !p.Running() {
			t.Fatalf("the landscape exited with code %d\n%s", p.ExitCode(), p.Tail(40))
		}
		return err
	})
	said, err := os.ReadFile(filepath.Join(dir, "landscape.log"))
	if err != nil {
		t.Fatal(err)
	}
	control := controlLine.FindSubmatch(said)
	if control == nil {
		t.Fatalf("the landscape does not print its control port:\n%s", said)
	}
	return &landscape{env: sourceEnv(t, envFile), control: string(control[1]), proc: p}
}

// controlLine matches the line with the lab's control port.
var controlLine = regexp.MustCompile(`(?m)^\s*control\s+(http://\S+)`)

// fault adds a fault and returns a function that removes it.
func (l *landscape) fault(t *testing.T, kind faults.Kind) (end func()) {
	t.Helper()
	body, err := json.Marshal(faults.Fault{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	var added faults.Fault
	l.ask(t, http.MethodPost, "/faults", body, &added)
	return func() {
		t.Helper()
		l.ask(t, http.MethodDelete, "/faults/"+added.ID, nil, nil)
	}
}

// ask sends one request to the control port.
func (l *landscape) ask(t *testing.T, method, path string, body []byte, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(deadline(t), method, l.control+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := web().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, answer, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("%s %s: %s: %v", method, path, answer, err)
	}
}

// sourceEnv makes a shell read the file, like a user, and returns the exported variables.
func sourceEnv(t *testing.T, file string) []string {
	t.Helper()
	cmd := exec.CommandContext(deadline(t), "sh", "-c", `set -a; . "$1"; exec env -0`, "sh", file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the environment file cannot be read by a shell: %v", err)
	}
	var env []string
	for _, kv := range strings.Split(string(out), "\x00") {
		if strings.HasPrefix(kv, "VCAP_") || strings.HasPrefix(kv, "KAFKA_") {
			env = append(env, kv)
		}
	}
	return env
}

// get returns a variable of the landscape.
func (l *landscape) get(key string) string {
	for _, kv := range l.env {
		if value, ok := strings.CutPrefix(kv, key+"="); ok {
			return value
		}
	}
	return ""
}

// A tunnelProcess is `kafka-tunnel run`, configured only by its environment.
type tunnelProcess struct {
	bootstrap string
	admin     string // base URL
	proc      *proc.Process
	log       string // file with its whole output
	env       []string
	stopped   bool
}

// stop stops the tunnel like the platform. It must have run until now.
func (tp *tunnelProcess) stop(t *testing.T) {
	t.Helper()
	if tp.stopped {
		return
	}
	tp.stopped = true
	if !tp.proc.Running() {
		t.Errorf("the tunnel exited by itself, with code %d\n%s", tp.proc.ExitCode(), tp.proc.Tail(40))
	} else if code := tp.proc.Stop(20 * time.Second); code != 0 {
		t.Errorf("the tunnel exited with code %d after SIGTERM\n%s", code, tp.proc.Tail(40))
	}
}

// startTunnel starts the tunnel with the landscape's environment and extra, on ephemeral ports
// and with its log at debug level.
func startTunnel(t *testing.T, l *landscape, extra ...string) *tunnelProcess {
	t.Helper()
	dir := workDir(t)
	env := append(clean(os.Environ()), l.env...)
	env = append(env, "KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:0",
		"KAFKA_TUNNEL_BROKER_PORTS=0", "KAFKA_TUNNEL_LOG_FORMAT=json", "KAFKA_TUNNEL_LOG_LEVEL=debug")
	env = append(env, extra...)
	tp := &tunnelProcess{log: filepath.Join(dir, "tunnel.log"), env: env}
	p, err := proc.Start(proc.Options{
		Name: "tunnel", Args: []string{tunnelBinary(t), "run"}, Env: env, Dir: dir, Log: tp.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	tp.proc = p
	t.Cleanup(func() {
		tp.stop(t)
		if t.Failed() {
			t.Log(p.Tail(60))
		}
	})
	until(t, 30*time.Second, "the tunnel is bound", func(context.Context) error {
		if !p.Running() {
			t.Fatalf("the tunnel exited with code %d\n%s", p.ExitCode(), p.Tail(40))
		}
		return tp.readAddresses()
	})
	return tp
}

// readAddresses searches the log for the line with the bound addresses.
func (tp *tunnelProcess) readAddresses() error {
	b, err := os.ReadFile(tp.log)
	if err != nil {
		return err
	}
	for _, line := range bytes.Split(b, []byte("\n")) {
		var entry struct{ Listen, Admin string }
		if json.Unmarshal(line, &entry) == nil && entry.Listen != "" && entry.Admin != "" {
			tp.bootstrap, tp.admin = entry.Listen, strings.TrimSuffix(entry.Admin, "/")
			return nil
		}
	}
	return errors.New("no line with listen and admin in the log")
}

// readiness requests /readyz.
func (tp *tunnelProcess) readiness(ctx context.Context) (status int, answer admin.Readiness, err error) {
	body, status, err := tp.get(ctx, "/readyz")
	if err != nil {
		return 0, answer, err
	}
	err = json.Unmarshal(body, &answer)
	return status, answer, err
}

// get requests a path of the admin address.
func (tp *tunnelProcess) get(ctx context.Context, path string) (body []byte, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, tp.admin+path, http.NoBody)
	if err != nil {
		return nil, 0, err
	}
	resp, err := web().Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return body, resp.StatusCode, err
}

// waitReady waits until /readyz returns 200.
func (tp *tunnelProcess) waitReady(t *testing.T, limit time.Duration) {
	t.Helper()
	until(t, limit, "/readyz returns 200", func(ctx context.Context) error {
		status, answer, err := tp.readiness(ctx)
		if err != nil || status != http.StatusOK {
			return errors.Join(err, fmt.Errorf("%d %+v", status, answer))
		}
		return nil
	})
}
