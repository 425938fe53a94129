package upstream

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func at(host string) endpoint { return endpoint{target: target(host)} }

// tried admits an attempt that must be admitted.
func tried(t *testing.T, a *addresses, e endpoint) *try {
	t.Helper()
	turn := a.enter(e, addressMaxWait)
	if turn.try == nil {
		t.Fatalf("not admitted: %+v", turn)
	}
	return turn.try
}

// attempts counts the attempts that a client may make at the address if it retries
// every 10 ms during this time. Each attempt fails with code.
func attempts(a *addresses, e endpoint, code failure.Code, lasts time.Duration) (n int, times []time.Duration) {
	begin := time.Now()
	for time.Since(begin) < lasts {
		if turn := a.enter(e, addressMaxWait); turn.try != nil {
			n++
			times = append(times, time.Since(begin))
			a.leave(turn.try, failure.New(code, nil))
		}
		time.Sleep(10 * time.Millisecond) // synctest
	}
	return n, times
}

func TestAFailingAddressIsPaced(t *testing.T) {
	for _, tt := range []struct {
		code     failure.Code
		lasts    time.Duration
		attempts int
	}{
		{failure.AccessNotAllowed, 4 * time.Second, 1},
		{failure.AccessNotAllowed, 59 * time.Second, 12},
		{failure.AccessNotAllowed, 10 * time.Minute, 12 + 18},
		{failure.BrokerUnreachable, 59 * time.Second, 59},
		{failure.BrokerUnreachable, 11 * time.Minute, 5*60 + 6*20},
		{failure.ConnectSilent, 10 * time.Second, 10},
		{failure.TLSExpired, 10 * time.Second, 10},
	} {
		t.Run(fmt.Sprint(tt.code, " ", tt.lasts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var a addresses
				n, times := attempts(&a, at("a"), tt.code, tt.lasts)
				if n != tt.attempts {
					t.Errorf("%d attempts, want %d: %v", n, tt.attempts, times)
				}
				tried(t, &a, at("b"))
			})
		})
	}
}

// inTrouble returns addresses of which one is failing.
func inTrouble(t *testing.T, e endpoint, f *failure.Failure) *addresses {
	t.Helper()
	a := &addresses{}
	a.leave(tried(t, a, e), f)
	return a
}

func TestTheFirstClientInAPauseGetsTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := failure.New(failure.BrokerUnreachable, nil)
		e := at("a")
		a := inTrouble(t, e, down)
		time.Sleep(300 * time.Millisecond) // synctest
		if a.enter(e, 699*time.Millisecond).refused != down {
			t.Error("a client waits for a turn that is later than its deadline")
		}
		leaves := a.enter(e, addressMaxWait)
		if leaves.wait == nil || leaves.wait.most != 700*time.Millisecond {
			t.Fatalf("the first client does not wait for the next attempt: %+v", leaves)
		}
		if a.enter(e, addressMaxWait).refused != down {
			t.Error("the second client is not refused at once")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.pass(ctx, leaves.wait); !errors.Is(err, down) {
			t.Errorf("a client that leaves gets %v", err)
		}
		stays := a.enter(e, addressMaxWait)
		if stays.wait == nil {
			t.Fatal("the next attempt is lost with the client that left")
		}
		if err := a.pass(t.Context(), stays.wait); err != nil {
			t.Error(err)
		}
		tried(t, a, e)
	})
}

func TestClientsWaitForTheAttemptInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := failure.New(failure.BrokerUnreachable, nil)
		e := at("a")
		a := inTrouble(t, e, down)
		time.Sleep(addressYoung) // synctest
		first := tried(t, a, e)
		time.Sleep(100 * time.Millisecond) // synctest
		waits := a.enter(e, addressMaxWait)
		if waits.wait == nil || waits.wait.most != 900*time.Millisecond || a.enter(e, addressMaxWait).wait == nil {
			t.Fatalf("the client does not wait: %+v", waits)
		}
		if a.enter(e, 0).refused != down {
			t.Error("a client waits although its deadline has passed")
		}
		a.abandon(first)
		if a.pass(t.Context(), waits.wait) != nil || a.enter(e, addressMaxWait).try != nil {
			t.Error("after an abandoned attempt another one began at once")
		}
		time.Sleep(900 * time.Millisecond) // synctest
		second := tried(t, a, e)

		time.Sleep(addressYoung) // synctest: the second one does not end
		third := tried(t, a, e)
		waits = a.enter(e, addressMaxWait)
		a.leave(second, failure.New(failure.ConnectSilent, nil))
		if n := a.m[e].next(time.Now()).Sub(third.began); n != addressYoung {
			t.Errorf("the failure of an older attempt has moved the next one to %v", n)
		}
		a.leave(third, nil)
		if a.pass(t.Context(), waits.wait) != nil {
			t.Error("a success does not end the wait")
		}
		for range 2 {
			tried(t, a, e)
		}
	})
}

// TestFailuresOfAttemptsThatBeganEarlierChangeNothing: of many attempts in flight
// together only the first failure counts. A success outweighs failures of attempts that
// began before it.
func TestFailuresOfAttemptsThatBeganEarlierChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a addresses
		e := at("a")
		a.leave(tried(t, &a, e), nil)
		var early []*try
		for range 4 {
			early = append(early, tried(t, &a, e))
		}
		time.Sleep(time.Second) // synctest
		down := failure.New(failure.BrokerUnreachable, nil)
		a.leave(early[0], down)
		next := a.m[e].next(time.Now())
		time.Sleep(time.Second) // synctest
		a.leave(early[1], failure.New(failure.AccessNotAllowed, nil))
		if one := a.m[e]; one.last != down || !one.next(time.Now()).Equal(next) {
			t.Errorf("a late failure has changed the address: %+v", one)
		}
		a.leave(tried(t, &a, e), nil)
		a.leave(early[2], down)
		if a.m[e].paced {
			t.Error("the failure of an attempt that began before the last success marked the address as failing")
		}
	})
}

// TestAHalfOpenAddressIsTriedByOne: only one client at a time tries a half-open
// address. The others wait for the outcome, however long it takes, because there is no
// failure yet to refuse them with.
func TestAHalfOpenAddressIsTriedByOne(t *testing.T) {
	for name, halfOpen := range map[string]func(*addresses, endpoint){
		"new": func(*addresses, endpoint) {},
		"not used for long": func(a *addresses, e endpoint) {
			a.leave(tried(t, a, e), nil)
			time.Sleep(addressIsKnown + 1) // synctest
		},
		"broken": func(a *addresses, e endpoint) { a.leave(tried(t, a, e), nil); a.broken(e) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var a addresses
				e := at("a")
				halfOpen(&a, e)
				first := tried(t, &a, e)
				if turn := a.enter(e, 0); turn.wait == nil || turn.wait.most != addressYoung {
					t.Fatalf("the client does not wait: %+v", turn)
				}
				a.unreached(first)
				second := tried(t, &a, e) // at once: the first attempt did not reach the address
				down := failure.New(failure.BrokerUnreachable, nil)
				a.leave(second, down)
				a.broken(e)
				if a.enter(e, 0).refused != down {
					t.Error("a waiting client is not refused after the failure")
				}
				time.Sleep(time.Second) // synctest
				a.leave(tried(t, &a, e), nil)
				for range 3 {
					tried(t, &a, e)
				}
			})
		})
	}
}

func TestMemoryOfAddressesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a addresses
		busy := tried(t, &a, at("busy"))
		for i := range 3 * maxAddresses {
			a.leave(tried(t, &a, at(fmt.Sprint(i))), failure.New(failure.BrokerUnreachable, nil))
			time.Sleep(time.Millisecond) // synctest
		}
		if len(a.m) != maxAddresses {
			t.Errorf("%d addresses are remembered", len(a.m))
		}
		if a.m[at("busy")] != busy.one || a.m[at(fmt.Sprint(2*maxAddresses+1))] == nil {
			t.Error("an address with an attempt, or the newest failures, are forgotten")
		}
	})
}
