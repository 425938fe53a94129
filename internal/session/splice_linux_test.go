package session

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// sessions starts n sessions of one handler.
func sessions(t *testing.T, h *Handler, n int) []*bench {
	t.Helper()
	all := make([]*bench, n)
	for i := range all {
		b := &bench{over: make(chan Summary, 1)}
		var inner, upstream *net.TCPConn
		b.client, inner = pair(t)
		b.broker, upstream = pair(t)
		b.upstream = upstream
		for _, conn := range []*net.TCPConn{b.client, inner, upstream, b.broker} {
			_ = conn.SetReadBuffer(64 << 10)
			_ = conn.SetWriteBuffer(64 << 10)
		}
		go h.Serve(t.Context(), inner, &owner{dial: to(upstream), over: b.over})
		all[i] = b
	}
	return all
}

// counts returns how many pipes are open, and how many of them somebody uses.
func (ps *pipes) counts() (open, used int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.open, ps.open - len(ps.free)
}

// TestLargeSpansGoByTheKernel: both ways, and what is counted is what came.
func TestLargeSpansGoByTheKernel(t *testing.T) {
	const size = 8 << 20
	h := &Handler{Stall: time.Minute, Mapper: kafka.MapperFunc(toLocalhost)}
	b := sessions(t, h, 1)[0]
	ask := request(heartbeat, 0, 1, strings.Repeat("0123456789abcdef", size/16))
	answer := fetched(17, 2, size)
	fetch := request(kafka.KeyFetch, 17, 2, "")
	go func() {
		_, _ = b.client.Write(ask)
		_, _ = b.client.Write(fetch)
	}()
	expect(t, b.broker, ask, fetch)
	go func() {
		_, _ = b.broker.Write(response(1, ""))
		_, _ = b.broker.Write(answer)
	}()
	expect(t, b.client, response(1, ""), answer)
	if spliced := h.pipes.spliced.Load(); spliced < 2*size*8/10 {
		t.Errorf("%d of %d bytes went by the kernel's way", spliced, 2*size)
	}
	_ = b.client.Close()
	s := <-b.over
	if want := int64(len(ask) + len(fetch)); s.ToBroker != want {
		t.Errorf("%d bytes to the broker, want %d", s.ToBroker, want)
	}
	if want := int64(len(answer) + len(response(1, ""))); s.ToClient != want {
		t.Errorf("%d bytes to the client, want %d", s.ToClient, want)
	}
}

// TestStoppedConsumersHoldFewPipes: more of them than there are pipes get every byte
// when they go on.
func TestStoppedConsumersHoldFewPipes(t *testing.T) {
	const size, n = 2 << 20, maxPipes + 8
	h := &Handler{Stall: time.Minute}
	answer := response(1, strings.Repeat("0123456789abcdef", size/16))
	var all sync.WaitGroup
	stopped := make(chan struct{}, n)
	goOn := make(chan struct{})
	for _, b := range sessions(t, h, n) {
		write(t, b.client, request(heartbeat, 0, 1, ""))
		all.Go(func() {
			_, _ = io.ReadFull(b.broker, make([]byte, 14))
			_, _ = b.broker.Write(answer)
		})
		all.Go(func() {
			got := make([]byte, 64<<10)
			_, err := io.ReadFull(b.client, got)
			stopped <- struct{}{}
			<-goOn
			whole := bytes.NewBuffer(got)
			if err == nil {
				_, err = io.CopyN(whole, b.client, int64(len(answer)-len(got)))
			}
			if err != nil || !bytes.Equal(whole.Bytes(), answer) {
				t.Errorf("%d bytes came: %v", whole.Len(), err)
			}
		})
	}
	for range n {
		<-stopped
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for open := 0; open < maxPipes; <-tick.C { // until all pipes are in use
		if _, open = h.pipes.counts(); open > maxPipes {
			t.Fatalf("%d pipes are in use", open)
		}
	}
	close(goOn)
	all.Wait()
}

// TestUnusedPipesAreClosed: ten to twenty seconds after their last use.
func TestUnusedPipesAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ps pipes
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
		if open, used := ps.counts(); open != 1 || used != 0 {
			t.Errorf("%d pipes are open, %d of them in use; want one and none", open, used)
		}
		time.Sleep(3 * pipeIdle) // synctest
		synctest.Wait()
		if open, _ := ps.counts(); open != 0 {
			t.Errorf("%d pipes are open", open)
		}
		for i, p := range []*pipe{one, two} {
			if name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", p.r)); name == names[i] {
				t.Errorf("%s is open", name)
			}
		}
	})
}

// unsent returns the bound on what the kernel takes for a connection.
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

// TestNoPipeIsNoFailure: without pipes bytes are copied, and the kernel takes fewer of
// them for a side that does not read.
func TestNoPipeIsNoFailure(t *testing.T) {
	h := &Handler{}
	b := sessions(t, h, 1)[0]
	ask := request(heartbeat, 0, 1, strings.Repeat("x", 4<<20))
	go func() { _, _ = b.client.Write(ask) }()
	expect(t, b.broker, ask)
	spliced := h.pipes.spliced.Load()
	if spliced == 0 || unsent(t, b.upstream) == crowdUnsent {
		t.Error("there was no pipe")
	}
	h.pipes.mu.Lock() // now the pump only looks at the next head, and there is none
	h.pipes.open += maxPipes
	free := h.pipes.free
	h.pipes.free = nil
	h.pipes.mu.Unlock()
	go func() { _, _ = b.client.Write(ask) }()
	expect(t, b.broker, ask)
	if h.pipes.spliced.Load() != spliced {
		t.Error("there was a pipe")
	}
	if got := unsent(t, b.upstream); got != crowdUnsent {
		t.Errorf("without a pipe the bound is %d", got)
	}
	h.pipes.mu.Lock()
	h.pipes.open -= maxPipes
	h.pipes.free = free
	h.pipes.mu.Unlock()
	go func() { _, _ = b.client.Write(ask) }()
	expect(t, b.broker, ask)
	if h.pipes.spliced.Load() == spliced || unsent(t, b.upstream) == crowdUnsent {
		t.Error("there was no pipe again")
	}
}

// TestAnEndInsideASpan: the source ends, or the destination does.
func TestAnEndInsideASpan(t *testing.T) {
	for name, end := range map[string]func(b *bench){
		"the broker closes": func(b *bench) { _ = b.broker.Close() },
		"the broker resets": func(b *bench) { abort(b.broker) },
		"the client closes": func(b *bench) { _ = b.client.Close() },
		"the client resets": func(b *bench) { abort(b.client) },
	} {
		t.Run(name, func(t *testing.T) {
			h := &Handler{}
			b := sessions(t, h, 1)[0]
			write(t, b.client, request(heartbeat, 0, 1, ""))
			expect(t, b.broker, request(heartbeat, 0, 1, ""))
			half := response(1, strings.Repeat("x", 2<<20))[:1<<20]
			go func() { _, _ = b.broker.Write(half) }()
			expect(t, b.client, half)
			end(b)
			go func() { // the tunnel notices a client that left when it writes
				for _, err := b.broker.Write(half); err == nil; _, err = b.broker.Write(half) {
				}
			}()
			<-b.over
			if _, used := h.pipes.counts(); used != 0 {
				t.Errorf("%d pipes are still in use", used)
			}
		})
	}
}
