//go:build linux

package trouble

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/procfs"
)

// rss returns the resident memory in bytes.
func (t *tunnel) rss() (int64, error) { return t.memory("VmRSS") }

// memory returns a field of proc(5), status, in bytes.
func (t *tunnel) memory(name string) (int64, error) {
	return procfs.Bytes(t.cmd.Process.Pid, "status", name)
}

// tick is the unit of processor time in proc(5).
const tick = 10 * time.Millisecond

// cpu returns the processor time of all threads (proc(5), stat: utime and stime).
func (t *tunnel) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(procfs.Path(t.cmd.Process.Pid, "stat"))
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
	return time.Duration(ticks) * tick, nil
}

// descriptors are the open file descriptors of the tunnel.
type descriptors struct {
	all     int
	pipes   int             // pipes, each of which has two ends; without stdout
	sockets map[string]bool // inodes
}

func (t *tunnel) descriptors() (descriptors, error) {
	open, err := procfs.Descriptors(t.cmd.Process.Pid)
	pipes := map[string]bool{}
	for fd, link := range open {
		if fd > 2 && strings.HasPrefix(link, "pipe:[") {
			pipes[link] = true
		}
	}
	return descriptors{all: len(open), pipes: len(pipes), sockets: procfs.SocketInodes(open)}, err
}

// samples are the lines of /metrics: name and labels unchanged, and the value.
type samples map[string]float64

// metrics requests /metrics, on a connection of its own.
func (t *tunnel) metrics(ctx context.Context) (samples, error) { return t.metricsWith(ctx, t.web) }

func (t *tunnel) metricsWith(ctx context.Context, client *http.Client) (samples, error) {
	response, err := t.get(ctx, client, "/metrics")
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %s", response.Status)
	}
	all := samples{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			all[line[:at]] = v
		}
	}
	return all, lines.Err()
}

// sum adds up the series of a family.
func (s samples) sum(family string) float64 {
	var sum float64
	for series, v := range s {
		if name, _, _ := strings.Cut(series, "{"); name == family {
			sum += v
		}
	}
	return sum
}

// failures returns failures_total by code, for a report.
func (s samples) failures() string {
	var list []string
	const family = "kafka_tunnel_failures_total{code="
	for series, v := range s {
		if code, ok := strings.CutPrefix(series, family); ok && v > 0 {
			list = append(list, strings.Trim(code, `"}`)+" "+number(v))
		}
	}
	return sorted(list)
}
