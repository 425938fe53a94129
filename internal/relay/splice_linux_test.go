package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// A flow is a running pump: bytes written to near come out at far.
type flow struct {
	pump      Pump
	near, far *net.TCPConn
	dst       *net.TCPConn // the pump's own end towards far
	moved     atomic.Int64
	done      chan error
}

func (f *flow) Moved(_ Direction, n int) { f.moved.Add(int64(n)) }
func (f *flow) Stalled()                 {}

// Run passes frames, each with a length prefix of four bytes.
func (f *flow) Run(Direction) {
	for {
		f.pump.InFrame(false)
		head, err := f.pump.Peek(4)
		if err == nil {
			f.pump.InFrame(true)
			err = f.pump.Pass(4 + int64(binary.BigEndian.Uint32(head)))
		}
		switch {
		case errors.Is(err, ErrParked) && f.pump.Park():
			return
		case errors.Is(err, ErrParked):
		case err != nil:
			f.pump.Free()
			f.done <- err
			return
		}
	}
}

// start starts n flows of one group.
func start(t *testing.T, g *Group, n int) []*flow {
	t.Helper()
	all := make([]*flow, n)
	for i := range all {
		f := &flow{done: make(chan error, 1)}
		var src *net.TCPConn
		f.near, src = testutil.Pair(t)
		f.dst, f.far = testutil.Pair(t)
		for _, conn := range []*net.TCPConn{f.near, src, f.dst, f.far} {
			_ = conn.SetReadBuffer(64 << 10)
			_ = conn.SetWriteBuffer(64 << 10)
		}
		f.pump.Init(g, f, FromServer)
		f.pump.Attach(src, f.dst)
		go f.Run(FromServer)
		t.Cleanup(func() { f.pump.Stop(); <-f.done })
		all[i] = f
	}
	return all
}

// frame is a frame whose body has size bytes.
func frame(size int) []byte {
	body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
	return append(binary.BigEndian.AppendUint32(nil, uint32(size)), body...)
}

// pass writes frames at one end and expects them at the other.
func (f *flow) pass(t *testing.T, frames ...[]byte) {
	t.Helper()
	want := bytes.Join(frames, nil)
	sent := make(chan error, 1)
	go func() {
		_, err := f.near.Write(want)
		sent <- err
	}()
	got := make([]byte, len(want))
	n, err := io.ReadFull(f.far, got)
	if err := errors.Join(err, <-sent); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d of %d bytes, equal: %v; %v", n, len(want), bytes.Equal(got, want), err)
	}
}

// TestLargeSpansAreSpliced: large spans are spliced, and the counted bytes are the
// bytes that arrived.
func TestLargeSpansAreSpliced(t *testing.T) {
	const size = 8 << 20
	g := &Group{Stall: time.Minute}
	f := start(t, g, 1)[0]
	all := [][]byte{frame(100), frame(size), frame(0), frame(size), frame(100_000)}
	f.pass(t, all...)
	if spliced := g.pipes.spliced.Load(); spliced < 2*size*8/10 {
		t.Errorf("%d of %d bytes were spliced", spliced, 2*size)
	}
	if got, want := f.moved.Load(), int64(len(bytes.Join(all, nil))); got != want {
		t.Errorf("%d bytes were counted, want %d", got, want)
	}
}

