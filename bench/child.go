//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A child is one running candidate.
type child struct {
	cmd     *exec.Cmd
	address string        // bootstrap address of clients
	admin   string        // of a tunnel
	started time.Duration // from the start of the process to the first response
	env     []string      // environment of the tunnel in the lab; nil: none
	cleanup func()        // nil: nothing else to stop
}

// stop stops the child and waits for it.
func (c *child) stop() {
	if c.cmd != nil && c.cmd.Process != nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
	if c.cleanup != nil {
		c.cleanup()
	}
}

// launch starts a command and calls ready every millisecond until it returns true.
func launch(ctx context.Context, cmd *exec.Cmd, address string, ready func() bool) (*child, error) {
	cmd.Stderr = os.Stderr
	c := &child{cmd: cmd, address: address}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.stop()
			return nil, fmt.Errorf("%s does not start: %w", cmd.Path, ctx.Err())
		}
	}
	c.started = time.Since(begin)
	return c, nil
}

// startRelay starts this program as a relay.
func startRelay(ctx context.Context, mode, broker string, env ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + ports[0]
	cmd := exec.CommandContext(ctx, self, mode, broker, address)
	cmd.Env = append(os.Environ(), env...)
	if _, err := cmd.StdinPipe(); err != nil { // closing it stops the relay
		return nil, err
	}
	return launch(ctx, cmd, address, func() bool { return accepts(address) })
}

// startTunnel starts the tunnel and waits until /startup answers 200.
func startTunnel(ctx context.Context, binary string, env ...string) (*child, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "run")
	cmd.Env = append([]string{
		"KAFKA_TUNNEL_LISTEN=127.0.0.1:" + ports[0],
		"KAFKA_TUNNEL_BROKER_PORTS=0",
		"KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:" + ports[1],
	}, env...)
	c, err := launch(ctx, cmd, "127.0.0.1:"+ports[0], func() bool { return startedUp("127.0.0.1:" + ports[1]) })
	if err == nil {
		c.admin = "127.0.0.1:" + ports[1]
	}
	return c, err
}

// startWatched starts the tunnel and a viewer of its frames.
func startWatched(ctx context.Context, binary string, env ...string) (*child, error) {
	c, err := startTunnel(ctx, binary, env...)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "tap", "--json", "--admin-listen", c.admin)
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		c.cleanup = func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		_, err = bufio.NewReader(said).ReadString('\n') // the viewer has started
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// startLandscape starts the lab without a tunnel, in front of a broker, and returns the
// environment of a tunnel in it. The lab's processor time does not count for the tunnel.
func startLandscape(ctx context.Context, binary, broker, dir string) (*child, []string, error) {
	file, err := os.CreateTemp(dir, "lab-*.env")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close() }()
	cmd := exec.CommandContext(ctx, binary, "lab", "--landscape-only", "--env-file", file.Name(), "--upstream", broker)
	var env []string
	lab, err := launch(ctx, cmd, "", func() bool {
		text, err := os.ReadFile(file.Name())
		env = environment(string(text))
		return err == nil && len(env) > 0
	})
	return lab, env, err
}

// environment parses lines of the form export NAME='VALUE'; no value of the lab contains a
// quote.
func environment(text string) []string {
	var env []string
	for line := range strings.Lines(text) {
		if assignment, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			env = append(env, strings.ReplaceAll(assignment, "'", ""))
		}
	}
	return env
}

// startKafkaProxy starts grepplabs kafka-proxy with its defaults.
func startKafkaProxy(ctx context.Context, binary, broker string) (*child, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + ports[0]
	cmd := exec.CommandContext(ctx, binary, "server", "--log-level", "error",
		"--bootstrap-server-mapping", broker+","+address, "--http-listen-address", "127.0.0.1:"+ports[1])
	return launch(ctx, cmd, address, func() bool { return accepts(address) })
}

// startScript starts a proxy by a script, which gets the broker's host:port and the one to
// listen on, and becomes the proxy (exec).
func startScript(ctx context.Context, script, broker string) (*child, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + ports[0]
	return launch(ctx, exec.CommandContext(ctx, script, broker, address), address, func() bool { return accepts(address) })
}

// startHAProxy starts HAProxy in TCP mode with two threads.
func startHAProxy(ctx context.Context, binary, broker, dir string) (*child, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + ports[0]
	file := dir + "/haproxy-" + ports[0] + ".cfg"
	config := fmt.Sprintf("global\n  nbthread 2\n  maxconn 9000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"+
		"listen kafka\n  bind %s\n  server broker %s\n", address, broker)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return launch(ctx, exec.CommandContext(ctx, binary, "-db", "-f", file), address, func() bool { return accepts(address) })
}

func accepts(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// startedUp sends the request for /startup itself: an HTTP client of net/http takes longer than
// the tunnel to start.
func startedUp(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(conn, "GET /startup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.Contains(line, " 200 ")
}

// freePorts returns ports that were free a moment ago.
func freePorts(n int) ([]string, error) {
	ports := make([]string, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
	}
	return ports, nil
}
