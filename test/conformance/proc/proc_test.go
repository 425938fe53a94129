package proc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain makes the test binary run as the processes that the tests start.
func TestMain(m *testing.M) {
	switch os.Getenv("PROC_TEST_ROLE") {
	case "fail":
		fmt.Fprintln(os.Stderr, "a word on standard error")
		os.Exit(7)
	case "wait":
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func options(t *testing.T, role string) Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Name: role,
		Args: []string{self},
		Env:  append(os.Environ(), "PROC_TEST_ROLE="+role),
		Log:  filepath.Join(t.TempDir(), "log"),
	}
}

func TestExitCodeAndLog(t *testing.T) {
	p, err := Start(options(t, "fail"))
	if err != nil {
		t.Fatal(err)
	}
	err = p.Wait(t.Context())
	if err == nil || !strings.Contains(err.Error(), "a word on standard error") {
		t.Errorf("Wait = %v, want an error that quotes the log", err)
	}
	if got := p.ExitCode(); got != 7 {
		t.Errorf("exit code %d, want 7", got)
	}
	if p.Running() {
		t.Error("still running after its end")
	}
}

func TestStop(t *testing.T) {
	stdin, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer stdin.Close()
	o := options(t, "wait")
	r, stdout := io.Pipe()
	o.Stdin, o.Stdout = stdin, stdout
	p, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("first line %q, %v", line, err)
	}
	if got := p.Stop(time.Minute); got != -1 {
		t.Errorf("exit code %d, want -1 for a death by signal", got)
	}
	p.Stop(0) // twice is harmless
}

func TestWaitEndsWithContext(t *testing.T) {
	stdin, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer stdin.Close()
	o := options(t, "wait")
	o.Stdin = stdin
	p, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("Wait = %v, want an error about the time", err)
	}
	if p.Running() {
		t.Error("still running after Wait gave it up")
	}
}

func TestStartFails(t *testing.T) {
	if _, err := Start(Options{Name: "nothing", Log: filepath.Join(t.TempDir(), "log")}); err == nil {
		t.Error("no program: no error")
	}
	if _, err := Start(Options{Name: "absent", Args: []string{filepath.Join(t.TempDir(), "absent")}, Log: filepath.Join(t.TempDir(), "log")}); err == nil {
		t.Error("absent program: no error")
	}
}