// TestStoppedReadersHoldFewPipes: more stopped readers than there are pipes get every
// byte when they continue.
func TestStoppedReadersHoldFewPipes(t *testing.T) {
	const size, n = 2 << 20, maxPipes + 8
	g := &Group{Stall: time.Minute}
	answer := frame(size)
	var all sync.WaitGroup
	stopped := make(chan struct{}, n)
	goOn := make(chan struct{})
	for _, f := range start(t, g, n) {
		all.Go(func() { _, _ = f.near.Write(answer) })
		all.Go(func() {
			got := make([]byte, 64<<10)
			_, err := io.ReadFull(f.far, got)
			stopped <- struct{}{}
			<-goOn
			whole := bytes.NewBuffer(got)
			if err == nil {
				_, err = io.CopyN(whole, f.far, int64(len(answer)-len(got)))
			}
			if err != nil || !bytes.Equal(whole.Bytes(), answer) {
				t.Errorf("%d bytes arrived: %v", whole.Len(), err)
			}
		})
	}
	for range n {
		<-stopped
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for used := 0; used < maxPipes; <-tick.C { // until all pipes are in use
		if used = g.PipesInUse(); used > maxPipes {
			t.Fatalf("%d pipes are in use", used)
		}
	}
	close(goOn)
	all.Wait()
}

// TestUnusedPipesAreClosed: a pipe is closed ten to twenty seconds after its last use.
func TestUnusedPipesAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		ps := &g.pipes
		one, two := ps.get(), ps.get()
		var names [2]string
		for i, p := range []*pipe{one, two} {
			names[i], _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", p.r))
		}
		ps.put(one)
		ps.put(two)
		for range 5 { // one of them stays in use
			time.Sleep(pipeIdle / 2) // synctest
			synctest.Wait()
			ps.put(ps.get())
		}
		if ps.open != 1 || g.PipesInUse() != 0 {
			t.Errorf("%d pipes are open, %d of them in use; want one and none", ps.open, g.PipesInUse())
		}
		time.Sleep(3 * pipeIdle) // synctest
		synctest.Wait()
		if ps.open != 0 {
			t.Errorf("%d pipes are open", ps.open)
		}
		for i, p := range []*pipe{one, two} {
			if name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", p.r)); name == names[i] {
				t.Errorf("%s is open", name)
			}
		}
	})
}

// unsent returns the limit on the bytes that the kernel accepts for a connection before
// they are sent.
func unsent(t *testing.T, conn *net.TCPConn) (bound int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if failed := raw.Control(func(fd uintptr) {
		bound, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
	}); failed != nil || err != nil {
		t.Fatal(failed, err)
	}
	return bound
}

// TestNoPipeIsNoFailure: without pipes, bytes are copied, and the kernel accepts fewer
// of them for a side that does not read.
func TestNoPipeIsNoFailure(t *testing.T) {
	g := &Group{}
	f := start(t, g, 1)[0]
	large := frame(4 << 20)
	f.pass(t, large)
	spliced := g.pipes.spliced.Load()
	if spliced == 0 || unsent(t, f.dst) == unsentLimit {
		t.Error("spliced nothing although a pipe was available")
	}
	g.pipes.mu.Lock() // the pump is waiting for the next frame, and none is coming
	g.pipes.open += maxPipes
	free := g.pipes.free
	g.pipes.free = nil
	g.pipes.mu.Unlock()
	f.pass(t, large)
	if g.pipes.spliced.Load() != spliced {
		t.Error("spliced although no pipe was available")
	}
	if got := unsent(t, f.dst); got != unsentLimit {
		t.Errorf("without a pipe the bound is %d", got)
	}
	g.pipes.mu.Lock()
	g.pipes.open -= maxPipes
	g.pipes.free = free
	g.pipes.mu.Unlock()
	f.pass(t, large)
	if g.pipes.spliced.Load() == spliced || unsent(t, f.dst) == unsentLimit {
		t.Error("spliced nothing although a pipe was available again")
	}
}

// TestAnEndInsideASpan: the end of the source or of the destination inside a span ends
// the pump and releases its pipe.
func TestAnEndInsideASpan(t *testing.T) {
	for name, end := range map[string]func(f *flow){
		"the source closes":      func(f *flow) { _ = f.near.Close() },
		"the source resets":      func(f *flow) { Abort(f.near) },
		"the destination closes": func(f *flow) { _ = f.far.Close() },
		"the destination resets": func(f *flow) { Abort(f.far) },
	} {
		t.Run(name, func(t *testing.T) {
			g := &Group{}
			f := start(t, g, 1)[0]
			half := frame(2 << 20)[:1<<20]
			go func() { _, _ = f.near.Write(half) }()
			if _, err := io.CopyN(io.Discard, f.far, int64(len(half))); err != nil {
				t.Fatal(err)
			}
			end(f)
			go func() { // the pump notices only on a write that the destination left
				for _, err := f.near.Write(half); err == nil; _, err = f.near.Write(half) {
				}
			}()
			err := <-f.done
			f.done <- err // for the cleanup
			if side, ok := errors.AsType[*Error](err); !ok || side.Write != strings.Contains(name, "destination") {
				t.Errorf("error %v", err)
			}
			if used := g.PipesInUse(); used != 0 {
				t.Errorf("%d pipes are still in use", used)
			}
		})
	}
}
