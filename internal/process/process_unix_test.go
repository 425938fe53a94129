//go:build unix

package process

import (
	"bufio"
	"context"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestDeathBySignal(t *testing.T) {
	for s, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130, syscall.SIGKILL: 137, syscall.SIGHUP: 129, syscall.SIGUSR1: 128 + int(syscall.SIGUSR1)} {
		// A shell, because the Go runtime catches SIGUSR1.
		got, err := Run(t.Context(), Options{Args: []string{"/bin/sh", "-c", "kill -" + strconv.Itoa(int(s)) + " $$"}})
		if got != want || err != nil {
			t.Errorf("%v: got %d, %v; want %d", s, got, err, want)
		}
	}
}

// A result is what Run returned.
type result struct {
	code int
	err  error
}

// start runs a command in the background and returns its output and its end.
func start(ctx context.Context, t *testing.T, o Options) (*bufio.Scanner, <-chan result) {
	t.Helper()
	fromChild, out := pipe(t)
	o.Args, o.Stdout = self(t), out
	done := make(chan result, 1)
	go func() {
		code, err := Run(ctx, o)
		out.Close()
		done <- result{code, err}
	}()
	return bufio.NewScanner(fromChild), done
}

func line(t *testing.T, s *bufio.Scanner) string {
	t.Helper()
	if !s.Scan() {
		t.Fatalf("no more output: %v", s.Err())
	}
	return s.Text()
}

func TestEachSignalIsForwarded(t *testing.T) {
	in, toChild := pipe(t)
	signals := make(chan os.Signal)
	lines, done := start(t.Context(), t, Options{Env: role("signals", ""), Stdin: in, Signals: signals})
	if got := line(t, lines); got != "ready" {
		t.Fatalf("got %q", got)
	}
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGTERM} {
		signals <- s
		if got := line(t, lines); got != s.String() {
			t.Errorf("sent %v, the command got %q", s, got)
		}
	}
	if childReceived(syscall.SIGINT) {
		t.Log("SIGINT is not tried: this test runs in the foreground of a terminal")
	} else {
		signals <- syscall.SIGINT
		if got := line(t, lines); got != syscall.SIGINT.String() {
			t.Errorf("sent SIGINT, the command got %q", got)
		}
	}
	toChild.Close()
	if got := <-done; got != (result{0, nil}) {
		t.Errorf("got %+v", got)
	}
}

func TestTheCommandDecidesWhatASignalMeans(t *testing.T) {
	in, _ := pipe(t)
	signals := make(chan os.Signal, 1)
	lines, done := start(t.Context(), t, Options{Env: role("signals", "5"), Stdin: in, Signals: signals})
	line(t, lines)
	signals <- syscall.SIGTERM
	if got := <-done; got != (result{5, nil}) {
		t.Errorf("a command that handles SIGTERM and exits 5: got %+v", got)
	}
}

func TestEndOfContextTerminates(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, _ := pipe(t)
	lines, done := start(ctx, t, Options{Env: role("signals", "6"), Stdin: in})
	line(t, lines)
	cancel()
	if got := <-done; got != (result{6, nil}) {
		t.Errorf("got %+v", got)
	}
}

func TestEndOfContextKillsTheStubborn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	lines, done := start(ctx, t, Options{Env: role("stubborn", ""), KillAfter: time.Millisecond})
	line(t, lines)
	cancel()
	if got := <-done; got != (result{137, nil}) {
		t.Errorf("got %+v", got)
	}
}

func TestIgnoredSignalsStayIgnored(t *testing.T) {
	out, err := playing("ignored", "").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want string
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2} {
		want += s.String() + "\n"
	}
	if string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}
