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

// Build builds the tunnel in dir, as it is released, and returns the binary's path.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "kafka-tunnel")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "github.com/kafka-tunnel/kafka-tunnel/cmd/kafka-tunnel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the tunnel: %w\n%s", err, out)
	}
	return binary, nil
}

// A tunnel is the binary at work.
type tunnel struct {
	cmd     *exec.Cmd
	log     *logReader
	address string // where clients start, 127.0.0.1:port
	admin   string // base URL
	ended   chan struct{}
	endErr  error // set when ended is closed
	web     *http.Client
}

// tunnelOptions say how the tunnel runs, beside the environment of its landscape.
type tunnelOptions struct {
	env         []string // KEY=VALUE, wins
	descriptors int      // limit of open files, 0: as it is here
	smallPipe   bool     // stdout is a pipe that holds 4 KiB only
	cgroup      string   // file to which the process writes its id first, "": none
}

// startTunnel starts the binary with what the platform would give it and returns
// when its ports are bound. The caller stops it.
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
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // stop ends it, in good order
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
			return false, fmt.Errorf("it ended: %w", t.endErr)
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

// alive reports whether the process runs.
func (t *tunnel) alive() bool {
	select {
	case <-t.ended:
		return false
	default:
		return true
	}
}

// stop ends the process and returns whether it ended in good order.
func (t *tunnel) stop() error {
	defer t.log.close()
	t.log.resume() // a log that cannot be written must not be why it does not end
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.ended:
		return t.endErr
	case <-time.After(20 * time.Second):
	}
	_ = t.cmd.Process.Kill()
	<-t.ended
	return errors.New("the tunnel did not end within 20 s after SIGTERM")
}

// get asks the admin address for a path.
func (t *tunnel) get(ctx context.Context, client *http.Client, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.admin+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	return client.Do(request)
}

// live asks /livez.
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

// until asks again and again until done says true or an error, or ctx ends.
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
