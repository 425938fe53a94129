package token

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
)

// handlerTransport passes requests to a handler without a network, so that the test can
// use synctest's time.
type handlerTransport struct{ http.Handler }

func (h handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// A beginning is the load that instances which start together put on a token service.
type beginning struct {
	requests int
	limited  int             // answered with 429
	had      []time.Duration // when each instance had its token, sorted
	waits    []time.Duration // how long the first client of each instance waited for it, sorted
}

// begin starts n instances within a second. The lab's token service grants limit
// requests a second. The first client of each instance connects after clients to twice
// that time.
func begin(t *testing.T, n int, limit float64, first, clients time.Duration) (b beginning) {
	t.Helper()
	svc, err := tokenservice.Start(tokenservice.Options{Rate: limit, Burst: int(limit) + 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = svc.Close() }()
	draw := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same in each run
	synctest.Test(t, func(t *testing.T) {
		var work sync.WaitGroup
		var mu sync.Mutex
		ctx, cancel := context.WithCancel(t.Context())
		zero := time.Now()
		for range n {
			fetch := newClientFetcher("http://uaa.invalid/oauth/token", Credentials{ClientID: svc.ClientID(), ClientSecret: svc.Secret()})
			fetch.transport = handlerTransport{svc.Handler()}
			var source *Source
			had := false
			source = New(fetch.fetch, Options{First: first, Observe: func(result string, _ time.Duration) {
				if result == "ok" && !had {
					had = true
					mu.Lock()
					defer mu.Unlock()
					b.had = append(b.had, time.Since(zero))
				}
			}})
			starts, connects := time.Duration(draw.Float64()*float64(time.Second)), clients+time.Duration(draw.Float64()*float64(clients))
			work.Go(func() {
				time.Sleep(starts) // synctest
				source.Run(ctx)
			})
			work.Go(func() {
				time.Sleep(starts + connects) // synctest
				begin := time.Now()
				for ctx.Err() == nil { // clients retry at the end of their hold time
					ask, done := context.WithTimeout(ctx, 9*time.Second)
					_, err := source.Token(ask)
					done()
					if err == nil {
						break
					}
					time.Sleep(100 * time.Millisecond) // synctest
				}
				mu.Lock()
				defer mu.Unlock()
				b.waits = append(b.waits, time.Since(begin))
			})
		}
		time.Sleep(5 * time.Minute) // synctest
		cancel()
		work.Wait()
	})
	st := svc.Stats()
	b.requests, b.limited = st.Requests, st.ByStatus[http.StatusTooManyRequests]
	slices.Sort(b.had)
	slices.Sort(b.waits)
	return b
}

func at(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return -1
	}
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// TestInstancesThatStartTogether: a token service that grants a tenth of the instances
// in a second gets the fewest requests if the first tokens are spread, and every
// instance gets a token. With KAFKA_TUNNEL_CURVE=1 and -v it prints the table of
// docs/performance.md.
func TestInstancesThatStartTogether(t *testing.T) {
	if os.Getenv("KAFKA_TUNNEL_CURVE") != "" {
		curve(t)
		return
	}
	const instances = 200
	together := begin(t, instances, instances/10, time.Second, 5*time.Second)
	spread := begin(t, instances, instances/10, FirstWithin, 5*time.Second)
	for name, b := range map[string]beginning{"together": together, "spread": spread} {
		t.Logf("%s: %d requests, %d times 429, all have a token after %v", name, b.requests, b.limited, at(b.had, 1))
		if len(b.had) != instances || len(b.waits) != instances {
			t.Errorf("%s: %d instances have a token", name, len(b.had))
		}
	}
	if spread.limited > together.limited/2 {
		t.Errorf("spread %d times 429, together %d", spread.limited, together.limited)
	}
}

func curve(t *testing.T) {
	firsts := []time.Duration{0, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second}
	var table strings.Builder
	table.WriteString("| limit a second | first token within | requests | of them 429 | half have it after | all have it after | clients' wait, p50 | p99 |\n|---|---|---|---|---|---|---|---|\n")
	for _, limit := range []float64{50, 100, 200} {
		for _, first := range firsts {
			b := begin(t, 1000, limit, first, 5*time.Second)
			word := first.String()
			if first == 0 {
				word = "not before it is needed"
			}
			fmt.Fprintf(&table, "| %.0f | %s | %d | %d | %.1f s | %.1f s | %.2f s | %.2f s |\n", limit, word, b.requests, b.limited,
				at(b.had, 0.5).Seconds(), at(b.had, 1).Seconds(), at(b.waits, 0.5).Seconds(), at(b.waits, 0.99).Seconds())
		}
	}
	t.Logf("\n%s", table.String())
}
