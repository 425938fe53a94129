//go:build linux

package trouble

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// A Peer is the behaviour of one side of the connections of [Memory].
type Peer string

// The peers.
const (
	Reads    Peer = "clients read"
	Ignores  Peer = "clients do not read"
	Trickles Peer = "the broker trickles"
)

// MemoryOptions are the load on a container with the manifest's memory.
type MemoryOptions struct {
	Response    Large         // default LargeProduce
	Connections int           // default 200
	Peer        Peer          // default Reads
	Time        time.Duration // how long clients that do not read stay connected, default 20 s
}

// The manifest's memory, and the limit for resident memory.
const (
	containerMemory = 64 << 20
	residentMemory  = 56 << 20
)

// Memory makes a broker send large responses to many connections at the same time, through a
// tunnel in a real cgroup of 64 MiB. It returns ErrNoCgroup if none can be created.
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
	defer b.Close()
	t, err := startTunnel(ctx, binary, []string{
		"KAFKA_TUNNEL_CONNECTIVITY_VIA=direct", "KAFKA_TUNNEL_BOOTSTRAP=" + b.Address(), "MEMORY_LIMIT=64m",
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
	// The clients and the broker use the processors as well, so another client's latency is
	// compared with the same load of responses that pass unchanged. Clients that read end
	// after a third of a second, in which chance decides, so their load is repeated.
	rounds := 1
	if o.Peer == Reads {
		rounds = 5
	}
	var idles, usuals, durings []time.Duration
	answered := 0
	var failed error
	for range rounds {
		_, _, usual, err := loaded(ctx, t.address, b, o, true)
		if err != nil {
			return fmt.Errorf("responses that pass: %w", err)
		}
		all, idle, during, err := loaded(ctx, t.address, b, o, false)
		if err != nil {
			if !t.alive() {
				return nil
			}
			return err
		}
		answered += all.answered
		failed = cmp.Or(failed, all.failed)
		idles, usuals, durings = append(idles, idle), append(usuals, usual), append(durings, during)
	}
	if o.Peer != Ignores {
		r.same("responses of which clients received every byte", float64(answered), float64(rounds*o.Connections))
		if failed != nil {
			r.note("error of another one", "%v", failed)
		}
	}
	idle, usual, during := median(idles), median(usuals), median(durings)
	r.timedMost("another client's small request, as a ratio to the same load of responses that pass", float64(during)/float64(max(usual, idle)), hurt, "")
	r.note("the same as times: idle, responses that pass, these", "%.0f µs, %.0f µs, %.0f µs", idle.Seconds()*1e6, usual.Seconds()*1e6, during.Seconds()*1e6)
	return nil
}

// loaded makes all clients request responses, which with pass are not rewritten, and returns
// the latency of another client's small request before and during that.
func loaded(ctx context.Context, address string, b *largeBroker, o MemoryOptions, pass bool) (all *askers, before, during time.Duration, err error) {
	other, done, err := dial(ctx, address)
	defer done()
	if err != nil {
		return nil, 0, 0, err
	}
	if before, err = ping(other, 300); err != nil {
		return nil, 0, 0, err
	}
	all = askLarge(ctx, address, b, o, pass)
	defer all.wait()
	var times []time.Duration
	for !all.ended() {
		took, err := ping(other, 20)
		if err != nil {
			return nil, 0, 0, err
		}
		times = append(times, took)
	}
	return all, before, max(before, median(times)), nil
}

// peak returns the highest resident memory so far, 0 if the tunnel has ended.
func (t *tunnel) peak() (int64, error) {
	peak, err := t.memory("VmHWM")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return peak, err
}

// askers are clients that request a large response at the same time.
type askers struct {
	work sync.WaitGroup
	done chan struct{}

	mu       sync.Mutex
	answered int
	failed   error
}

// askLarge connects all clients; each sends one request.
func askLarge(ctx context.Context, address string, b *largeBroker, o MemoryOptions, pass bool) *askers {
	a := &askers{done: make(chan struct{})}
	for range o.Connections {
		a.work.Go(func() {
			err := askOne(ctx, address, b, o, pass)
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

func askOne(ctx context.Context, address string, b *largeBroker, o MemoryOptions, pass bool) error {
	conn, done, err := dial(ctx, address)
	defer done()
	if err != nil {
		return err
	}
	if _, err := conn.Write(b.request(pass)); err != nil {
		return err
	}
	if o.Peer == Ignores {
		return pause(ctx, o.Time)
	}
	return b.check(conn, pass)
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
