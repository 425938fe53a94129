//go:build linux

package trouble

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Build builds the tunnel in dir, like a release, and returns the binary's path.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "kafka-tunnel")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "github.com/kafka-tunnel/kafka-tunnel/cmd/kafka-tunnel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the tunnel: %w\n%s", err, out)
	}
	return binary, nil
}

// A tunnel is a running binary.
type tunnel struct {
	cmd     *exec.Cmd
	log     *logReader
	address string // bootstrap address, 127.0.0.1:port
	admin   string // base URL
	ended   chan struct{}
	endErr  error // set when ended is closed
	web     *http.Client
}

// tunnelOptions are the options of the process, in addition to the lab's environment.
type tunnelOptions struct {
	env         []string // KEY=VALUE, has precedence
	descriptors int      // limit of open files, 0: unchanged
	smallPipe   bool     // stdout is a pipe of only 4 KiB
	cgroup      string   // file to which the process first writes its id; "": none
}

// startTunnel starts the binary with only the environment of the platform and returns when its
// ports are bound. The caller stops it.
func startTunnel(ctx context.Context, binary string, environ []string, o tunnelOptions) (*tunnel, error) {
	command := []string{binary, "run"}
	script := ""
	if o.descriptors > 0 {
		script += fmt.Sprintf("ulimit -n %d && ", o.descriptors)
	}
	if o.cgroup != "" {
		script += fmt.Sprintf("echo $$ >'%s' && ", o.cgroup)
	}
	if script != "" {
		command = append([]string{"sh", "-c", script + `exec "$0" "$@"`}, command...)
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // stop ends it cleanly
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_BROKER_PORTS=0",
		"KAFKA_TUNNEL_DRAIN_TIMEOUT=200ms", "KAFKA_TUNNEL_DRAIN_QUIET=100ms",
	}, environ...)
	cmd.Env = append(cmd.Env, o.env...)
	log, stdout, err := newLogReader(o.smallPipe)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = stdout, stdout
	err = cmd.Start()
	_ = stdout.Close()
	if err != nil {
		log.close()
		return nil, fmt.Errorf("starting the tunnel: %w", err)
	}
	t := &tunnel{
		cmd: cmd, log: log, ended: make(chan struct{}),
		web: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	go t.reap()
	if err := t.bound(ctx); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	return t, nil
}

// reap is the goroutine that waits for the end of the process.
func (t *tunnel) reap() {
	t.endErr = t.cmd.Wait()
	close(t.ended)
}

// bound waits for the line that names the bound addresses.
func (t *tunnel) bound(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := until(ctx, 5*time.Millisecond, func() (bool, error) {
		if !t.alive() {
			return false, fmt.Errorf("it exited: %w", t.endErr)
		}
		listen, admin, ok := t.log.addresses()
		if ok {
			_, port, err := net.SplitHostPort(listen)
			t.address, t.admin = net.JoinHostPort("127.0.0.1", port), strings.TrimSuffix(admin, "/")
			return true, err
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("the tunnel is not bound: %w\n%s", err, t.log.text())
	}
	return nil
}

// alive reports whether the process is running.
func (t *tunnel) alive() bool {
	select {
	case <-t.ended:
		return false
	default:
		return true
	}
}

// stop stops the process and returns an error unless it exits cleanly.
func (t *tunnel) stop() error {
	defer t.log.close()
	t.log.resume() // a blocked log must not prevent the exit
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.ended:
		return t.endErr
	case <-time.After(20 * time.Second):
	}
	_ = t.cmd.Process.Kill()
	<-t.ended
	return errors.New("the tunnel did not exit within 20 s after SIGTERM")
}

// get requests a path of the admin address.
func (t *tunnel) get(ctx context.Context, client *http.Client, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.admin+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	return client.Do(request)
}

// live requests /livez.
func (t *tunnel) live(ctx context.Context) error {
	response, err := t.get(ctx, t.web, "/livez")
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/livez: %s", response.Status)
	}
	return nil
}

// until calls done repeatedly until it returns true or an error, or ctx ends.
func until(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
