package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A fakeNetwork answers requests from a source once it is up, in virtual time.
type fakeNetwork struct {
	source *fakeTunnel
	up     func() bool // nil: always
	silent bool        // accept and never answer
	asked  int
}

func (f *fakeNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	f.asked++
	switch {
	case f.silent:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case f.up != nil && !f.up():
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	r.Host = "localhost"
	w := httptest.NewRecorder()
	(&Server{Source: f.source}).handler(true).ServeHTTP(w, r)
	return w.Result(), nil
}

const base = "http://127.0.0.1:19099"

func TestWait(t *testing.T) {
	healthy := func() *fakeTunnel {
		return &fakeTunnel{bound: true, clusters: []ClusterReadiness{{Name: "default", Ready: true}}}
	}
	start := func() func() bool {
		begun := time.Now()
		return func() bool { return time.Since(begun) >= 3*time.Second }
	}
	cases := []struct {
		name    string
		network func() *fakeNetwork
		options WaitOptions
		want    Outcome
		exit    int
		took    time.Duration
		message []string
	}{
		{"there at once", func() *fakeNetwork { return &fakeNetwork{source: healthy()} },
			WaitOptions{Max: time.Minute}, Reached, 0, 0, nil},
		{"started later", func() *fakeNetwork { return &fakeNetwork{source: healthy(), up: start()} },
			WaitOptions{Max: time.Minute}, Reached, 0, 3 * time.Second, nil},
		{"bound, though nothing is ready", func() *fakeNetwork { return &fakeNetwork{source: trouble()} },
			WaitOptions{For: ForBound, Max: time.Minute}, Reached, 0, 0, nil},
		{"not bound", func() *fakeNetwork { return &fakeNetwork{source: &fakeTunnel{}} },
			WaitOptions{For: ForBound, Max: time.Minute}, NotInTime, 1, time.Minute, []string{"not all ports are bound after 1m0s"}},
		{"one cluster is in trouble", func() *fakeNetwork { return &fakeNetwork{source: trouble()} },
			WaitOptions{Max: time.Minute}, NotInTime, 1, time.Minute,
			[]string{"not ready after 1m0s", "cluster default: ", "[access_not_allowed]", "does not expose kafka-1.corp:9092", "12s ago, 42 times in 1m3s", "\n  Its access control"}},
		{"the other cluster is not", func() *fakeNetwork { return &fakeNetwork{source: trouble()} },
			WaitOptions{Cluster: "other", Max: time.Minute}, Reached, 0, 0, nil},
		{"degraded", func() *fakeNetwork {
			return &fakeNetwork{source: &fakeTunnel{bound: true, clusters: []ClusterReadiness{degraded()}}}
		}, WaitOptions{Max: time.Second}, NotInTime, 1, time.Second, []string{"cluster default: degraded: ", "[access_not_allowed]"}},
		{"an earlier version", func() *fakeNetwork {
			return &fakeNetwork{source: &fakeTunnel{bound: true, clusters: []ClusterReadiness{{Name: "default", Ready: true}}}}
		}, WaitOptions{Max: time.Second}, Reached, 0, 0, nil},
		{"nothing tried yet", func() *fakeNetwork {
			return &fakeNetwork{source: &fakeTunnel{bound: true, clusters: []ClusterReadiness{{Name: "default"}}}}
		}, WaitOptions{Max: time.Second}, NotInTime, 1, time.Second, []string{"cluster default: no connection has been tried yet"}},
		{"stopping", func() *fakeNetwork {
			f := healthy()
			f.draining = true
			return &fakeNetwork{source: f}
		}, WaitOptions{Max: time.Second}, NotInTime, 1, time.Second, []string{"kafka-tunnel is stopping"}},
		{"nobody", func() *fakeNetwork { return &fakeNetwork{up: func() bool { return false }} },
			WaitOptions{Max: time.Minute}, NoAnswer, 69, time.Minute, []string{"no tunnel answered within 1m0s", base + ": connection refused"}},
		{"silence", func() *fakeNetwork { return &fakeNetwork{silent: true} },
			WaitOptions{Max: 5 * time.Second}, NoAnswer, 69, 5 * time.Second, []string{"no response in time"}},
		{"asked once", func() *fakeNetwork { return &fakeNetwork{source: trouble()} },
			WaitOptions{}, NotInTime, 1, 0, []string{"access_not_allowed"}},
		{"asked once, silence", func() *fakeNetwork { return &fakeNetwork{silent: true} },
			WaitOptions{}, NoAnswer, 69, requestTimeout, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				client := Client{BaseURL: base, Transport: c.network()}
				got, err := client.Wait(t.Context(), c.options)
				if err != nil {
					t.Fatal(err)
				}
				if got.Outcome != c.want || got.ExitCode() != c.exit {
					t.Errorf("outcome %v, exit %d: %s", got.Outcome, got.ExitCode(), got.Message())
				}
				if took := time.Since(begun); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				for _, part := range c.message {
					if !strings.Contains(got.Message(), part) {
						t.Errorf("the message lacks %q: %s", part, got.Message())
					}
				}
				if got.Outcome == Reached && got.Message() != "" {
					t.Errorf("a message without need: %s", got.Message())
				}
			})
		})
	}
}

func TestWaitAsksFiveTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &fakeNetwork{source: trouble()}
		(&Client{BaseURL: base, Transport: network}).Wait(t.Context(), WaitOptions{Max: 9900 * time.Millisecond})
		if network.asked != 50 {
			t.Errorf("asked %d times in 10 s", network.asked)
		}
	})
}

func TestWaitTellsWhatItKnewBeforeTheTunnelWentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		network := &fakeNetwork{source: trouble(), up: func() bool { return time.Since(begun) < 2*time.Second }}
		got, err := (&Client{BaseURL: base, Transport: network}).Wait(t.Context(), WaitOptions{Max: 5 * time.Second})
		if err != nil || got.Outcome != NotInTime {
			t.Fatalf("%v, %v", got.Outcome, err)
		}
		for _, part := range []string{"[access_not_allowed]", "and at the end: cannot reach kafka-tunnel"} {
			if !strings.Contains(got.Message(), part) {
				t.Errorf("the message lacks %q: %s", part, got.Message())
			}
		}
	})
}

func TestAnAttemptThatTheEndCutsShortTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &fakeNetwork{source: trouble()}
		network.up = func() bool {
			network.silent = true // from the next request on
			return true
		}
		got, err := (&Client{BaseURL: base, Transport: network}).Wait(t.Context(), WaitOptions{Max: time.Second})
		if err != nil || got.Outcome != NotInTime || got.Err != nil {
			t.Errorf("%v, %v: %s", got.Outcome, err, got.Message())
		}
	})
}

