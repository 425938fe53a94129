package upstream

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// track defines how attempts at one bootstrap address end, and when.
type track struct {
	after time.Duration
	code  failure.Code // "": granted
}

// fakeBrokers are bootstrap addresses whose attempts end as their tracks define.
type fakeBrokers struct {
	mu      sync.Mutex
	begin   time.Time
	tracks  map[string]track
	started []string
	at      []time.Duration
	running int
	most    int
	open    int // connections that were granted and are not closed
}

type fakeConn struct {
	net.Conn
	s *fakeBrokers
}

func (r *fakeConn) Close() error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.open--
	return nil
}

func (s *fakeBrokers) dial(ctx context.Context, t hostport.Target) (net.Conn, error) {
	s.mu.Lock()
	s.started = append(s.started, t.Host)
	s.at = append(s.at, time.Since(s.begin))
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	select {
	case <-time.After(s.tracks[t.Host].after):
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if ctx.Err() != nil {
		return nil, failure.New(failure.ProxySilent, ctx.Err())
	}
	if code := s.tracks[t.Host].code; code != "" {
		return nil, failure.New(code, nil)
	}
	s.open++
	return &fakeConn{s: s}, nil
}

func TestBootstrapAddressesRace(t *testing.T) {
	const (
		never = time.Hour
		down  = failure.BrokerUnreachable
	)
	for name, tt := range map[string]struct {
		a, b, c track
		winner  string
		took    time.Duration
		code    failure.Code
		started []string
		at      []time.Duration
	}{
		"the first answers": {a: track{after: time.Second},
			winner: "a", took: time.Second, started: []string{"a"}, at: []time.Duration{0}},
		"the first is slow, the second faster": {a: track{after: 5 * time.Second}, b: track{after: time.Second},
			winner: "b", took: 3 * time.Second, started: []string{"a", "b"}, at: []time.Duration{0, 2 * time.Second}},
		"the second is slower still": {a: track{after: 3 * time.Second}, b: track{after: never}, c: track{},
			winner: "a", took: 3 * time.Second, started: []string{"a", "b"}, at: []time.Duration{0, 2 * time.Second}},
		"two at a time": {a: track{after: never}, b: track{after: never}, c: track{},
			code: failure.ProxySilent, took: 9 * time.Second, started: []string{"a", "b"}, at: []time.Duration{0, 2 * time.Second}},
		"the failure of one address makes room for another": {a: track{after: never}, b: track{time.Second, down}, c: track{after: time.Second},
			winner: "c", took: 4 * time.Second, started: []string{"a", "b", "c"}, at: []time.Duration{0, 2 * time.Second, 3 * time.Second}},
		"all fail": {a: track{0, down}, b: track{0, failure.AccessNotAllowed}, c: track{time.Second, down},
			code: down, took: time.Second, started: []string{"a", "b", "c"}, at: []time.Duration{0, 0, 0}},
		"a failure that concerns all addresses ends the race": {a: track{0, failure.TokenRejected}, b: track{}, c: track{},
			code: failure.TokenRejected, started: []string{"a"}, at: []time.Duration{0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeBrokers{begin: time.Now(), tracks: map[string]track{"a": tt.a, "b": tt.b, "c": tt.c}}
				d := &Dialer{connect: s.dial, HandshakeTimeout: time.Hour}
				all := []hostport.Target{target("a"), target("b"), target("c")}
				d.order = slices.Clone(all)
				gateOf(d).leave(ticket{}, nil, time.Time{}) // the gate is not half-open
				ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
				defer cancel()
				conn, at, err := d.DialAny(ctx, all)
				took := time.Since(s.begin)
				if tt.winner != "" && (err != nil || at.Host != tt.winner || d.Order(all)[0].Host != tt.winner) {
					t.Errorf("the winner is %v (%v), want %s; order %v", at, err, tt.winner, d.Order(all))
				}
				if tt.winner == "" && !failure.Is(err, tt.code) {
					t.Errorf("error %v, want %s", err, tt.code)
				}
				if took != tt.took || !slices.Equal(s.started, tt.started) || !slices.Equal(s.at, tt.at) {
					t.Errorf("took %v, started %v at %v; want %v, %v at %v", took, s.started, s.at, tt.took, tt.started, tt.at)
				}
				if conn != nil {
					_ = conn.Close()
				}
				if s.running != 0 || s.open != 0 || s.most > maxParallel {
					t.Errorf("%d attempts and %d connections are left; at most %d ran at a time", s.running, s.open, s.most)
				}
			})
		})
	}
}

