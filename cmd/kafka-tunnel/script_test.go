package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kafka-tunnel": main})
}

// vcap is a service binding without a reachable service. The secret contains the characters
// that clients of UAA must escape.
const vcap = `{"connectivity":[{"label":"connectivity","name":"conn","instance_name":"conn","plan":"lite","tags":[],` +
	`"credentials":{"onpremise_proxy_host":"127.0.0.1","onpremise_socks5_proxy_port":"1","clientid":"sb-clone!b1|connectivity!b2",` +
	`"clientsecret":"s3cr3t!with|bars","token_service_url":"http://127.0.0.1:1"}}]}`

// TestScripts runs testdata/script: the command line as users see it, with exact exit codes.
func TestScripts(t *testing.T) {
	protocol, err := filepath.Abs("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("VCAP", vcap)
			env.Setenv("PROTOCOL", protocol)
			env.Setenv("GORACE", "atexit_sleep_ms=10") // a process with the race detector waits a second at its end
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":    exits,
			"freeport": freePort,
			"takeport": takePort,
			"waitfile": waitFile,
		},
	})
}

// exits CODE CMD ARGS... runs a command and compares its exit code. Its output is
// checked with stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE CMD ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s exited with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// freePort NAME sets a variable to a port that was free a moment ago.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	ts.Check(l.Close())
}

// takePort NAME sets a variable to a port that is in use until the script ends.
func takePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

// waitFile NAME waits until a file exists.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(time.Minute)
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not appear", args[0])
		}
		runtime.Gosched()
		<-time.After(10 * time.Millisecond)
	}
}
