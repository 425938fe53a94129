package token

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// within checks lo <= d <= hi.
func within(t *testing.T, what string, d, lo, hi time.Duration) {
	t.Helper()
	if d < lo || d > hi {
		t.Errorf("%s: %s, want %s to %s", what, d, lo, hi)
	}
}

func TestPausesDoubleUpToTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{}
		svc.fails(failure.TokenStatus, nil)
		source := start(t, svc, Options{})
		for range 12 { // a caller that retries at once
			if _, err := source.Token(t.Context()); !failure.Is(err, failure.TokenStatus) {
				t.Fatal(err)
			}
		}
		at := svc.fetches()
		middle := 250 * time.Millisecond
		for i := 1; i < len(at); i++ {
			within(t, "pause", at[i].Sub(at[i-1]), middle*3/4, middle*5/4)
			middle = min(2*middle, 8*time.Second)
		}

		// A success resets the pauses.
		svc.fails("", nil)
		svc.life = time.Minute
		if _, err := source.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		svc.fails(failure.TokenStatus, nil)
		pass(time.Minute)
		n := len(at) + 1
		at = svc.fetches()
		within(t, "first pause of the next outage", at[n+1].Sub(at[n]), 187*time.Millisecond, 313*time.Millisecond)
	})
}

// A caller whose deadline is before the end of the pause gets the failure at once.
func TestAPauseLongerThanTheCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: time.Hour}
		svc.fails(failure.TokenRateLimited, &RetryAfterError{Wait: 20 * time.Second})
		source := start(t, svc, Options{Rand: always(0)})
		wantFailure(t, source, 9*time.Second, 0, failure.TokenRateLimited)
		pass(5 * time.Second)
		err := wantFailure(t, source, 9*time.Second, 0, failure.TokenRateLimited)
		later, ok := errors.AsType[interface {
			error
			RetryAt() time.Time
		}](err)
		if !ok || !later.RetryAt().Equal(time.Now().Add(15*time.Second)) {
			t.Errorf("%v does not have the time of the next attempt", err)
		}
		if _, ok := errors.AsType[*RetryAfterError](err); !ok {
			t.Errorf("%v has lost its cause", err)
		}
		svc.fails("", nil)
		pass(10 * time.Second)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		if got, err := source.Token(ctx); got != "token-2" || err != nil {
			t.Errorf("a caller that can wait: %q, %v", got, err)
		}
		within(t, "wait", time.Since(begin), 5*time.Second, 5*time.Second)
	})
}

func TestRetryAfterIsRespected(t *testing.T) {
	for _, test := range []struct {
		asked, lo, hi time.Duration
		rand          float64
	}{
		{time.Second, time.Second, time.Second, 0},
		{time.Second, 1200 * time.Millisecond, 1200 * time.Millisecond, 1},
		{40 * time.Second, 44 * time.Second, 44 * time.Second, 0.5},
		{5 * time.Minute, 6 * time.Minute, 6 * time.Minute, 1},
		{time.Hour, 5 * time.Minute, 5 * time.Minute, 0}, // the longest wait that is accepted
		{24 * time.Hour, 6 * time.Minute, 6 * time.Minute, 1},
		{time.Millisecond, 187 * time.Millisecond, 313 * time.Millisecond, 0}, // shorter than the source's own pause
		{0, 187 * time.Millisecond, 313 * time.Millisecond, 0},
		{-time.Second, 187 * time.Millisecond, 313 * time.Millisecond, 0},
	} {
		for _, code := range []failure.Code{failure.TokenRateLimited, failure.TokenStatus} {
			synctest.Test(t, func(t *testing.T) {
				svc := &service{}
				svc.fails(code, &RetryAfterError{Wait: test.asked})
				source := start(t, svc, Options{Rand: always(test.rand)})
				for range 2 {
					if _, err := source.Token(t.Context()); !failure.Is(err, code) {
						t.Fatal(err)
					}
				}
				at := svc.fetches()
				within(t, "asked for "+test.asked.String(), at[1].Sub(at[0]), test.lo, test.hi)
			})
		}
	}
}

// The cached token stays in use while the service limits the rate.
func TestRateLimitWithAnOldToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: 10 * time.Minute}
		source := start(t, svc, Options{Rand: always(0)})
		wantToken(t, source, "token-1")
		svc.fails(failure.TokenRateLimited, &RetryAfterError{Wait: time.Minute})
		pass(4*time.Minute + 59*time.Second)
		svc.wantFetches(t, 2)
		for range 50 {
			wantToken(t, source, "token-1")
		}
		source.Invalidate("token-1") // no fetch for that either
		wantToken(t, source, "token-1")
		svc.wantFetches(t, 2)
		svc.fails("", nil)
		pass(time.Second)
		wantToken(t, source, "token-3")
	})
}

