//go:build conformance

package conformance

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// records is how many records each client produces and consumes.
const records = 100_000

// helperRole is the environment variable that makes the test binary run as the command that the
// lab starts with --exec.
const helperRole = "CONFORMANCE_HELPER_OUT"

// TestMain runs the helper if requested, else the tests, and stops the shared cluster
// afterwards.
func TestMain(m *testing.M) {
	if out := os.Getenv(helperRole); out != "" {
		os.Exit(playHelper(out))
	}
	code := m.Run()
	if *compatOut != "" && code == 0 {
		if err := writePage(*compatOut); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if *compatQuick != "" && code == 0 {
		if err := writeQuick(*compatQuick); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// playHelper writes its address to the file out, atomically, and runs until its standard input
// is closed.
func playHelper(out string) int {
	tmp := out + ".new"
	if err := os.WriteFile(tmp, []byte(os.Getenv("KAFKA_BOOTSTRAP_SERVERS")), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Rename(tmp, out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// shared is used by all tests; each part is created when it is first needed.
var shared environment

type environment struct {
	mu      sync.Mutex
	dir     string
	jars    realkafka.Classpath
	cluster *realkafka.Cluster
	binary  string
}

// close stops the cluster. The logs remain if KAFKA_TUNNEL_KEEP is set.
func (e *environment) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var err error
	if e.cluster != nil {
		err = e.cluster.Close()
	}
	if e.dir != "" && os.Getenv("KAFKA_TUNNEL_KEEP") == "" {
		_ = os.RemoveAll(e.dir)
	}
	return err
}

// workDir is the directory of this run.
func (e *environment) workDir() (string, error) {
	if e.dir != "" {
		return e.dir, nil
	}
	parent := os.Getenv("KAFKA_TUNNEL_KEEP")
	if parent != "" {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(parent, "kafka-tunnel-conformance-*")
	e.dir = dir
	return dir, err
}

// deadline limits the waits of a test: a minute before the test binary would panic without
// cleaning up.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx := t.Context()
	if end, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-time.Minute))
		t.Cleanup(cancel)
	}
	return ctx
}

// workDir returns a directory for this test's files. Unlike t.TempDir it remains if the run has
// to keep files.
func workDir(t *testing.T) string {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	dir, err := shared.workDir()
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.MkdirTemp(dir, filepath.Base(t.Name())+"-*") //nolint:usetesting // outlives the test when KAFKA_TUNNEL_KEEP is set
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// classpath is Apache Kafka, with its tools.
func classpath(t *testing.T) realkafka.Classpath {
	t.Helper()
	ctx := deadline(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.jars == "" {
		jars, err := realkafka.Jars(ctx, "pom.xml")
		if err != nil {
			t.Fatal(err)
		}
		shared.jars = jars
	}
	return shared.jars
}

// releaseOf finds a release by its version.
func releaseOf(t *testing.T, version string) realkafka.Release {
	t.Helper()
	releases := realkafka.Releases()
	i := slices.IndexFunc(releases, func(r realkafka.Release) bool { return r.Version == version })
	if i < 0 {
		t.Fatalf("no release %s", version)
	}
	return releases[i]
}

// releaseJars are those of a release, with its tools if it has them.
func releaseJars(t *testing.T, r realkafka.Release) realkafka.Classpath {
	t.Helper()
	jars, err := r.Jars(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	return jars
}

// ownCluster starts brokers for one test, of the release in the options, which advertise
// realName.
func ownCluster(t *testing.T, o realkafka.Options) *realkafka.Cluster {
	t.Helper()
	if o.Jars == "" {
		o.Jars = releaseJars(t, o.Release)
	}
	if o.Heap == "" {
		o.Heap = "512m" // with a thousand topics 160 MB are full, and brokers only collect garbage
	}
	o.Dir = filepath.Join(workDir(t), "kafka")
	o.Advertise = func(id, _ int) string { return realName(id) }
	c, err := realkafka.Start(deadline(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// cluster is three brokers of Apache Kafka that advertise realName(1) to realName(3).
func cluster(t *testing.T) *realkafka.Cluster {
	t.Helper()
	jars, ctx := classpath(t), deadline(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster == nil {
		dir, err := shared.workDir()
		if err != nil {
			t.Fatal(err)
		}
		c, err := realkafka.Start(ctx, realkafka.Options{
			Jars: jars, Brokers: 3, Dir: filepath.Join(dir, "kafka"),
			Advertise: func(id, _ int) string { return realName(id) },
		})
		if err != nil {
			t.Fatal(err)
		}
		shared.cluster = c
	}
	return shared.cluster
}

// realDomain is part of every name that the real brokers advertise, and of nothing else: no
// client must ever see it.
const realDomain = "onprem.invalid"

func realName(id int) string { return fmt.Sprintf("kafka-%d.%s:9092", id, realDomain) }

// tunnelBinary is kafka-tunnel as released: static. $KAFKA_TUNNEL_BIN names an existing binary.
func tunnelBinary(t *testing.T) string {
	t.Helper()
	ctx := deadline(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.binary != "" {
		return shared.binary
	}
	if given := os.Getenv("KAFKA_TUNNEL_BIN"); given != "" {
		shared.binary = given
		return given
	}
	dir, err := shared.workDir()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "kafka-tunnel")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin, "../../cmd/kafka-tunnel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build kafka-tunnel: %v\n%s", err, out)
	}
	shared.binary = bin
	return bin
}

// nodeModules installs the modules of the lock file in dir, once, outside the repository, and
// returns the folder for NODE_PATH.
func nodeModules(t *testing.T, dir string) string {
	t.Helper()
	modules, err := npm(deadline(t), dir, nil, "--ignore-scripts")
	if err != nil {
		t.Fatal(err)
	}
	return modules
}

// npm is nodeModules with further environment variables and options.
func npm(ctx context.Context, dir string, env []string, options ...string) (modules string, err error) {
	inputs := []string{filepath.Join(dir, "package.json"), filepath.Join(dir, "package-lock.json")}
	installed, err := realkafka.Cached("npm-"+filepath.Base(dir), inputs, func(into string) error {
		for _, in := range inputs {
			b, err := os.ReadFile(in)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(into, filepath.Base(in)), b, 0o644); err != nil {
				return err
			}
		}
		return tries(ctx, into, env, "npm", append([]string{"ci", "--no-audit", "--no-fund"}, options...)...)
	})
	return filepath.Join(installed, "node_modules"), err
}

// pythonPackages installs the packages in dir/requirements.txt, once, outside the repository,
// and returns the folder for PYTHONPATH.
func pythonPackages(t *testing.T, dir string) string {
	t.Helper()
	ctx := deadline(t)
	requirements := filepath.Join(dir, "requirements.txt")
	installed, err := realkafka.Cached("python-"+filepath.Base(dir), []string{requirements}, func(into string) error {
		// Into a folder of its own: a virtual environment requires a package that some systems
		// do not have.
		cmd := exec.CommandContext(ctx, "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
			"--target", filepath.Join(into, "packages"), "-r", requirements)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("pip install -r %s: %w\n%s", requirements, err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(installed, "packages")
}
