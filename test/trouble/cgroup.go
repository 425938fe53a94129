//go:build linux

package trouble

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// ErrNoCgroup means that no memory cgroup can be created.
var ErrNoCgroup = errors.New("no memory cgroup can be created")

// A cgroup is a cgroup with a memory limit, like a container.
type cgroup struct {
	dir     string
	unified bool // version 2
}

// cgroups counts the cgroups of this process, for their names.
var cgroups atomic.Int64

// newCgroup creates a cgroup with this limit, without swap; remove removes it. The error is or
// wraps ErrNoCgroup.
func newCgroup(limit int64) (*cgroup, error) {
	name := fmt.Sprintf("kafka-tunnel-%d-%d", os.Getpid(), cgroups.Add(1))
	root, unified := "/sys/fs/cgroup/memory", false
	if controllers, err := os.ReadFile("/sys/fs/cgroup/cgroup.subtree_control"); err == nil {
		if !strings.Contains(string(controllers), "memory") {
			return nil, fmt.Errorf("%w: the memory controller is not enabled in /sys/fs/cgroup/cgroup.subtree_control", ErrNoCgroup)
		}
		root, unified = "/sys/fs/cgroup", true
	}
	g := &cgroup{dir: filepath.Join(root, name), unified: unified}
	if err := os.Mkdir(g.dir, 0o755); err != nil { //nolint:gosec // a folder of the kernel's
		return nil, fmt.Errorf("%w: %w", ErrNoCgroup, err)
	}
	files := map[string]string{"memory.limit_in_bytes": strconv.FormatInt(limit, 10)}
	if unified {
		files = map[string]string{"memory.max": strconv.FormatInt(limit, 10), "memory.swap.max": "0"}
	}
	for file, value := range files {
		if err := os.WriteFile(filepath.Join(g.dir, file), []byte(value), 0); err != nil && file != "memory.swap.max" {
			g.remove()
			return nil, fmt.Errorf("%w: %w", ErrNoCgroup, err)
		}
	}
	return g, nil
}

// procs returns the file to which a process writes its id to enter the cgroup.
func (g *cgroup) procs() string { return filepath.Join(g.dir, "cgroup.procs") }

// killed returns how many processes the kernel has killed because memory was short.
func (g *cgroup) killed() int {
	file := "memory.oom_control"
	if g.unified {
		file = "memory.events"
	}
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "oom_kill" {
			n, _ := strconv.Atoi(fields[1])
			return n
		}
	}
	return 0
}

// remove removes the cgroup, which must have no process.
func (g *cgroup) remove() { _ = os.Remove(g.dir) }