func TestRefusedCredentialsAreNotTriedAgainFor30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{}
		svc.fails(failure.TokenRejected, nil)
		source := start(t, svc, Options{})
		wantFailure(t, source, 9*time.Second, 0, failure.TokenRejected)
		for range 29 {
			pass(time.Second)
			wantFailure(t, source, time.Hour, 0, failure.TokenRejected) // whatever its deadline
		}
		svc.wantFetches(t, 1)
		pass(time.Hour) // without callers nothing is fetched
		svc.wantFetches(t, 1)
		wantFailure(t, source, 9*time.Second, 0, failure.TokenRejected)
		svc.wantFetches(t, 2)
		svc.fails("", nil)
		svc.life = time.Hour
		pass(30 * time.Second)
		wantToken(t, source, "token-3")
	})
}

func TestRefusedCredentialsWithAnOldToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: 10 * time.Minute}
		source := start(t, svc, Options{Rand: always(0)})
		wantToken(t, source, "token-1")
		svc.fails(failure.TokenRejected, nil)
		for time.Since(svc.fetches()[0]) < 8*time.Minute {
			pass(time.Second)
			wantToken(t, source, "token-1")
		}
		synctest.Wait()
		at := svc.fetches()[1:]
		if len(at) < 7 {
			t.Errorf("%d attempts in 4 minutes of use", len(at))
		}
		for i := 1; i < len(at); i++ {
			within(t, "pause", at[i].Sub(at[i-1]), 30*time.Second, 31*time.Second)
		}
	})
}

// Rejected credentials are not retried in the background: each attempt needs a caller.
func TestRefusedCredentialsWithoutACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: 10 * time.Minute}
		source := start(t, svc, Options{Rand: always(0)})
		wantToken(t, source, "token-1")
		svc.fails(failure.TokenRejected, nil)
		pass(8 * time.Minute)
		svc.wantFetches(t, 2)
		svc.fails("", nil)
		wantToken(t, source, "token-1") // served from the cache, and then replaced
		synctest.Wait()
		wantToken(t, source, "token-3")
	})
}

// Whatever the callers, the proxy and the token service do, there is one fetch at a
// time, no token is used after its expiry, no fetch starts in a pause, and no caller
// waits beyond its deadline.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		life := rapid.SampledFrom([]time.Duration{60 * time.Second, time.Hour, 12 * time.Hour}).Draw(r, "life")
		takes := rapid.SampledFrom([]time.Duration{0, 100 * time.Millisecond, 20 * time.Second}).Draw(r, "takes")
		type step struct {
			sleep  time.Duration
			action string
		}
		steps := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) step {
			return step{
				rapid.SampledFrom([]time.Duration{
					0, time.Millisecond, time.Second, 10 * time.Second, time.Minute, 20 * time.Minute, 2 * time.Hour,
				}).Draw(r, "sleep"),
				rapid.SampledFrom([]string{
					"call", "call", "call", "refuse", "refuse", "status", "429", "401", "well", "well",
				}).Draw(r, "action"),
			}
		}), 1, 40).Draw(r, "steps")

		var mu sync.Mutex
		var last string       // the last token that a caller got
		var problems []string // found inside the bubble, where rapid must not be called
		report := func(problem string) {
			mu.Lock()
			defer mu.Unlock()
			problems = append(problems, problem)
		}
		synctest.Test(t, func(t *testing.T) {
			svc := &service{life: life, takes: takes}
			var failedAt time.Time // when the last fetch failed
			var pause time.Duration
			source := New(func(ctx context.Context) (Token, error) {
				if since := time.Since(failedAt); pause > 0 && since < pause {
					report("a fetch " + since.String() + " into a pause of " + pause.String())
				}
				token, err := svc.fetch(ctx)
				failedAt, pause = time.Now(), 0
				if asked, ok := askedToWait(err); ok {
					pause = asked
				} else if failure.Is(err, failure.TokenRejected) {
					pause = 30 * time.Second
				} else if err != nil {
					pause = 187 * time.Millisecond
				}
				return token, err
			}, Options{Target: testURL})
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { source.Run(ctx) })
			for _, step := range steps {
				pass(step.sleep)
				switch step.action {
				case "call":
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(ctx, 9*time.Second)
						defer cancel()
						begin := time.Now()
						value, err := source.Token(ctx)
						now := time.Now()
						if now.Sub(begin) > 9*time.Second {
							report("a caller waited for " + now.Sub(begin).String())
						}
						if (value == "") == (err == nil) {
							report("neither a token nor an error")
						}
						if err != nil {
							return
						}
						if st := source.Status(); !st.Usable(now) {
							report("a token after its end")
						}
						mu.Lock()
						defer mu.Unlock()
						last = value
					})
				case "refuse":
					mu.Lock()
					value := last
					mu.Unlock()
					source.Invalidate(value)
				case "status":
					svc.fails(failure.TokenStatus, nil)
				case "429":
					svc.fails(failure.TokenRateLimited, &RetryAfterError{Wait: 40 * time.Second})
				case "401":
					svc.fails(failure.TokenRejected, nil)
				default:
					svc.fails("", nil)
				}
				synctest.Wait()
			}
			cancel()
			wg.Wait()
			if svc.most > 1 {
				report("two fetches at the same time")
			}
		})
		if len(problems) > 0 {
			r.Fatalf("%q", problems)
		}
	})
}
