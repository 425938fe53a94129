//go:build linux

package trouble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Peer is what is wrong with one side of the connections of [Memory].
type Peer string

// The peers.
const (
	Reads    Peer = "clients read"
	Ignores  Peer = "clients do not read"
	Trickles Peer = "the broker trickles"
)

// MemoryOptions say what comes at once in a container with the manifest's memory.
type MemoryOptions struct {
	Response    Large         // default LargeProduce
	Connections int           // default 200
	Peer        Peer          // default Reads
	Time        time.Duration // how long clients that do not read stay, default 20 s
}

// The manifest's memory, and how much of it may be resident.
const (
	containerMemory = 64 << 20
	residentMemory  = 56 << 20
)

// Memory lets a broker send large responses to many connections at once, to a tunnel in
// a real cgroup of 64 MiB. It returns ErrNoCgroup where none can be created.
func Memory(ctx context.Context, binary string, o MemoryOptions) (*Report, error) {
	o.Response = or(o.Response, LargeProduce)
	o.Connections = or(o.Connections, 200)
	o.Peer = or(o.Peer, Reads)
	o.Time = or(o.Time, 20*time.Second)
	r := &Report{Scenario: fmt.Sprintf("64 MiB container, %s to %d connections, %s", o.Response, o.Connections, o.Peer)}
	group, err := newCgroup(containerMemory)
	if err != nil {
		return nil, err
	}
	defer group.remove()
	b, err := startLargeBroker(o.Response, o.Peer == Trickles)
	if err != nil {
		return nil, err
	}
	defer b.close()
	t, err := startTunnel(ctx, binary, []string{
		"KAFKA_TUNNEL_CONNECTIVITY_VIA=direct", "KAFKA_TUNNEL_BOOTSTRAP=" + b.address(), "MEMORY_LIMIT=64m",
	}, tunnelOptions{cgroup: group.procs()})
	if err != nil {
		return nil, err
	}
	err = memory(ctx, t, b, o, r)
	peak, failed := t.peak()
	alive := t.alive()
	ended := t.stop()
	r.same("processes that the kernel has killed", float64(group.killed()), 0)
	switch {
	case !alive:
		r.must("the tunnel runs to the end", false, "")
		return r, nil
	case errors.Join(err, failed, ended) != nil:
		return nil, fmt.Errorf("%s: %w\n%s", r.Scenario, errors.Join(err, failed, ended), t.log.text())
	}
	r.most("peak of resident memory", mib(peak), mib(residentMemory), " MiB")
	return r, nil
}

func memory(ctx context.Context, t *tunnel, b *largeBroker, o MemoryOptions, r *Report) error {
	other, done, err := dial(ctx, t.address)
	defer done()
	if err != nil {
		return err
	}
	before, err := ping(other, 300)
	if err != nil {
		return err
	}
	all := askLarge(ctx, t.address, b, o)
	var during []time.Duration
	for !all.ended() && t.alive() {
		took, err := ping(other, 20)
		if err != nil {
			all.wait()
			if !t.alive() {
				return nil
			}
			return err
		}
		during = append(during, took)
	}
	all.wait()
	if o.Peer != Ignores {
		r.same("clients that got every byte", float64(all.answered), float64(o.Connections))
		if all.failed != nil {
			r.note("what happened to another one", "%v", all.failed)
		}
	}
	if len(during) > 0 {
		r.timedMost("another client's small request, as a ratio to before", float64(median(during))/float64(before), hurt, "")
	}
	return nil
}

// peak returns the largest resident memory so far (proc(5), VmHWM).
func (t *tunnel) peak() (int64, error) {
	status, err := os.ReadFile(t.proc("status"))
	if err != nil {
		return 0, nil // it has ended
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("no VmHWM")
}

// askers are clients that ask for a large response, all at once.
type askers struct {
	work sync.WaitGroup
	done chan struct{}

	mu       sync.Mutex
	answered int
	failed   error
}

// askLarge connects all clients; each asks once.
func askLarge(ctx context.Context, address string, b *largeBroker, o MemoryOptions) *askers {
	a := &askers{done: make(chan struct{})}
	for range o.Connections {
		a.work.Go(func() {
			err := askOne(ctx, address, b, o)
			a.mu.Lock()
			defer a.mu.Unlock()
			if err == nil {
				a.answered++
			} else {
				a.failed = err
			}
		})
	}
	go func() {
		a.work.Wait()
		close(a.done)
	}()
	return a
}

func askOne(ctx context.Context, address string, b *largeBroker, o MemoryOptions) error {
	conn, done, err := dial(ctx, address)
	defer done()
	if err != nil {
		return err
	}
	if _, err := conn.Write(b.request()); err != nil {
		return err
	}
	if o.Peer == Ignores {
		return pause(ctx, o.Time)
	}
	return b.check(conn)
}

func (a *askers) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

func (a *askers) wait() { <-a.done }
