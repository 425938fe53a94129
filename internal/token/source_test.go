package token

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func TestOneFetchForAThousandCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: time.Hour, takes: time.Second}
		source := start(t, svc, Options{})
		for range 2 { // the second time all are served from the cache
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					if got, err := source.Token(t.Context()); got != "token-1" || err != nil {
						t.Errorf("token %q, %v", got, err)
					}
				})
			}
			wg.Wait()
		}
		svc.wantFetches(t, 1)
	})
}

func TestAThousandCallersShareAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{takes: time.Second}
		svc.fails(failure.TokenStatus, io.EOF)
		source := start(t, svc, Options{})
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				_, err := source.Token(t.Context())
				f, ok := failure.As(err)
				if !ok || f.Code != failure.TokenStatus || !errors.Is(err, io.EOF) {
					t.Errorf("%v", err)
					return
				}
				f.Target, f.Detail = "mine", "mine" // each caller has its own
			})
		}
		wg.Wait()
		svc.wantFetches(t, 1)
		if f := source.Status().LastFailure; f.Target != testURL || f.Detail != "" {
			t.Errorf("a caller changed the failure of all: %+v", f)
		}
	})
}

func TestACallerThatLeavesDoesNotAffectOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: time.Hour, takes: 5 * time.Second}
		source := start(t, svc, Options{})
		gone := errors.New("the client went away")
		var wg sync.WaitGroup
		wg.Go(func() {
			err := wantFailure(t, source, time.Second, time.Second, failure.TokenTimeout)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v does not wrap context.DeadlineExceeded", err)
			}
		})
		wg.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(2*time.Second, func() { cancel(gone) })
			_, err := source.Token(ctx)
			if _, ok := failure.As(err); ok || !errors.Is(err, gone) {
				t.Errorf("%v, want the cause of the cancellation and no failure", err)
			}
		})
		wg.Go(func() {
			if got, err := source.Token(t.Context()); got != "token-1" || err != nil {
				t.Errorf("the caller that stayed: %q, %v", got, err)
			}
		})
		wg.Wait()
		svc.wantFetches(t, 1)
	})
}

// When the last caller leaves, its fetch continues.
func TestTheFetchContinuesWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: time.Hour, takes: 5 * time.Second}
		source := start(t, svc, Options{})
		wantFailure(t, source, time.Second, time.Second, failure.TokenTimeout)
		pass(5 * time.Second)
		wantToken(t, source, "token-1")
		svc.wantFetches(t, 1)
	})
}

// TestTheFirstToken: the first token is fetched before the first client needs it. A
// caller before that time does not wait for it, and a failure is retried without a
// caller.
func TestTheFirstToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: time.Hour}
		source := start(t, svc, Options{First: 10 * time.Second, Rand: always(0.4)})
		pass(4*time.Second - 1)
		svc.wantFetches(t, 0)
		pass(1)
		svc.wantFetches(t, 1)
		wantToken(t, source, "token-1")
		svc.wantFetches(t, 1)
	})
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: 12 * time.Hour}
		source := start(t, svc, Options{First: 10 * time.Second, Rand: always(0.4)})
		pass(time.Second)
		wantToken(t, source, "token-1")
		pass(time.Minute)
		svc.wantFetches(t, 1)
	})
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: 12 * time.Hour}
		svc.fails(failure.TokenStatus, nil)
		source := start(t, svc, Options{First: 10 * time.Second, Rand: always(0)})
		pass(5 * time.Second)
		if n := len(svc.fetches()); n < 3 {
			t.Errorf("%d attempts in 5 s", n)
		}
		svc.fails("", nil)
		pass(10 * time.Second)
		if st := source.Status(); !st.Usable(time.Now()) {
			t.Errorf("no token: %+v", st)
		}
	})
}

