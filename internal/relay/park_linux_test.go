package relay

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// park requests parking until the pump of a flow is parked.
func (f *flow) park() {
	for !f.pump.is(parked) {
		f.pump.RequestPark()
		<-time.After(time.Millisecond)
	}
}

// TestParkedPumpsResume: a parked pump holds neither buffer nor goroutine and resumes
// with the next byte.
func TestParkedPumpsResume(t *testing.T) {
	f := start(t, &Group{}, 1)[0]
	for i := range 10 {
		f.pass(t, frame(10*i))
		f.park()
		f.pump.mu.Lock()
		if f.pump.buf != nil {
			t.Error("a parked pump holds a buffer")
		}
		f.pump.mu.Unlock()
	}
	f.pass(t, frame(1<<20))
}

// TestEveryCallWakesAParkedPump: each call that requires the pump to act wakes it.
func TestEveryCallWakesAParkedPump(t *testing.T) {
	for name, test := range map[string]struct {
		call func(f *flow)
		want error
	}{
		"stop":             {func(f *flow) { f.pump.Stop() }, ErrStopped},
		"drain":            {func(f *flow) { f.pump.Drain(time.Millisecond) }, ErrStalled},
		"end":              {func(f *flow) { _ = f.near.CloseWrite() }, io.EOF},
		"unpark, then end": {func(f *flow) { f.pump.Unpark(); _ = f.near.CloseWrite() }, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, &Group{}, 1)[0]
			f.pass(t, frame(1))
			f.park()
			test.call(f)
			err := <-f.done
			f.done <- err // for the cleanup
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

// TestAnInterruptedPumpContinuesAfterResume: an interrupted pump continues after Resume
// and not before.
func TestAnInterruptedPumpContinuesAfterResume(t *testing.T) {
	f := start(t, &Group{}, 1)[0]
	f.pass(t, frame(1))
	f.pump.Interrupt()
	if err := <-f.done; !errors.Is(err, ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	go f.Run(FromServer)
	if err := <-f.done; !errors.Is(err, ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	f.pump.Resume()
	go f.Run(FromServer)
	f.pass(t, frame(1))
}

// TestThePollerEndsWithTheLastParkedPump: when no pump is parked any more, the poller
// ends and its descriptor is closed.
func TestThePollerEndsWithTheLastParkedPump(t *testing.T) {
	g := &Group{}
	flows := start(t, g, 3)
	for _, f := range flows {
		f.pass(t, frame(1))
		f.park()
	}
	g.poller.mu.Lock()
	fd := g.poller.on.fd
	g.poller.mu.Unlock()
	for _, f := range flows {
		f.pass(t, frame(1))
	}
	g.poller.mu.Lock()
	defer g.poller.mu.Unlock()
	if name, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); g.poller.on != nil || strings.Contains(name, "eventpoll") {
		t.Errorf("the poller is still running: %v, %q", g.poller.on, name)
	}
}
