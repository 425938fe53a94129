package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// pipe returns a pipe whose ends are closed with the test.
func pipe(tb testing.TB) (r, w *os.File) {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestStatusIsTheCommandsOwn(t *testing.T) {
	for _, want := range []int{0, 1, 7, 69, 126, 127, 255} {
		got, err := Run(t.Context(), Options{Args: self(t), Env: role("exit", strconv.Itoa(want))})
		if got != want || err != nil {
			t.Errorf("status %d: got %d, %v", want, got, err)
		}
	}
}

func TestStatusOfWhatCannotRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := []struct {
		name    string
		args    []string
		want    int
		message string
		unix    bool // Windows has no such bit or line
	}{
		{"no arguments", nil, ExitUsage, "no command was given", false},
		{"empty command", []string{""}, ExitUsage, "no command was given", false},
		{"not in PATH", []string{"no-such-command-anywhere"}, ExitNotFound, "command not found: no-such-command-anywhere", false},
		{"no such file", []string{filepath.Join(dir, "absent"), "secret"}, ExitNotFound, "command not found: " + filepath.Join(dir, "absent"), false},
		{"not executable", []string{write("data", "x", 0o600)}, ExitNotExecutable, "permission denied", true},
		{"a folder", []string{dir}, ExitNotExecutable, "cannot execute", true},
		{"no interpreter", []string{write("script", "#!/no/such/interpreter\n", 0o700)}, ExitNotExecutable, "see its first line", true},
		{"no format", []string{write("rubbish", "rubbish", 0o700)}, ExitNotExecutable, "exec format error", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.unix && runtime.GOOS == "windows" {
				t.Skip("a matter of Unix")
			}
			got, err := Run(t.Context(), Options{Args: c.args})
			if got != c.want || err == nil || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %d, %v; want %d, %q", got, err, c.want, c.message)
			}
			if f := (*StartError)(nil); c.want != ExitUsage && (!errors.As(err, &f) || f.Status != c.want) {
				t.Errorf("%v is no StartError with status %d", err, c.want)
			}
		})
	}
}

func TestStreamsAreTheCommands(t *testing.T) {
	in, toChild := pipe(t)
	fromChild, out := pipe(t)
	errFromChild, errOut := pipe(t)
	toChild.WriteString("\x00bytes\r\n")
	toChild.Close()
	code, err := Run(t.Context(), Options{Args: self(t), Env: role("echo", ""), Stdin: in, Stdout: out, Stderr: errOut})
	if code != 0 || err != nil {
		t.Fatalf("got %d, %v", code, err)
	}
	out.Close()
	errOut.Close()
	if got, _ := io.ReadAll(fromChild); string(got) != "\x00bytes\r\n" {
		t.Errorf("stdout has %q", got)
	}
	if got, _ := io.ReadAll(errFromChild); string(got) != "8 bytes" {
		t.Errorf("stderr has %q: something was added", got)
	}
}

func TestEnvironmentIsTheOneGiven(t *testing.T) {
	t.Setenv("PROCESS_TEST_OWN", "changed by the tunnel")
	fromChild, out := pipe(t)
	env := []string{quickExit, roleVariable + "=env=PROCESS_TEST_OWN", "PROCESS_TEST_OWN=as it was"}
	if runtime.GOOS == "windows" {
		env = append(env, "SYSTEMROOT="+os.Getenv("SYSTEMROOT"))
	}
	if code, err := Run(t.Context(), Options{Args: self(t), Env: env, Stdout: out}); code != 0 || err != nil {
		t.Fatalf("got %d, %v", code, err)
	}
	out.Close()
	if got, _ := io.ReadAll(fromChild); string(got) != "as it was" {
		t.Errorf("the command sees %q", got)
	}
}

func TestClosedSignalsChannelDoesNotSpin(t *testing.T) {
	signals := make(chan os.Signal)
	close(signals)
	if code, err := Run(t.Context(), Options{Args: self(t), Env: role("exit", "3"), Signals: signals}); code != 3 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}
}

func TestEndedContextStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Options{Args: self(t), Env: role("exit", "0")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestArgumentsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	args := append(self(t), "--password=hunter2")
	if _, err := Run(t.Context(), Options{Args: args, Env: role("exit", "0"), Logger: logger}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "command started") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("log: %s", log.String())
	}
}

func TestWithDefault(t *testing.T) {
	cases := []struct {
		name          string
		environ, want []string
	}{
		{"unset", []string{"A=1"}, []string{"A=1", "K=default"}},
		{"nothing at all", nil, []string{"K=default"}},
		{"set", []string{"K=mine", "A=1"}, []string{"K=mine", "A=1"}},
		{"empty", []string{"K=", "A=1"}, []string{"A=1", "K=default"}},
		{"longer name", []string{"KK=1", "XK=2"}, []string{"KK=1", "XK=2", "K=default"}},
		{"value with =", []string{"K=a=b"}, []string{"K=a=b"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := append([]string(nil), c.environ...)
			if diff := cmp.Diff(c.want, WithDefault(c.environ, "K", "default")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, c.environ); diff != "" {
				t.Errorf("the argument was changed: %s", diff)
			}
		})
	}
}

func TestWithDefaultKeepsEverythingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		environ := rapid.SliceOf(rapid.StringMatching(`[A-EK]{1,2}=[a-z=]{0,3}`)).Draw(t, "environ")
		got := WithDefault(environ, "K", "default")
		var others, gotOthers []string
		values := 0
		for _, line := range environ {
			if !strings.HasPrefix(line, "K=") {
				others = append(others, line)
			}
		}
		for _, line := range got {
			switch {
			case !strings.HasPrefix(line, "K="):
				gotOthers = append(gotOthers, line)
			case line != "K=":
				values++
			}
		}
		if diff := cmp.Diff(others, gotOthers); diff != "" {
			t.Fatal(diff)
		}
		if values == 0 {
			t.Fatalf("K has no value in %q", got)
		}
	})
}