func TestATokenIsServedUntilShortlyBeforeItsExpiry(t *testing.T) {
	for life, usable := range map[time.Duration]time.Duration{
		60 * time.Second: 54 * time.Second,
		12 * time.Hour:   12*time.Hour - time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			svc := &service{life: life}
			source := start(t, svc, Options{})
			wantToken(t, source, "token-1")
			received := time.Now()
			svc.fails(failure.TokenUnreachable, nil)
			// The token is in constant use, and every attempt to refresh it fails.
			for time.Since(received) < usable {
				begin := time.Now()
				wantToken(t, source, "token-1")
				if !time.Now().Equal(begin) {
					t.Fatal("a caller waited although a token was cached")
				}
				pass(min(life/60, usable-time.Since(received)))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 0)
			defer cancel()
			if got, err := source.Token(ctx); !failure.Is(err, failure.TokenUnreachable) {
				t.Errorf("life %s: at %s: %q, %v", life, time.Since(received), got, err)
			}
			svc.fails("", nil)
			pass(10 * time.Second) // the longest pause
			if got, err := source.Token(t.Context()); err != nil || got == "token-1" {
				t.Errorf("after the outage: %q, %v", got, err)
			}
		})
	}
}

func TestRefreshBetween40And60PercentOfLife(t *testing.T) {
	for at, want := range map[float64]time.Duration{
		0: 4 * time.Minute, 0.5: 5 * time.Minute, 1: 6 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			svc := &service{life: 10 * time.Minute}
			source := start(t, svc, Options{Rand: always(at)})
			wantToken(t, source, "token-1")
			pass(want - time.Nanosecond)
			svc.wantFetches(t, 1)
			pass(time.Nanosecond)
			svc.wantFetches(t, 2)
			wantToken(t, source, "token-2")
		})
	}
}

func TestInstancesDoNotRefreshTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		points := map[time.Time]bool{}
		for range 20 {
			source := start(t, &service{life: 12 * time.Hour}, Options{})
			wantToken(t, source, "token-1")
			points[source.Status().RefreshAt] = true
		}
		if len(points) < 15 {
			t.Errorf("20 instances refresh at %d points in time", len(points))
		}
	})
}

func TestInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: 12 * time.Hour}
		source := start(t, svc, Options{})
		source.Invalidate("") // nothing is cached yet
		wantToken(t, source, "token-1")

		source.Invalidate("another")
		wantToken(t, source, "token-1")
		svc.wantFetches(t, 1)

		source.Invalidate("token-1")
		source.Invalidate("token-1") // every caller that got it invalidates it
		wantToken(t, source, "token-2")
		source.Invalidate("token-1") // and one of them does so late
		wantToken(t, source, "token-2")
		svc.wantFetches(t, 2)

		// The proxy refuses every token, which forces one fetch in 30 s.
		for range 59 {
			pass(500 * time.Millisecond)
			source.Invalidate("token-2")
			wantToken(t, source, "token-2")
		}
		svc.wantFetches(t, 2)
		pass(500 * time.Millisecond)
		source.Invalidate("token-2")
		wantToken(t, source, "token-3")
		svc.wantFetches(t, 3)
	})
}

func TestInvalidateWhileTheTokenServiceIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: 12 * time.Hour, takes: 100 * time.Millisecond}
		source := start(t, svc, Options{})
		wantToken(t, source, "token-1")
		svc.fails(failure.TokenUnreachable, nil)
		source.Invalidate("token-1")
		if !source.Status().Refused {
			t.Error("the status does not show that the token was refused")
		}
		// The proxy may have refused it only while restarting, so the token stays in use.
		wantToken(t, source, "token-1")
		wantToken(t, source, "token-1")
		svc.fails("", nil)
		pass(10 * time.Second)
		if got, err := source.Token(t.Context()); err != nil || got == "token-1" {
			t.Errorf("after the outage: %q, %v", got, err)
		}
	})
}

func TestInvalidateWhileTheCredentialsAreRefused(t *testing.T) {
	for _, order := range []string{"token first", "credentials first"} {
		synctest.Test(t, func(t *testing.T) {
			svc := &service{life: time.Hour}
			source := start(t, svc, Options{Rand: always(0)})
			wantToken(t, source, "token-1")
			svc.fails(failure.TokenRejected, nil)
			if order == "credentials first" {
				pass(24 * time.Minute) // the refresh
				svc.wantFetches(t, 2)
				wantToken(t, source, "token-1") // stays in use
				source.Invalidate("token-1")
			} else {
				source.Invalidate("token-1")
			}
			wantFailure(t, source, time.Second, 0, failure.TokenRejected)
			svc.wantFetches(t, 2)
			pass(30 * time.Second)
			svc.fails("", nil)
			wantToken(t, source, "token-3")
		})
	}
}

func TestAnIdleSourceFetchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: 12 * time.Hour}
		source := start(t, svc, Options{Rand: always(0.5)})
		wantToken(t, source, "token-1")
		pass(8 * time.Hour)
		svc.wantFetches(t, 1)

		// Still usable: served at once and replaced in the background.
		wantToken(t, source, "token-1")
		synctest.Wait()
		svc.wantFetches(t, 2)
		wantToken(t, source, "token-2")

		pass(30 * 24 * time.Hour)
		svc.wantFetches(t, 2)
		wantToken(t, source, "token-3")
	})
}

func TestASourceUsedWithinTheHourRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: 12 * time.Hour}
		source := start(t, svc, Options{Rand: always(0.5)})
		wantToken(t, source, "token-1")
		pass(5*time.Hour + time.Minute) // 59 minutes before the refresh
		wantToken(t, source, "token-1")
		pass(time.Hour)
		svc.wantFetches(t, 2)
	})
}

func TestRetriesEndWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: time.Hour}
		svc.fails(failure.TokenUnreachable, nil)
		source := start(t, svc, Options{})
		wantFailure(t, source, time.Second, 0, failure.TokenUnreachable)
		pass(2 * time.Hour)
		n := len(svc.fetches())
		if last := svc.fetches()[n-1].Sub(svc.fetches()[0]); last < 59*time.Minute || last > time.Hour {
			t.Errorf("the last retry came %s after the only caller", last)
		}
		pass(24 * time.Hour)
		svc.wantFetches(t, n)
		svc.fails("", nil)
		if _, err := source.Token(t.Context()); err != nil {
			t.Errorf("the next caller: %v", err)
		}
		svc.wantFetches(t, n+1)
	})
}

func TestRunWaitsForItsFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		source := New(func(ctx context.Context) (Token, error) {
			<-ctx.Done()
			<-time.After(time.Second) // a fetch that stops slowly
			ended = true
			return Token{}, ctx.Err()
		}, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := source.Token(t.Context()); !errors.Is(err, ErrStopped) {
				t.Errorf("a waiting caller: %v, want %v", err, ErrStopped)
			}
		})
		source.Run(ctx)
		if !ended {
			t.Error("Run returned before its fetch")
		}
		wg.Wait()
		if _, err := source.Token(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("a later caller: %v, want %v", err, ErrStopped)
		}
		if st := source.Status(); st.Failures != 0 || st.LastFailure != nil {
			t.Errorf("the stop was counted as a failure of the service: %+v", st)
		}
	})
}

func TestTheCacheServesAfterTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &service{life: time.Hour}
		source := New(svc.fetch, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { source.Run(ctx) })
		wantToken(t, source, "token-1")
		cancel()
		wg.Wait()
		wantToken(t, source, "token-1") // connections are still opened while the tunnel drains
		pass(time.Hour)
		if _, err := source.Token(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("%v, want %v", err, ErrStopped)
		}

		ctx, cancel = context.WithCancel(t.Context())
		wg.Go(func() { source.Run(ctx) }) // Run can be called again
		synctest.Wait()
		wantToken(t, source, "token-2")
		func() {
			defer func() {
				if recover() == nil {
					t.Error("Run ran twice at the same time")
				}
			}()
			source.Run(ctx)
		}()
		cancel()
		wg.Wait()
	})
}

func TestACallerBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := New((&service{life: time.Hour}).fetch, Options{Target: testURL})
		wantFailure(t, source, time.Second, time.Second, failure.TokenTimeout)
		var wg sync.WaitGroup
		wg.Go(func() { wantToken(t, source, "token-1") })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() { source.Run(ctx) })
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestInvalidResultsOfAFetcher(t *testing.T) {
	for name, test := range map[string]struct {
		token Token
		err   error
		code  failure.Code
	}{
		"an unclassified error": {Token{}, io.ErrUnexpectedEOF, failure.TokenUnreachable},
		"no token":              {Token{}, nil, failure.TokenMalformed},
		"an old token":          {Token{Value: "x", UsableUntil: time.Unix(1, 0)}, nil, failure.TokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := New(func(context.Context) (Token, error) { return test.token, test.err }, Options{Target: testURL})
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() { source.Run(ctx) })
				err := wantFailure(t, source, time.Second, 0, test.code)
				if test.err != nil && !errors.Is(err, test.err) {
					t.Errorf("%v has lost its cause", err)
				}
				cancel()
				wg.Wait()
			})
		})
	}
}

func TestStatusObserveAndLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var results []string
		var source *Source
		svc := &service{life: time.Hour, takes: time.Second}
		svc.fails(failure.TokenUnreachable, nil)
		source = start(t, svc, Options{
			Rand:   always(0),
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Observe: func(result string, took time.Duration) {
				if took != time.Second || source.Status().Fetches == 0 {
					t.Errorf("%s after %s: %+v", result, took, source.Status())
				}
				results = append(results, result)
			},
		})
		if st := source.Status(); st.Usable(time.Now()) || !st.LastFetch.IsZero() || !st.RefreshAt.IsZero() {
			t.Errorf("at the start: %+v", st)
		}
		wantFailure(t, source, 2*time.Second, time.Second, failure.TokenUnreachable)
		failed := time.Now()
		wantFailure(t, source, 2*time.Second, source.Status().NotBefore.Sub(failed)+time.Second, failure.TokenUnreachable)
		svc.fails("", nil)
		value, err := source.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		now := time.Now()
		st := source.Status()
		if !st.UsableUntil.Equal(now.Add(59*time.Minute)) || !st.ExpiresAt.Equal(now.Add(time.Hour)) ||
			!st.RefreshAt.Equal(now.Add(24*time.Minute)) || st.LastFailure != nil || !st.NotBefore.IsZero() ||
			st.Fetches != 3 || st.Failures != 2 || !st.LastFetch.Equal(now) || !st.Usable(now) || st.Refused {
			t.Errorf("status %+v", st)
		}
		if got := strings.Join(results, " "); got != "token_unreachable token_unreachable ok" {
			t.Errorf("observed %q", got)
		}
		if strings.Contains(log.String(), value) {
			t.Errorf("the log shows the token:\n%s", &log)
		}
		if got := strings.Count(log.String(), "level=WARN"); got != 0 {
			t.Errorf("%d warnings of an outage that every caller was notified of:\n%s", got, &log)
		}
		if !strings.Contains(log.String(), "level=INFO msg=\"the token service issues tokens again\"") {
			t.Errorf("the recovery is not logged:\n%s", &log)
		}
		svc.fails(failure.TokenUnreachable, nil)
		time.Sleep(30 * time.Minute) // synctest; the old token is still used
		synctest.Wait()
		if got := strings.Count(log.String(), "level=WARN"); got != 1 {
			t.Errorf("%d warnings of an outage that no caller notices, want 1:\n%s", got, &log)
		}
	})
}

// TestReplacedCredentials: after Replace, earlier rejections no longer count, and a
// fetch in flight with the old credentials has no effect.
func TestReplacedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := &service{takes: time.Second}, &service{life: time.Hour, takes: time.Second}
		old.fails(failure.TokenRejected, nil)
		source := start(t, old, Options{})
		if _, err := source.Token(t.Context()); !failure.Is(err, failure.TokenRejected) {
			t.Fatalf("%v", err)
		}
		source.Replace(fresh.fetch)
		if got, err := source.Token(t.Context()); got != "token-1" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		// A cached token stays in use, and its successor is fetched in the background.
		next := &service{life: time.Hour, takes: time.Second}
		source.Replace(next.fetch)
		if got, err := source.Token(t.Context()); got != "token-1" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		time.Sleep(2 * time.Second) // synctest
		next.wantFetches(t, 1)
	})
	synctest.Test(t, func(t *testing.T) {
		old, fresh := &service{takes: 10 * time.Second}, &service{life: time.Hour, takes: time.Second}
		old.fails(failure.TokenRejected, nil)
		source := start(t, old, Options{})
		done := make(chan error, 1)
		go func() {
			_, err := source.Token(t.Context())
			done <- err
		}()
		time.Sleep(5 * time.Second) // synctest
		source.Replace(fresh.fetch)
		if err := <-done; err != nil {
			t.Errorf("%v", err)
		}
		old.wantFetches(t, 1)
		fresh.wantFetches(t, 1)
	})
}
