package upstream

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/topology"
)

// attempts counts how many of the clients that come back every 10 ms for so long
// may try the address, each attempt failing with code.
func attempts(a *addresses, at topology.Target, code failure.Code, lasts time.Duration) (n int, times []time.Duration) {
	begin := time.Now()
	for time.Since(begin) < lasts {
		if a.enter(at) == nil {
			n++
			times = append(times, time.Since(begin))
			a.leave(at, failure.New(code, nil))
		}
		time.Sleep(10 * time.Millisecond) // synctest
	}
	return n, times
}

func TestAnAddressInTroubleIsPaced(t *testing.T) {
	for _, tt := range []struct {
		code     failure.Code
		lasts    time.Duration
		min, max int
	}{
		{failure.AccessNotAllowed, 4 * time.Second, 1, 1},
		{failure.AccessNotAllowed, 59 * time.Second, 12, 12},
		{failure.AccessNotAllowed, 10 * time.Minute, 12 + 18, 12 + 19},
		{failure.BrokerUnreachable, 59 * time.Second, 40, 4 * 59},
		{failure.BrokerUnreachable, 11 * time.Minute, 60 + 40, 4*60 + 240},
		{failure.ConnectSilent, 10 * time.Second, 7, 40},
	} {
		t.Run(fmt.Sprint(tt.code, " ", tt.lasts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var a addresses
				n, times := attempts(&a, target("a"), tt.code, tt.lasts)
				if n < tt.min || n > tt.max {
					t.Errorf("%d attempts, want %d to %d: %v", n, tt.min, tt.max, times)
				}
				if f := a.enter(target("b")); f != nil {
					t.Errorf("another address is refused: %v", f)
				}
			})
		})
	}
}

func TestAnAddressIsTriedByOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a addresses
		at := target("a")
		down := failure.New(failure.BrokerUnreachable, nil)
		a.leave(at, down)
		if a.enter(at) != down {
			t.Error("tried before the pause was over")
		}
		time.Sleep(time.Second) // synctest
		if a.enter(at) != nil {
			t.Fatal("not tried after the pause")
		}
		if a.enter(at) != down {
			t.Error("tried twice at a time")
		}
		a.abandon(at)
		if a.enter(at) != nil {
			t.Error("an abandoned attempt keeps its place")
		}
		a.leave(at, nil)
		for range 2 {
			if a.enter(at) != nil {
				t.Error("a success does not end the pacing")
			}
		}
	})
}

func TestFailuresOfOneMomentCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a addresses
		for range 100 {
			a.leave(target("a"), failure.New(failure.BrokerUnreachable, nil))
		}
		if c := a.m[target("a")].backoff.ceiling; c != pauseFloor {
			t.Errorf("the pause grew to %v", c)
		}
	})
}

func TestMemoryOfAddressesIsBounded(t *testing.T) {
	var a addresses
	for i := range 10 * maxAddresses {
		a.leave(target(fmt.Sprint(i)), failure.New(failure.BrokerUnreachable, nil))
	}
	if len(a.m) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(a.m))
	}
}
