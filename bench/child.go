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
	if err := untilStarted(ctx, "http://127.0.0.1:"+admin+"/startup"); err != nil {
		c.stop()
		return nil, fmt.Errorf("the tunnel does not start: %w", err)
	}
	c.started = time.Since(begin)
	return c, nil
}

// untilStarted asks every millisecond.
func untilStarted(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	var client http.Client
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
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