func TestWaitEndsAtOnce(t *testing.T) {
	cases := []struct {
		name    string
		base    string
		options WaitOptions
		want    string
	}{
		{"no such cluster", base, WaitOptions{Cluster: "nobody", Max: time.Hour}, "404: There is no cluster with this name."},
		{"wrong word", base, WaitOptions{For: "red", Max: time.Hour}, `cannot wait for "red"`},
		{"malformed address", "http://[::1", WaitOptions{Max: time.Hour}, "malformed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				_, err := (&Client{BaseURL: c.base, Transport: &fakeNetwork{source: trouble()}}).Wait(t.Context(), c.options)
				if err == nil || !strings.Contains(err.Error(), c.want) || time.Since(begun) != 0 {
					t.Errorf("%v after %v", err, time.Since(begun))
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := (&Client{BaseURL: base, Transport: &fakeNetwork{source: trouble()}}).Wait(ctx, WaitOptions{Max: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("interrupted: %v", err)
		}
	})
}

func TestClientAgainstServer(t *testing.T) {
	source := trouble()
	client := Client{BaseURL: serve(t, &Server{Source: source})}
	got, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(source.status.filled(), got); diff != "" {
		t.Error(diff)
	}
	result, err := client.Wait(t.Context(), WaitOptions{For: ForBound, Max: time.Minute})
	if err != nil || result.Outcome != Reached {
		t.Errorf("%v, %v", result, err)
	}
	result, err = client.Wait(t.Context(), WaitOptions{})
	if err != nil || result.Outcome != NotInTime || result.Readiness.Clusters[0].Hop != "connector" {
		t.Errorf("%v, %v", result, err)
	}
}

func TestClientMeetsSomethingElse(t *testing.T) {
	other := func(h http.HandlerFunc) Client {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return Client{BaseURL: server.URL}
	}
	ours := func(h http.HandlerFunc) Client {
		return other(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", serverName)
			h(w, r)
		})
	}
	// The local port of an open connection: no socket listens on it, and none can while the
	// test runs.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	free := "http://" + conn.LocalAddr().String()
	cases := []struct {
		name   string
		client Client
		want   string
	}{
		{"another server", other(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }), "not kafka-tunnel"},
		{"a redirect", other(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}), "not kafka-tunnel"},
		{"beyond loopback", ours(func(w http.ResponseWriter, _ *http.Request) {
			plainText(w, 404, "This is served on loopback only.\nsecond line\x1b[2J")
		}), "answers 404: This is served on loopback only."},
		{"no JSON", ours(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }), "invalid character"},
		{"endless", ours(func(w http.ResponseWriter, _ *http.Request) {
			for range 5 {
				w.Write(make([]byte, 1<<20))
			}
		}), "larger than 4194304 bytes"},
		{"nobody", Client{BaseURL: free}, "cannot reach kafka-tunnel at " + free + ": connection refused"},
		{"no URL", Client{BaseURL: "::"}, "the admin address is malformed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.client.Status(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := cases[0].client.Status(t.Context()); !errors.Is(err, ErrNotOurs) {
		t.Errorf("%v is not ErrNotOurs", err)
	}
	if _, err := cases[5].client.Status(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v hides its cause", err)
	}
}

func TestClientTakesNoProxyOfTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	t.Setenv("http_proxy", "http://192.0.2.1:1")
	client := Client{BaseURL: serve(t, &Server{Source: trouble()})}
	if _, err := client.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		// Away between the third and the seventh second.
		network := &fakeNetwork{source: trouble(), up: func() bool {
			s := time.Since(begun)
			return s < 3*time.Second || s > 7*time.Second
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		var out bytes.Buffer
		client := Client{BaseURL: base, Transport: network}
		if err := client.Watch(ctx, &out, WatchOptions{Clear: true}); err != nil {
			t.Fatal(err)
		}
		screens := strings.Split(out.String(), clearScreen)[1:]
		if len(screens) != 5 { // at 0, 2, 4, 6 and 8 s
			t.Fatalf("%d screens: %q", len(screens), screens)
		}
		for i, want := range []string{"kafka-tunnel v1.2.3", "kafka-tunnel v1.2.3", "connection refused", "connection refused", "kafka-tunnel v1.2.3"} {
			if !strings.Contains(screens[i], want) {
				t.Errorf("screen %d lacks %q: %s", i, want, screens[i])
			}
		}
	})
}

// A brokenWriter fails.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestWatchEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wipe := range []bool{false, true} {
			client := Client{BaseURL: base, Transport: &fakeNetwork{source: trouble()}}
			if err := client.Watch(t.Context(), brokenWriter{}, WatchOptions{Clear: wipe}); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestOutcomesInWords(t *testing.T) {
	// A result is printed in errors of tests and logs: the message must hold up
	// with nothing known.
	for _, r := range []WaitResult{{Outcome: NotInTime}, {Outcome: NoAnswer, Err: io.EOF}, {}} {
		if got := fmt.Sprint(r.Message()); strings.Contains(got, "%!") {
			t.Error(got)
		}
	}
}