// TestTheSecondConnectionIsClosed: when two attempts succeed, the connection of the
// second one is closed.
func TestTheSecondConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeBrokers{begin: time.Now(), tracks: map[string]track{"a": {after: 3 * time.Second}, "b": {after: time.Second}}}
		d := &Dialer{connect: s.dial, HandshakeTimeout: time.Hour}
		all := []hostport.Target{target("a"), target("b")}
		d.order = slices.Clone(all)
		gateOf(d).leave(ticket{}, nil, time.Time{})
		for range 20 {
			conn, _, err := d.DialAny(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			d.order = slices.Clone(all)
		}
		if s.open != 0 || s.running != 0 {
			t.Errorf("%d connections and %d attempts are left", s.open, s.running)
		}
	})
}

// TestAShutGateIsNoRace: behind a shut gate all attempts wait for the same probe, so no
// second attempt is started.
func TestAShutGateIsNoRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeBrokers{begin: time.Now(), tracks: map[string]track{"a": {}, "b": {}}}
		d := &Dialer{connect: s.dial}
		all := []hostport.Target{target("a"), target("b")}
		gateOf(d).leave(ticket{}, away, time.Now().Add(time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		done := make(chan error)
		go func() {
			_, _, err := d.DialAny(ctx, all)
			done <- err
		}()
		time.Sleep(8 * time.Second) // synctest
		if g := d.Gates(all)[0]; g.Waiting != 1 || !g.Shut {
			t.Errorf("gate %+v", g)
		}
		if err := <-done; !errors.Is(err, away) || len(s.started) != 0 {
			t.Errorf("error %v, started %v", err, s.started)
		}
	})
}

func TestACancelledRaceLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeBrokers{begin: time.Now(), tracks: map[string]track{"a": {after: time.Hour}, "b": {after: time.Hour}}}
		outcomes := &record{}
		d := &Dialer{connect: s.dial, HandshakeTimeout: 2 * time.Hour, Health: outcomes}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		_, _, err := d.DialAny(ctx, []hostport.Target{target("a"), target("b")})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if _, failed := outcomes.counts(); s.running != 0 || failed != 0 || d.Gates([]hostport.Target{target("a")})[0].Shut {
			t.Errorf("%d attempts still run, %d failed, gates %+v: a client that leaves must not count as an outage", s.running, failed, d.Gates([]hostport.Target{target("a")}))
		}
	})
}

// TestAClientThatRunsOutOfTimeIsNoOutage: a client that had waited long runs out of
// time soon after its attempt began, and the connection's deadline expires a moment
// before the context's. The gate does not count that as an outage.
func TestAClientThatRunsOutOfTimeIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outcomes := &record{}
		d := &Dialer{Health: outcomes, connect: func(context.Context, hostport.Target) (net.Conn, error) {
			time.Sleep(time.Second) // synctest
			return nil, failure.New(failure.ProxySilent, os.ErrDeadlineExceeded)
		}}
		ctx := lateContext(time.Now().Add(time.Second))
		if _, err := d.Dial(ctx, target("a")); !failure.Is(err, failure.ProxySilent) {
			t.Errorf("error %v", err)
		}
		if _, failed := outcomes.counts(); d.Gates([]hostport.Target{target("a")})[0].Shut || failed != 0 {
			t.Errorf("gates %+v, %d failed", d.Gates([]hostport.Target{target("a")}), failed)
		}
	})
}

// lateContext has a deadline and no timer.
type lateContext time.Time

func (c lateContext) Deadline() (time.Time, bool) { return time.Time(c), true }
func (lateContext) Done() <-chan struct{}         { return nil }
func (lateContext) Err() error                    { return nil }
func (lateContext) Value(any) any                 { return nil }

// TestTheOrderIsKeptForItsTargetsOnly: the order of one list of targets does not apply
// to another list of the same length.
func TestTheOrderIsKeptForItsTargetsOnly(t *testing.T) {
	d := &Dialer{}
	first := []hostport.Target{target("a"), target("b"), target("c")}
	d.Order(first)
	d.prefer(target("c"))
	if got := d.Order(first); got[0] != target("c") {
		t.Errorf("the last good address is not the first: %v", got)
	}
	changed := []hostport.Target{target("a"), target("b"), target("d")}
	got := d.Order(changed)
	slices.SortFunc(got, func(a, b hostport.Target) int { return strings.Compare(a.Host, b.Host) })
	if !slices.Equal(got, changed) {
		t.Errorf("order %v of %v", got, changed)
	}
	tls := slices.Clone(changed)
	tls[0].ServerName = "a"
	if !slices.Contains(d.Order(tls), tls[0]) {
		t.Error("a target that differs only in its server name is not replaced")
	}
}
