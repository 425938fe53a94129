//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
)

// A stream is a kafkajs producer that writes a record every 50 ms, and repeats a record until
// it is acknowledged.
type stream struct {
	proc  *proc.Process
	out   string
	stdin io.Closer
}

func startStream(t *testing.T, bootstrap, topic string) *stream {
	t.Helper()
	dir := workDir(t)
	cmd := node(t, "kafkajs", "client.js", "stream", topic)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := &stream{out: filepath.Join(dir, "stream.out"), stdin: w}
	s.proc, err = proc.Start(proc.Options{
		Name: "kafkajs stream", Args: cmd.Args, Dir: cmd.Dir, Stdin: r, Log: s.out,
		Env: append(cmd.Env, "KAFKA_BOOTSTRAP_SERVERS="+bootstrap),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Close()
		s.proc.Stop(10 * time.Second)
		if t.Failed() {
			t.Log(s.proc.Tail(30))
		}
	})
	return s
}

// sent returns how many records were acknowledged so far.
func (s *stream) sent() int {
	b, err := os.ReadFile(s.out)
	if err != nil {
		return 0
	}
	return bytes.Count(b, []byte(`{"sent":`))
}

// advances waits until n more records were acknowledged.
func (s *stream) advances(t *testing.T, n int, limit time.Duration) {
	t.Helper()
	goal := s.sent() + n
	until(t, limit, "the producer advances", func(context.Context) error {
		if got := s.sent(); got < goal {
			return fmt.Errorf("%d of %d records", got, goal)
		}
		return nil
	})
}

// TestRecovery: token service and Cloud Connector fail while a client produces, and recover.
// The tunnel keeps running and reports which hop fails and why, and the client continues by
// itself. No output contains a secret.
func TestRecovery(t *testing.T) {
	c := cluster(t)
	// Short-lived tokens: new connections soon need a new one.
	l := startLandscape(t, "--upstream", upstream(c), "--token-life", "4s")
	tp := startTunnel(t, l)
	topic := name(t, "topic")
	s := startStream(t, tp.bootstrap, topic)
	s.advances(t, 20, time.Minute)
	tp.waitReady(t, 10*time.Second)
	tp.command(t, 0, "", "wait", "--max", "5s")

	t.Run("token service", func(t *testing.T) {
		end := l.fault(t, faults.TokenDown)
		until(t, time.Minute, "/readyz names the token service", func(ctx context.Context) error {
			_ = l.fault(t, faults.LinkReset) // makes the client reconnect
			return tp.notReady(ctx, failure.HopToken, failure.TokenUnreachable)
		})
		tp.command(t, 1, string(failure.TokenUnreachable), "wait", "--max", "1s")
		end()
		tp.waitReady(t, time.Minute)
		s.advances(t, 20, 90*time.Second)
	})

	t.Run("Cloud Connector", func(t *testing.T) {
		end := l.fault(t, faults.ConnectorAway)
		until(t, time.Minute, "/readyz names the Cloud Connector", func(ctx context.Context) error {
			return tp.notReady(ctx, failure.HopConnector, failure.ConnectorAway)
		})
		tp.command(t, 1, string(failure.ConnectorAway), "wait", "--max", "1s")
		end()
		tp.waitReady(t, time.Minute)
		s.advances(t, 20, 90*time.Second)
	})

	acknowledged := s.sent()
	if err := s.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.proc.Wait(deadline(t)); err != nil {
		t.Errorf("the producer did not exit cleanly: %v", err)
	}
	// A record may be in the topic twice: a client that lost the response sends it again.
	if stored := inTopic(t, c, topic); stored.Count < acknowledged {
		t.Errorf("%d records acknowledged, %d in the topic", acknowledged, stored.Count)
	}

	status, _, err := tp.get(deadline(t), "/status")
	if err != nil {
		t.Fatal(err)
	}
	metrics, _, err := tp.get(deadline(t), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	config := tp.command(t, 0, "", "config")
	tp.stop(t)
	log, err := os.ReadFile(tp.log)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"the log": string(log), "/status": string(status), "/metrics": string(metrics), "`config`": config,
	} {
		noSecret(t, what, text, credentials(t, l.env).Secret)
	}
}

// notReady returns nil once /readyz returns 503 with this hop and code, and advice.
func (tp *tunnelProcess) notReady(ctx context.Context, hop failure.Hop, code failure.Code) error {
	status, answer, err := tp.readiness(ctx)
	if err != nil {
		return err
	}
	for _, c := range answer.Clusters {
		if status == 503 && c.Hop == hop && c.Code == code && c.Advice != "" {
			return nil
		}
	}
	return fmt.Errorf("%d %+v", status, answer)
}

// command runs another command of the binary with the environment of the running tunnel, as in
// its container, and returns its whole output.
func (tp *tunnelProcess) command(t *testing.T, wantCode int, wantWord string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(deadline(t), tunnelBinary(t), args...)
	// A later variable has precedence: the real port of the tunnel.
	cmd.Env = append(slices.Clone(tp.env), "KAFKA_TUNNEL_ADMIN_LISTEN="+strings.TrimPrefix(tp.admin, "http://"))
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != wantCode || !bytes.Contains(out, []byte(wantWord)) {
		t.Errorf("%v: code %d (%v), want %d and %q in\n%s", args, code, err, wantCode, wantWord, out)
	}
	return string(out)
}

// jwt matches any token.
var jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}`)

// noSecret fails the test if a text contains the secret in any encoding, or anything that looks
// like a token.
func noSecret(t *testing.T, what, text, secret string) {
	t.Helper()
	if len(text) == 0 {
		t.Errorf("%s is empty: nothing was searched", what)
	}
	for dress, s := range map[string]string{
		"as it is": secret, "percent-encoded": url.QueryEscape(secret), "path-encoded": url.PathEscape(secret),
		"base64":          base64.RawStdEncoding.EncodeToString([]byte(secret)),
		"base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(secret)), "quoted": fmt.Sprintf("%q", secret),
	} {
		if strings.Contains(text, strings.Trim(s, `"`)) {
			t.Errorf("%s contains the client secret, %s", what, dress)
		}
	}
	if found := jwt.FindString(text); found != "" {
		t.Errorf("%s contains what looks like a token, %.12s...", what, found)
	}
}
