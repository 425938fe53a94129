//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A child is one candidate at work.
type child struct {
	cmd     *exec.Cmd
	address string        // where clients connect
	started time.Duration // from the start of the process to the first answer
}

func (c *child) stop() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// startTunnel starts the tunnel and waits until /startup answers 200.
func startTunnel(ctx context.Context, binary, broker string) (*child, error) {
	port, admin, err := twoPorts()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "run")
	cmd.Env = []string{
		"KAFKA_TUNNEL_BOOTSTRAP=" + broker,
		"KAFKA_TUNNEL_LISTEN=127.0.0.1:" + port,
		"KAFKA_TUNNEL_BROKER_PORTS=0",
		"KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:" + admin,
		"KAFKA_TUNNEL_CONNECTIVITY_VIA=direct",
	}
	cmd.Stderr = os.Stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, address: "127.0.0.1:" + port}
	for {
		response, err := http.Get("http://127.0.0.1:" + admin + "/startup") //nolint:noctx // bounded by the child's life
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				c.started = time.Since(begin)
				return c, nil
			}
		}
		if time.Since(begin) > 10*time.Second {
			c.stop()
			return nil, fmt.Errorf("the tunnel does not start: %w", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// startRelay starts this program as a bare relay, which prints its address.
func startRelay(ctx context.Context, broker string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "relay", broker)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.stop()
		return nil, err
	}
	c.started = time.Since(begin)
	c.address = strings.TrimSpace(line)
	return c, nil
}

// relay accepts, dials and copies, and knows nothing else.
func relay(broker string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", broker)
		if err != nil {
			_ = client.Close()
			continue
		}
		go copyOneWay(up, client)
		go copyOneWay(client, up)
	}
}

func copyOneWay(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

func twoPorts() (first, second string, err error) {
	var ports [2]string
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", err
		}
		defer func() { _ = l.Close() }()
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
	}
	return ports[0], ports[1], nil
}

// rss returns the resident memory of the child in bytes (proc(5), VmRSS).
func (c *child) rss() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS")
}

// cpu returns the processor time of all threads of the child (proc(5), stat:
// utime and stime in ticks of a hundredth of a second).
func (c *child) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
