package realkafka

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// archive returns a file with the classes that a broker loads, ready to be mapped into memory:
// it saves each start a third of its processor time. One start of one broker creates it, and it
// is kept with the jars. It is empty if it cannot be created: brokers also start without it.
// brokers start without it too.
func (c Classpath) archive(ctx context.Context) string {
	dir, err := c.makeArchive(ctx)
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "kafka.jsa")
}

func (c Classpath) makeArchive(ctx context.Context) (dir string, err error) {
	scratch, err := os.MkdirTemp("", "kafka-tunnel-archive-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	// An archive fits one JDK, one set of flags and one class path.
	version, err := exec.CommandContext(ctx, "java", "-version").CombinedOutput()
	if err != nil {
		return "", err
	}
	key := filepath.Join(scratch, "key")
	text := string(version) + strings.Join(Options{Jars: c}.brokerArgs("", ""), " ")
	if err := os.WriteFile(key, []byte(text), 0o644); err != nil {
		return "", err
	}
	return Cached("archive", []string{key}, func(dir string) error {
		free, err := FreePorts(3)
		if err != nil {
			return err
		}
		all := []ports{{id: 1, client: free[0], internal: free[1], controller: free[2]}}
		b, settings, err := prepare(Options{Dir: scratch, Advertise: func(_, port int) string {
			return fmt.Sprintf("127.0.0.1:%d", port)
		}}, all[0], all)
		if err != nil {
			return err
		}
		if err := c.format(ctx, b.dir, newID(), settings); err != nil {
			return err
		}
		args := Options{Jars: c}.brokerArgs("", settings)
		b.args = append([]string{args[0], "-XX:ArchiveClassesAtExit=" + filepath.Join(dir, "kafka.jsa")}, args[1:]...)
		if err := b.start(); err != nil {
			return err
		}
		cluster := &Cluster{Brokers: []*Broker{b}}
		if err := cluster.waitReady(ctx); err != nil {
			b.Kill()
			return err
		}
		b.proc.Stop(3 * stopGrace) // writing the archive takes a while
		_, err = os.Stat(filepath.Join(dir, "kafka.jsa"))
		return err
	})
}

// JavaWarm is Java for a main class that runs many times: with an archive of the classes that
// it loads when it is run with the arguments in warm, which must succeed. If that fails, there
// is no archive.
func (c Classpath) JavaWarm(ctx context.Context, main string, warm ...string) []string {
	command := c.Java(main)
	scratch, err := os.MkdirTemp("", "kafka-tunnel-archive-*")
	if err != nil {
		return command
	}
	defer os.RemoveAll(scratch)
	version, err := exec.CommandContext(ctx, "java", "-version").CombinedOutput()
	key := filepath.Join(scratch, "key")
	if err != nil || os.WriteFile(key, []byte(string(version)+strings.Join(append(command, warm...), " ")), 0o644) != nil {
		return command
	}
	dir, err := Cached("archive", []string{key}, func(dir string) error {
		args := slices.Concat([]string{"-XX:ArchiveClassesAtExit=" + filepath.Join(dir, "main.jsa")}, command[1:], warm)
		return exec.CommandContext(ctx, command[0], args...).Run()
	})
	if err != nil {
		return command
	}
	return slices.Insert(command, 1, "-XX:SharedArchiveFile="+filepath.Join(dir, "main.jsa"), "-Xshare:auto", "-Xlog:disable", "-Xlog:all=error:stderr")
}
