package process

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// roleVariable makes this test binary play a part in place of running tests: the
// commands that Run runs are the binary itself.
const roleVariable = "PROCESS_TEST_ROLE"

// play plays a part.
func play(name, argument string) {
	parts := map[string]func(argument string){
		"exit":     playExit,
		"echo":     playEcho,
		"signals":  playSignals,
		"env":      playEnv,
		"stubborn": playStubborn,
		"ignored":  playIgnored,
	}
	maps.Copy(parts, linuxParts())
	parts[name](argument)
}

func TestMain(m *testing.M) {
	if name, argument, ok := strings.Cut(os.Getenv(roleVariable), "="); ok {
		play(name, argument)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// quickExit keeps a binary with the race detector from sleeping for a second
// before it exits.
const quickExit = "GORACE=atexit_sleep_ms=0"

// role returns an environment in which the binary plays a part.
func role(name, argument string) []string {
	return append(os.Environ(), quickExit, roleVariable+"="+name+"="+argument)
}

// self returns the command line of the binary.
func self(tb testing.TB) []string {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return []string{path}
}

// playing returns the binary as a command that plays a part.
func playing(name, argument string) *exec.Cmd {
	cmd := exec.Command(must(os.Executable()))
	cmd.Env = role(name, argument)
	cmd.Stderr = os.Stderr
	return cmd
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// playExit exits with a status.
func playExit(status string) { os.Exit(must(strconv.Atoi(status))) }

// playEcho copies stdin to stdout and reports it on stderr.
func playEcho(string) {
	n := must(io.Copy(os.Stdout, os.Stdin))
	fmt.Fprintf(os.Stderr, "%d bytes", n)
}

// playSignals prints each signal that arrives and exits when stdin ends. With an
// argument it exits with that status after the first SIGTERM.
func playSignals(status string) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, Signals()...)
	fmt.Println("ready")
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for s := range signals {
		fmt.Println(s)
		if status != "" && s == Signals()[0] {
			os.Exit(must(strconv.Atoi(status)))
		}
	}
}

// playEnv prints one variable.
func playEnv(name string) { fmt.Print(os.Getenv(name)) }

// playStubborn ignores SIGTERM and reports that.
func playStubborn(string) {
	signal.Ignore(syscall.SIGTERM)
	os.Stdout.WriteString("ready\n")
	select {}
}

// playIgnored prints what Signals makes of an ignored SIGHUP.
func playIgnored(string) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGTERM)
	for _, s := range Signals() {
		os.Stdout.WriteString(s.String() + "\n")
	}
}
