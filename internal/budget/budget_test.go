package budget

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mib = 1 << 20

// manifest is the budget of a process with the manifest's 64 MiB.
func manifest() *Budget { return New(16 * mib) }

func TestNoLimit(t *testing.T) {
	for name, b := range map[string]*Budget{"nil": nil, "zero": {}, "New(0)": New(0)} {
		h := b.Request(1<<30, nil)
		if err := h.Wait(); err != nil || !b.TryAcquire(1<<30) || !b.LendBuffer(1<<30) || b.Largest() != 0 {
			t.Errorf("%s: %v", name, err)
		}
		h.Touch()
		h.Cancel()
		h.Release()
		b.Release(1 << 30)
		b.ReturnBuffer(1 << 30)
		if held, waiting := b.Held(); held != 0 || waiting != 0 {
			t.Errorf("%s: %d bytes are held, %d wait", name, held, waiting)
		}
	}
}

func TestLargerThanTheBudget(t *testing.T) {
	b := manifest()
	h := b.Request(int(b.Largest())+1, nil)
	if err := h.Wait(); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	h.Release()
	if held, _ := b.Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
	whole := b.Request(int(b.Largest()), nil)
	if err := whole.Wait(); err != nil {
		t.Error(err)
	}
	whole.Release()
}

func TestBuffers(t *testing.T) {
	b := manifest()
	lent := 0
	for b.LendBuffer(48 << 10) {
		lent++
	}
	if want := 4 * mib / (48 << 10); lent != want {
		t.Errorf("%d buffers were lent, want %d", lent, want)
	}
	b.ReturnBuffer(48 << 10)
	if !b.LendBuffer(48<<10) || b.LendBuffer(48<<10) {
		t.Error("one buffer was given back, and one can be lent")
	}
	h := b.Request(100, nil)
	if buf := h.Buffer(100); len(buf) != 100 || !bytes.Equal(buf, make([]byte, 100)) {
		t.Error("a buffer of 100 zero bytes is wanted")
	}
	h.Release()
	h.Release()
}

// TestInOrder: requests of a class are admitted in their order, also where a later one
// would fit, and a canceled one is passed over.
func TestInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := manifest()
		first := b.Request(8*mib, nil)
		var mu sync.Mutex
		var order []int
		var holds []*Hold
		for i, size := range []int{5 * mib, 2 * mib, 2 * mib} {
			h := b.Request(size, nil)
			holds = append(holds, h)
			go func() {
				err := h.Wait()
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					order = append(order, i)
				}
			}()
		}
		synctest.Wait()
		if len(order) != 0 {
			t.Fatalf("%v were admitted although the first one in the queue does not fit", order)
		}
		holds[1].Cancel()
		first.Release()
		synctest.Wait()
		if len(order) != 2 || holds[1].Wait() == nil {
			t.Errorf("admitted: %v", order)
		}
		holds[0].Release()
		holds[2].Release()
	})
}

// TestSmallOnesAreNotStarved: while large requests wait for large ones, small ones pass;
// and while a large one waits, small ones cannot keep it from being admitted for ever.
func TestSmallOnesAreNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := manifest()
		large := b.Request(9*mib, nil)
		waiting := b.Request(9*mib, nil)
		var small []*Hold
		for range 3 {
			h := b.Request(mib/2, nil)
			if err := h.Wait(); err != nil {
				t.Fatal(err)
			}
			small = append(small, h)
		}
		large.Release()
		if err := waiting.Wait(); err != nil {
			t.Error(err)
		}
		waiting.Release()
		for _, h := range small {
			h.Release()
		}
		// Many small ones, each released as soon as the next one is there.
		turn := b.Request(mib/2, nil)
		waiting = b.Request(int(b.Largest()), nil)
		for range 100 {
			next := b.Request(mib/2, nil)
			if err := next.Wait(); err != nil {
				t.Fatal(err)
			}
			turn.Release()
			turn = next
		}
		turn.Release()
		if err := waiting.Wait(); err != nil {
			t.Error(err)
		}
		waiting.Release()
		time.Sleep(2 * every) // synctest: the timer ends
	})
}

// TestAStalledHoldIsAskedToEnd, the one that has not moved for longest, and only while
// others wait; one that moves is left alone for a minute.
func TestAStalledHoldIsAskedToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := manifest()
		begin := time.Now()
		var stalled []string
		at := map[string]time.Duration{}
		hold := func(name string) *Hold {
			var h *Hold
			h = b.Request(3*mib, func() {
				stalled = append(stalled, name)
				at[name] = time.Since(begin)
				h.Release()
			})
			if err := h.Wait(); err != nil {
				t.Fatal(err)
			}
			return h
		}
		hold("first")
		time.Sleep(time.Second) // synctest
		hold("second")
		moving := hold("moving")
		time.Sleep(time.Hour) // synctest
		if len(stalled) > 0 {
			t.Fatalf("%v were asked to end although no request waited", stalled)
		}
		moving.Touch()
		begin = time.Now()
		var waiting []*Hold
		for range 3 {
			waiting = append(waiting, b.Request(3*mib, nil))
		}
		for range 30 {
			time.Sleep(5 * time.Second) // synctest
			moving.Touch()
		}
		for _, h := range waiting {
			if err := h.Wait(); err != nil {
				t.Error(err)
			}
			h.Release()
		}
		if len(stalled) != 3 || stalled[0] != "first" || stalled[1] != "second" || at["first"] < patience || at["first"] > patience+2*every {
			t.Errorf("%v, %v", stalled, at)
		}
		time.Sleep(2 * every) // synctest
	})
}

// TestAnyProgram: whatever is asked for and given back in whatever order, the limit holds,
// everything is admitted in the end, and nothing is left.
func TestAnyProgram(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		limit := int64(rapid.IntRange(1, 64).Draw(r, "limit")) * mib
		b := New(limit)
		var held, waiting []*Hold
		settle := func() {
			still := waiting[:0]
			for _, h := range waiting {
				select {
				case <-h.done:
					held = append(held, h)
				default:
					still = append(still, h)
				}
			}
			waiting = still
			if n, _ := b.Held(); n > limit {
				r.Fatalf("%d bytes are held of %d", n, limit)
			}
		}
		drop := func(i int) {
			held[i].Release()
			held = append(held[:i], held[i+1:]...)
			settle()
		}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			switch {
			case len(held) > 0 && rapid.Bool().Draw(r, "release"):
				drop(rapid.IntRange(0, len(held)-1).Draw(r, "which"))
			case len(waiting) > 0 && rapid.IntRange(0, 5).Draw(r, "cancel") == 0:
				waiting[rapid.IntRange(0, len(waiting)-1).Draw(r, "which")].Cancel()
				canceled := waiting[:0]
				for _, h := range waiting {
					if h.err == nil {
						canceled = append(canceled, h)
					}
				}
				waiting = canceled
				settle()
			default:
				h := b.Request(rapid.IntRange(0, int(b.Largest())).Draw(r, "size"), nil)
				if h.done == nil {
					held = append(held, h)
				} else {
					waiting = append(waiting, h)
				}
				settle()
			}
		}
		for len(held) > 0 {
			drop(0)
		}
		if n, w := b.Held(); n != 0 || w != 0 || len(waiting) != 0 {
			r.Fatalf("%d bytes are held, %d and %d wait", n, w, len(waiting))
		}
		b.mu.Lock()
		if b.timer != nil {
			b.timer.Stop()
		}
		b.mu.Unlock()
	})
}
