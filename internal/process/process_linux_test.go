package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// linuxParts are what the binary plays on Linux only.
func linuxParts() map[string]func(string) {
	return map[string]func(string){
		"reaper":   playReaper,
		"stealing": playStealing,
		"tunnel":   playTunnel,
		"count":    playCount,
	}
}

// playReaper is a tunnel that inherits orphans: it logs to stdout and runs a
// command that makes them. Afterwards no zombie may be left. With an argument it
// is not made a subreaper: process 1 needs neither that nor an option.
func playReaper(asProcess1 string) {
	if asProcess1 == "" {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			panic(err)
		}
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	code, err := Run(context.Background(), Options{
		Args: []string{"/bin/sh", "-c", leaveAndAwait}, Reap: asProcess1 == "", Logger: logger,
	})
	fmt.Println("end", code, err, "zombie", endedChild())
}

// playStealing runs commands that leave orphans and exit at the same time, and
// exits 1 if the reaper ever took a command's status from os/exec.
func playStealing(string) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	for i := range 100 {
		code, err := Run(context.Background(), Options{Args: []string{"/bin/sh", "-c", leaveOrphans}, Reap: true})
		if code != 7 || err != nil {
			fmt.Println("round", i, "got", code, err)
			os.Exit(1)
		}
	}
}

// A command that leaves orphans, which end at once, and exits 7.
const (
	orphanCount   = 4
	leaveOrphans  = "for i in 1 2 3 4; do (true &); done; exit 7"
	leaveAndAwait = "for i in 1 2 3 4; do (true &); done; cat; exit 7" // until stdin ends
)

// playTunnel runs a command that counts SIGINTs and forwards signals to it.
func playTunnel(string) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, Signals()...)
	code, err := Run(context.Background(), Options{
		Args: []string{must(os.Executable())}, Env: role("count", ""), Signals: signals,
	})
	if err != nil {
		panic(err)
	}
	os.Exit(code)
}

// playCount exits at a SIGTERM with the number of SIGINTs that came before it.
func playCount(string) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	fmt.Println("ready")
	count := 0
	for s := range signals {
		if s == syscall.SIGTERM {
			os.Exit(count)
		}
		count++
		fmt.Println("interrupt")
	}
}

// testReaping runs playReaper in cmd.
func testReaping(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	in, toCommand := pipe(t)
	fromTunnel, out := pipe(t)
	cmd.Stdin, cmd.Stdout = in, out
	if err := cmd.Start(); err != nil {
		for _, no := range []error{syscall.EPERM, syscall.EACCES, syscall.ENOSPC, syscall.EINVAL} {
			if cmd.SysProcAttr != nil && errors.Is(err, no) {
				t.Skipf("needs the right to make a process namespace: %v", err)
			}
		}
		t.Fatal(err)
	}
	out.Close()
	// All orphans are reaped while the command runs: it ends only after that.
	scanner, reaped := bufio.NewScanner(fromTunnel), 0
	var last string
	for scanner.Scan() {
		last = scanner.Text()
		if strings.Contains(last, "orphan reaped") {
			if reaped++; reaped == orphanCount {
				toCommand.Close()
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if reaped != orphanCount || last != "end 7 <nil> zombie 0" {
		t.Errorf("%d of %d orphans reaped; %s", reaped, orphanCount, last)
	}
}

func TestOrphansAreReaped(t *testing.T) { testReaping(t, playing("reaper", "")) }

func TestProcess1ReapsWithoutBeingAsked(t *testing.T) {
	cmd := playing("reaper", "1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	testReaping(t, cmd)
}

func TestReaperDoesNotStealTheStatus(t *testing.T) {
	if out, err := playing("stealing", "").Output(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// openTerminal returns both ends of a new pseudo-terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

func TestInterruptReachesTheCommandOnce(t *testing.T) {
	cases := []struct {
		name     string
		terminal bool // typed at a terminal, else sent by kill without one
	}{{"typed", true}, {"sent", false}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fromCommand, out := pipe(t)
			cmd := playing("tunnel", "")
			cmd.Stdout = out
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			var master *os.File
			if c.terminal {
				var slave *os.File
				master, slave = openTerminal(t)
				cmd.Stdin = slave
				cmd.SysProcAttr.Setctty = true // of fd 0
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out.Close()
			lines := bufio.NewScanner(fromCommand)
			line(t, lines) // ready
			if c.terminal {
				master.Write([]byte{3}) // Ctrl-C
			} else {
				cmd.Process.Signal(syscall.SIGINT)
			}
			line(t, lines) // interrupt
			// Signals are forwarded in order: had the SIGINT been forwarded beside
			// the terminal's own, the command would have it before this one.
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != 1 {
				t.Errorf("the command got %d interrupts", got)
			}
		})
	}
}
