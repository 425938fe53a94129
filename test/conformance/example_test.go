//go:build conformance

package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// TestExampleApp runs examples/cf-app like the platform: application and tunnel side by side,
// SIGTERM to both at the same time.
func TestExampleApp(t *testing.T) {
	l := startLandscape(t)
	tp := startTunnel(t, l)
	free, err := realkafka.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	app := fmt.Sprintf("http://127.0.0.1:%d", free[0])
	cmd := node(t, filepath.Join("..", "..", "examples", "cf-app"), "server.js")
	p, err := proc.Start(proc.Options{
		Name: "cf-app", Args: cmd.Args, Dir: cmd.Dir, Log: filepath.Join(workDir(t), "app.log"),
		Env: append(cmd.Env, "PORT="+strconv.Itoa(free[0]), "KAFKA_BOOTSTRAP_SERVERS="+tp.bootstrap, "TUNNEL_ADMIN="+tp.admin),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop(10 * time.Second)
		if t.Failed() {
			t.Log(p.Tail(40))
		}
	})
	// request returns nil if the response of the application matches.
	request := func(ctx context.Context, method, path, body string, status int, word string) error {
		req, err := http.NewRequestWithContext(ctx, method, app+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := web().Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status || !strings.Contains(string(answer), word) {
			return fmt.Errorf("%s %s: %d %s %w", method, path, resp.StatusCode, answer, err)
		}
		return nil
	}
	until(t, time.Minute, "the application produces", func(ctx context.Context) error {
		return request(ctx, http.MethodPost, "/messages", "hello from a test", http.StatusCreated, "partition")
	})
	until(t, time.Minute, "the application shows what it consumed", func(ctx context.Context) error {
		return request(ctx, http.MethodGet, "/messages", "", http.StatusOK, "hello from a test")
	})
	until(t, 10*time.Second, "the application reports that it is healthy", func(ctx context.Context) error {
		return request(ctx, http.MethodGet, "/health", "", http.StatusOK, "ready")
	})

	start := time.Now()
	for _, target := range []*proc.Process{tp.proc, p} {
		if err := target.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(deadline(t), 30*time.Second)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		t.Errorf("the application did not exit cleanly: %v", err)
	}
	tp.stopped = true
	if err := tp.proc.Wait(ctx); err != nil {
		t.Errorf("the tunnel did not exit cleanly: %v", err)
	}
	t.Logf("both ended %v after SIGTERM; the platform gives them ten seconds", time.Since(start).Round(time.Millisecond))
}
