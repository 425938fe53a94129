//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// runTool runs one command to its end and returns its standard output.
func runTool(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s\n%s", cmd.Args[:min(len(cmd.Args), 4)], err, tail(out.Bytes()), tail(errs.Bytes()))
	}
	return out.Bytes()
}

// tail is the end of an output, for messages.
func tail(b []byte) []byte { return b[max(0, len(b)-4000):] }

// inTopic reads a whole topic without the tunnel, with a client of another vendor, and returns
// its committed records.
func inTopic(t *testing.T, c *realkafka.Cluster, topic string) (d digest) {
	t.Helper()
	if err := readBack(deadline(t), c, topic, func(r *kgo.Record) { d.add(r.Key, r.Value) }); err != nil {
		t.Fatal(err)
	}
	return d
}

// sameRecords fails the test unless all three have the same n records.
func sameRecords(t *testing.T, n int, produced, consumed, stored digest) {
	t.Helper()
	t.Logf("produced %v; consumed %v; in the topic %v", produced, consumed, stored)
	if produced.Count != n || consumed != produced || stored != produced {
		t.Errorf("the records differ, or are not %d", n)
	}
}

// node returns the command line of a program in this folder with the modules of its lock file.
func node(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(deadline(t), "node", args...)
	cmd.Dir = abs
	cmd.Env = append(clean(os.Environ()), "NODE_PATH="+nodeModules(t, dir), "KAFKAJS_NO_PARTITIONER_WARNING=1")
	return cmd
}

// python returns the command line of a program in this folder with the packages of its
// requirements file.
func python(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(deadline(t), python3(), args...)
	cmd.Dir = abs
	cmd.Env = append(clean(os.Environ()), "PYTHONPATH="+pythonPackages(t, dir), "PYTHONUTF8=1")
	return cmd
}

// python3 returns the interpreter itself: on some machines the command of that name is a shell
// script that searches for it, which is slow.
var python3 = sync.OnceValue(func() string {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if name := strings.TrimSpace(string(out)); err == nil && name != "" {
		return name
	}
	return "python3"
})

// A sniff is what sniff.js found in a Node program.
type sniff struct {
	Lookups, Peers, Found []string
	Bytes                 int
}

// kafkajs runs client.js in one mode and returns its digest and what was seen on its
// connections.
func kafkajs(t *testing.T, bootstrap string, args ...string) (digest, sniff) {
	t.Helper()
	out := filepath.Join(workDir(t), "sniff.json")
	cmd := node(t, "kafkajs", append([]string{"--require", "./sniff.js", "client.js"}, args...)...)
	cmd.Env = append(cmd.Env, "KAFKA_BOOTSTRAP_SERVERS="+bootstrap, "SNIFF_OUT="+out, "SNIFF_WORDS="+realDomain+",localhost")
	d, err := parseDigest(string(runTool(t, cmd)))
	if err != nil {
		t.Fatal(err)
	}
	var s sniff
	b, err := os.ReadFile(out)
	if err = errors.Join(err, json.Unmarshal(b, &s)); err != nil {
		t.Fatal(err)
	}
	return d, s
}

// onlyLoopback fails the test if a program looked up, connected to or received anything but
// loopback.
func (s sniff) onlyLoopback(t *testing.T) {
	t.Helper()
	t.Logf("lookups %q, peers %q, %d bytes received", s.Lookups, s.Peers, s.Bytes)
	for _, name := range s.Lookups {
		if name != "localhost" && !isLoopback(name) {
			t.Errorf("the client looked up %q", name)
		}
	}
	for _, peer := range s.Peers {
		if !isLoopback(peer) {
			t.Errorf("the client connected to %q", peer)
		}
	}
	// The tunnel's local name, which replaces them, proves that the observation works.
	if !direct() && !slices.Equal(s.Found, []string{"localhost"}) {
		t.Errorf("the client was sent the names %q, want localhost alone", s.Found)
	}
	if s.Bytes == 0 || len(s.Peers) == 0 {
		t.Error("nothing was seen: the observation does not work")
	}
}

// groupOffsets returns the sum of the offsets that a group has committed for a topic, queried
// without the tunnel.
func groupOffsets(ctx context.Context, c *realkafka.Cluster, group, topic string) (committed int64, err error) {
	err = c.Ask(func(client *kgo.Client) error {
		offsets, err := kadm.NewClient(client).FetchOffsets(ctx, group)
		offsets.Each(func(o kadm.OffsetResponse) {
			if o.Topic == topic {
				committed += o.At
			}
		})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	return committed, nil
}

// tool returns the command line of one of Kafka's own tools.
func tool(ctx context.Context, jars realkafka.Classpath, main string, args ...string) *exec.Cmd {
	line := jars.Java(main, args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = clean(os.Environ())
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func name(t *testing.T, suffix string) string {
	t.Helper()
	return fmt.Sprintf("%s-%s", t.Name(), suffix)
}
